import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segsearch.errors import InputError
from segsearch.samplers.sampler import Optuna
from segsearch.space.load import load_space, narrow, parse_space
from segsearch.space.lower import lower
from segsearch.space.nodes import OneOf, Point, Scalar
from segsearch.space.points import named_points, override
from segsearch.space.walk import check, contains, every_point, sample, suggest
from segsearch.study.budget import Budget
from tests.engine.builders import record

UNIFIED = load_space("unified")
FPENET = named_points()["fpenet"].choices


@settings(max_examples=200)
@given(st.integers(0, 2**32))
def test_a_sample_is_a_point_and_lowers(seed: int) -> None:
    point = sample(UNIFIED, random.Random(seed))
    assert check(UNIFIED, point) == point
    assert lower(point).id == lower(dict(reversed(point.items()))).id


def test_sampling_repeats_and_varies() -> None:
    def drawn(seed: int) -> list[str]:
        rng = random.Random(seed)
        return [lower(sample(UNIFIED, rng)).id for _ in range(20)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_every_value_of_every_node_is_sampled() -> None:
    rng, seen = random.Random(0), dict[str, set[Scalar]]()
    for _ in range(3000):
        for name, value in sample(UNIFIED, rng).items():
            seen.setdefault(name, set()).add(value)
    for name, node in UNIFIED.nodes():
        assert seen.get(name, set()) == set(node.proposals()), name


def test_inactive_choices_do_not_exist() -> None:
    for seed in range(50):
        point = sample(UNIFIED, random.Random(seed))
        arms = {
            f"{n}.{a}."
            for n, node in UNIFIED.nodes()
            if isinstance(node, OneOf)
            for a in node.arms
            if point.get(n) != a
        }
        assert not [n for n in point for a in arms if n.startswith(a)]


def test_size_counts_points() -> None:
    tree = parse_space(
        {"space": "t", "axes": {"a": {"choice": [1, 2]}, "b": {"one_of": {"x": {"c": {"integer": [1, 3]}}, "y": {}}}}},
        "t",
    )
    distinct = {tuple(sample(tree, random.Random(i)).items()) for i in range(500)}
    assert tree.size == len(distinct) == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fusion_width": 65}, r"point.fusion_width: 65 is not a choice \(allowed: 16, 32, 48, 64, 80, 96, "),
        ({"fusion_width": True}, "point.fusion_width: True is not a choice"),
        ({"fusion_width": None}, "point.fusion_width: None is not a choice"),
        ({"encoder.fpe.p": 7}, r"point.encoder.fpe.p: 7 is not a choice \(allowed: 2 to 6\)"),
        (
            {"encoder.resnet.depth": 18},
            "point.encoder.resnet.depth: does not exist on this path: another arm was chosen",
        ),
        ({"encodr": "fpe"}, "point.encodr: unknown choice, did you mean 'encoder'"),
        ({"smooth": "maybe"}, "point.smooth: 'maybe' is not a choice"),
        ({"fusion": "fam", "fusion.fam.levels": "all"}, "point.fusion.meu.widths: does not exist on this path"),
    ],
)
def test_bad_points_are_refused_in_one_line(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        check(UNIFIED, FPENET | change)
    assert "\n" not in str(caught.value)
    assert not contains(UNIFIED, FPENET | change)


def test_a_missing_choice_is_named() -> None:
    with pytest.raises(InputError, match=r"here.encoder.fpe.q: is missing \(allowed: 2 to 12\)"):
        check(UNIFIED, {k: v for k, v in FPENET.items() if k != "encoder.fpe.q"}, "here")


def test_words_of_truth_are_read_as_truth() -> None:
    assert check(UNIFIED, FPENET | {"smooth": "no", "align_corners": "on"})["smooth"] is False


def test_a_fixed_choice_is_proposed_but_others_are_accepted() -> None:
    assert {sample(UNIFIED, random.Random(i))["align_corners"] for i in range(30)} == {False}
    assert contains(UNIFIED, FPENET | {"align_corners": True})


def test_a_fixed_choice_may_be_left_out_and_costs_no_draw() -> None:
    without, given = ({"b": {"choice": [1, 2, 3, 4]}}, {"a": {"choice": ["x", "y"], "searched": ["x"]}})
    small, grown = (parse_space({"space": "t", "axes": axes}, "t") for axes in (without, given | without))
    assert check(grown, {"b": 2}) == {"a": "x", "b": 2}
    assert [sample(small, random.Random(i))["b"] for i in range(30)] == [
        sample(grown, random.Random(i))["b"] for i in range(30)
    ]


def test_searched_choices_are_proposed_but_others_are_accepted() -> None:
    tree = parse_space({"space": "t", "axes": {"a": {"choice": [1, 2, 3], "searched": [1, 3]}}}, "t")
    assert {sample(tree, random.Random(i))["a"] for i in range(30)} == {1, 3}
    assert contains(tree, {"a": 2})
    assert tree.size == 2


def test_narrowing() -> None:
    small = narrow(UNIFIED, {"encoder": ["fpe"], "fusion_width": [32], "align_corners": [True]})
    for seed in range(30):
        point = sample(small, random.Random(seed))
        assert (point["encoder"], point["fusion_width"], point["align_corners"]) == ("fpe", 32, True)
        assert contains(UNIFIED, point)
    assert small.size < UNIFIED.size
    assert small.id != UNIFIED.id


def test_narrowing_takes_words_for_truth_values() -> None:
    assert narrow(UNIFIED, {"smooth": ["no"]}).id == narrow(UNIFIED, {"smooth": [False]}).id


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"encodr": ["fpe"]}, "narrow.encodr: unknown choice"),
        ({"encoder": ["vit"]}, "narrow.encoder: 'vit' is not a choice"),
        ({"encoder": []}, "narrow.encoder: leaves no value"),
        (
            {"align_corners": ["true"]},
            r"narrow.align_corners: 'true' is text, and is meant without quotes \(allowed: f",
        ),
        ({"encoder.fpe.p": ["3"]}, r"narrow.encoder.fpe.p: '3' is text, and is meant without quotes \(allowed: 2 to 6"),
        ({"fusion_width": ["64"]}, "narrow.fusion_width: '64' is text, and is meant without quotes"),
        ({"align_corners": [1]}, r"narrow.align_corners: 1 is not a choice \(allowed: false, true\)"),
    ],
)
def test_bad_narrowing(wanted: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        narrow(UNIFIED, wanted)


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"a": {"chice": [1]}}, "axes.a: must be one node"),
        ({"a": {"choice": []}}, "choice must be a list"),
        ({"a": {"choice": [1, 1]}}, "names a value twice"),
        ({"a": {"choice": [1, 2], "fixed": 3}}, "axes.a.fixed: 3 is not an option"),
        ({"a": {"choice": [1, 2], "searched": [1, 3]}}, r"axes.a.searched: \[1, 3\] must be some of the options"),
        ({"a": {"choice": [1, 2], "searched": []}}, r"axes.a.searched: \[\] must be some"),
        ({"a": {"choice": [1, 2], "searched": 1}}, "axes.a.searched: 1 must be some"),
        ({"a": {"integer": [3, 1]}}, "low <= high must hold"),
        ({"a": {"integer": [1, True]}}, "integer must be"),
        ({"a": {"one_of": {}}}, "one_of must be"),
        ({"a.b": {"choice": [1]}}, "a name must be a word without dots"),
        ({"a": {"choice": [1], "step": 2}}, "axes.a.step: unknown key"),
    ],
)
def test_bad_spaces(axes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_space({"space": "t", "axes": axes}, "t.yaml")


HUGE = {"space": "t", "axes": {"n": {"integer": [-(10**9), 10**9], "step": 4}, "m": {"integer": [0, 300_000_000]}}}


def test_a_long_range_is_counted_and_drawn_from_without_listing_it() -> None:
    tree = parse_space(HUGE, "t.yaml")
    assert tree.size == (5 * 10**8 + 1) * 300_000_001 and len(tree.id) == 12
    point = sample(tree, random.Random(0))
    assert check(tree, point) == point and point["n"] % 4 == 0
    assert check(tree, {"n": 4.0, "m": 0}) == {"n": 4, "m": 0}
    assert not any(contains(tree, {"n": n, "m": 0}) for n in (1, 4.5, True, "4", -(10**9) - 4, float("nan")))
    with pytest.raises(
        InputError, match=r"point.n: 3 is not a choice .allowed: -1000000000 to 1000000000 in steps of 4"
    ):
        check(tree, {"n": 3, "m": 0})
    small = narrow(tree, {"n": [8, -4, 8]})
    assert {sample(small, random.Random(i))["n"] for i in range(20)} == {-4, 8}
    assert tree.id != parse_space({"space": "t", "axes": HUGE["axes"] | {"m": {"integer": [1, 300_000_000]}}}, "t").id


def test_a_long_range_is_learnt_from() -> None:
    tree = parse_space(HUGE, "t.yaml")
    tpe = Optuna(tree, Budget())
    tpe.began(1, {"n": 8, "m": 299_999_999})
    tpe.ended(record(1, miou=0.5).model_copy(update={"point": {"n": 8, "m": 299_999_999}}))
    assert tpe.learnt == 1 and contains(tree, tpe.ask(seed=1))


def test_ids_of_the_shipped_spaces_stay() -> None:
    assert UNIFIED.id == "1827180c6d51", (
        f"spaces/unified.yaml changed: write its new id, {UNIFIED.id}, here, and a line in CHANGELOG.md, "
        "as studies over the whole of it cannot go on"
    )


@pytest.mark.parametrize(
    "axes",
    [
        {"a": {"integer": [0, 10**9 + 1]}},
        {"a": {"integer": [-(10**12), 0]}},
        {"a": {"choice": [1, 10**10]}},
        {"a": {"choice": [1.5, 1e300]}},
        {"a": {"choice": [float("inf")]}},
        {"a": {"choice": [float("nan")]}},
        {f"a{i}": {"integer": [0, 10**9]} for i in range(12)},
    ],
    ids=str,
)
def test_numbers_beyond_all_sense_are_refused(axes: dict) -> None:
    with pytest.raises(InputError, match=r"too large|numbers up to 1,000,000,000|more points than can be written down"):
        parse_space({"space": "t", "axes": axes}, "t.yaml")


def test_every_point_of_a_small_space_is_listed_once() -> None:
    axes = {"a": {"choice": [1, 2]}, "b": {"one_of": {"x": {"c": {"integer": [1, 3]}}, "y": {}}}, "d": {"choice": [5]}}
    tree = parse_space({"space": "t", "axes": axes}, "t")
    listed = list(every_point(tree))
    assert len(listed) == tree.size == len({tuple(point.items()) for point in listed})
    assert all(check(tree, point) == point for point in listed)


def test_the_asker_sees_dotted_names_in_order() -> None:
    asked: list[str] = []

    def first(name, node):
        asked.append(name)
        return node.proposals()[0]

    point = suggest(UNIFIED, first)
    assert asked == list(point)
    assert "encoder.resnet.depth" in asked
    assert not [n for n in asked if n.startswith("encoder.fpe")]


def test_choices_that_change_nothing_change_no_id() -> None:
    single = FPENET | {"finest": "P3", "coarsest": "P3"}
    changes: tuple[Point, ...] = (
        {"fusion": "fpn", "fusion.fpn.style": "sfnet"},
        {"fusion": "fam", "fusion.fam.levels": "all"},
    )
    others = [override(UNIFIED, single, change) for change in changes]
    assert len({lower(p).id for p in (single, single | {"smooth": True}, *others)}) == 1
    one_branch = FPENET | {"encoder.fpe.dilations": "1"}
    assert lower(one_branch).id == lower(one_branch | {"encoder.fpe.cascade": False}).id
    assert lower(FPENET).id != lower(FPENET | {"encoder.fpe.cascade": False}).id
