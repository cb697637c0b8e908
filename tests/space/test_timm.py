"""timm's encoders as points and specs, all of it without timm."""

import random

import pytest

from segsearch.errors import InputError
from segsearch.samplers.proposals import network_name
from segsearch.space.families.timm import MODEL, expand_point, expand_values, timm, written
from segsearch.space.load import load_space, narrow, parse_space
from segsearch.space.lower import lower
from segsearch.space.nodes import Point, Scalar
from segsearch.space.points import named_point
from segsearch.space.walk import check, sample
from segsearch.spec.channels import encoder_levels
from segsearch.spec.encoder import TimmSpec
from segsearch.spec.network import NetworkSpec

UNIFIED = load_space("unified")
WORD = "resnet18@P1:64,64,128,256,512"
REPVIT = "repvit_m0_9@P2:48,96,192,384"


def point(word: str = WORD, **changes: Scalar) -> Point:
    base = {k: v for k, v in named_point("sfnet_r18").choices.items() if not k.startswith("encoder.")}
    return check(UNIFIED, base | {"encoder": "timm", MODEL: word, "coarsest": "P5"} | changes)


def test_a_word_says_all_that_a_spec_holds() -> None:
    spec = timm({"model": WORD}, 1.0)
    assert spec == TimmSpec(kind="timm", name="resnet18", finest=1, channels=(64, 64, 128, 256, 512))
    assert encoder_levels(spec) == {2: 64, 4: 64, 8: 128, 16: 256, 32: 512}
    assert encoder_levels(timm({"model": REPVIT}, 1.0)) == {4: 48, 8: 96, 16: 192, 32: 384}
    assert written(spec.name, spec.finest, spec.channels) == WORD


@pytest.mark.parametrize(
    "word", ["resnet18", "resnet18@P1", "resnet18@P1:64,", "resnet18@1:64", "../x@P1:64", "resnet18.a1_in1k@P1:64", ""]
)
def test_other_words_are_refused(word: str) -> None:
    with pytest.raises(InputError, match=r"encoder\.timm\.model: '.*' does not name an encoder .*NAME@Pk:C,C"):
        lower(point() | {MODEL: word})


@pytest.mark.parametrize("axes", [{"a": {"word": "NAME"}}, {"a": {"one_of": {"x": {"b": {"word": "NAME"}}}}}])
def test_what_has_no_value_cannot_be_drawn(axes: dict[str, object]) -> None:
    with pytest.raises(InputError, match="^a: has no value that can be drawn"):
        sample(parse_space({"space": "mine", "axes": axes}, "mine.yaml"), random.Random(0))


def test_a_word_must_be_a_word() -> None:
    with pytest.raises(InputError, match=r"encoder\.timm\.model: 18 is not a choice \(allowed: NAME@Pk:C,C,\.\.\.\)"):
        check(UNIFIED, point() | {MODEL: 18})
    with pytest.raises(InputError, match=r"encoder\.timm\.model: is missing \(allowed: NAME@Pk"):
        check(UNIFIED, {k: v for k, v in point().items() if k != MODEL})


def test_widths_are_timms_own_and_levels_beyond_the_coarsest_are_cut() -> None:
    assert lower(point(encoder_width=0.5)).id == lower(point()).id
    assert lower(point(coarsest="P3")).encoder.channels == (64, 64, 128)
    assert lower(point(coarsest="P7")).encoder == lower(point()).encoder


def test_a_level_that_it_lacks_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"finest: P1 is not among the levels of this encoder \(allowed: P2, P3, P4, P5\)"
    ):
        lower(point(REPVIT, finest="P1"))
    with pytest.raises(InputError, match="finest: P2 is not among"):
        lower(point("x@P4:8,8", finest="P2", coarsest="P3"))


def test_dfa_cannot_run_its_stages_again() -> None:
    dfa: Point = {"fusion": "dfa", "fusion.dfa.networks": 2, "fusion.dfa.decoder": "none"}
    chosen = {k: v for k, v in point().items() if not k.startswith("fusion.")} | dfa
    with pytest.raises(InputError, match="an aggregate neck runs the encoder's stages again, timm's resnet18 has none"):
        lower(check(UNIFIED, chosen))


def test_searches_propose_none_until_they_are_told_some() -> None:
    assert "timm" not in {sample(UNIFIED, random.Random(i))["encoder"] for i in range(300)}
    told = narrow(
        UNIFIED, {"encoder": ["timm", "fpe"], MODEL: [WORD, REPVIT], "finest": ["P2"], "fusion": ["fpn", "sgcp"]}
    )
    drawn = [sample(told, random.Random(i)) for i in range(200)]
    assert {p.get(MODEL) for p in drawn} == {WORD, REPVIT, None}
    for each in drawn:
        assert lower(check(UNIFIED, each)).id
    with pytest.raises(
        InputError, match=r"narrow\.encoder\.timm\.model: is missing: a search cannot propose this word"
    ):
        narrow(UNIFIED, {"encoder": ["timm"]})


def test_a_space_counts_the_points_it_can_propose() -> None:
    axes = {"a": {"one_of": {"x": {"c": {"choice": [1, 2]}}, "y": {"d": {"word": "any"}}}}}
    space = parse_space({"space": "t", "axes": axes}, "t")
    assert space.size == 2
    assert check(space, {"a": "y", "a.y.d": "z"}) == {"a": "y", "a.y.d": "z"}
    with pytest.raises(InputError, match="word must say how the word is written"):
        parse_space({"space": "t", "axes": {"d": {"word": []}}}, "t")


def test_short_words_are_spelled_out_where_people_write() -> None:
    asked: list[str] = []

    def ask(name: str) -> str:
        asked.append(name)
        return WORD

    assert expand_point({"encoder": "timm:resnet18", "finest": "P2"}, ask) == {
        "encoder": "timm",
        MODEL: WORD,
        "finest": "P2",
    }
    assert expand_values({"encoder": ("fpe", "timm:resnet18")}, ask) == {"encoder": ["fpe", "timm"], MODEL: [WORD]}
    longer = {"encoder": ("timm", "timm:resnet18"), MODEL: (REPVIT,)}
    assert expand_values(longer, ask) == {"encoder": ["timm"], MODEL: [REPVIT, WORD]}
    assert asked == ["resnet18"] * 3
    assert expand_point(point(), ask) == point() and expand_values({"encoder": ("fpe",)}, ask) == {"encoder": ["fpe"]}
    assert asked == ["resnet18"] * 3


def test_a_network_is_named_by_its_encoder() -> None:
    assert network_name(point(), "1a2b3c4d5e6f") == "resnet18/fam#1a2b3c4d"


def test_specs_come_back_and_old_ones_need_no_kind() -> None:
    spec = lower(point())
    assert NetworkSpec.parse(spec.model_dump(mode="json"), "spec") == spec
    ours = named_point("fpenet").spec
    plain = ours.model_dump(mode="json")
    assert plain["encoder"].pop("kind") == "staged"
    assert NetworkSpec.parse(plain, "spec") == ours and '"kind":"staged"' not in ours.canonical()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "keras"}, "spec.encoder: kind 'keras' is not known"),
        ({"channels": []}, "spec.encoder.channels: tuple should have at least 1 item"),
        ({"name": "a/b"}, "spec.encoder.name: string should match pattern"),
    ],
)
def test_refusals_name_the_place(change: dict, message: str) -> None:
    plain = lower(point()).model_dump(mode="json")
    with pytest.raises(InputError, match=message):
        NetworkSpec.parse(plain | {"encoder": plain["encoder"] | change}, "spec")
    ours = named_point("fpenet").spec.model_dump(mode="json")
    ours["encoder"]["stages"][0]["block"] = "bsic"
    with pytest.raises(InputError, match=r"spec\.encoder\.stages\[0\]\.block: 'bsic' is not known"):
        NetworkSpec.parse(ours, "spec")
