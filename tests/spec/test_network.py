import copy
from typing import Any

import pytest

from segsearch.errors import InputError
from segsearch.spec.network import NetworkSpec, check_size, collapsed_levels, scaled_size

PLAIN = {
    "encoder": {
        "stem": {"widths": [64, 64, 128], "strides": [2, 1, 1], "pool": "floor"},
        "stages": [{"block": "basic", "depth": 2, "width": w, "stride": 1 + (w > 64)} for w in (64, 128, 256, 512)],
    },
    "pyramid": {"finest": 2, "coarsest": 5},
    "context": {"kind": "ppm", "width": 128},
    "neck": {"fusion": "fam", "widths": [128] * 3, "smooth": True},
    "head": {"kind": "concat", "width": 128},
}


def changed(**changes: object) -> dict:
    """PLAIN with ``part__field=value`` set; a double underscore steps inside, a number into a list."""
    data: dict[str, Any] = copy.deepcopy(PLAIN)
    for path, value in changes.items():
        *steps, last = path.split("__")
        here: Any = data
        for step in steps:
            here = here[int(step) if step.isdigit() else step]
        here[last] = value
    return data


def test_the_id_is_of_the_content() -> None:
    spec = NetworkSpec.parse(PLAIN, "network")
    assert spec.id == NetworkSpec.parse(copy.deepcopy(PLAIN), "elsewhere").id
    assert spec.id == "3a53d1ba5bc4", "ids stand in files that people keep: a change here needs a CHANGELOG line"
    assert spec.id == NetworkSpec.parse(changed(input_scale=1.0, neck__kind="topdown"), "network").id, (
        "defaults spelt out"
    )
    assert spec.id != NetworkSpec.parse(changed(input_scale=0.5), "network").id


def test_a_spec_survives_json() -> None:
    spec = NetworkSpec.parse(PLAIN, "network")
    assert NetworkSpec.model_validate_json(spec.canonical()) == spec


def test_a_spec_is_frozen() -> None:
    spec = NetworkSpec.parse(PLAIN, "network")
    with pytest.raises(ValueError, match="frozen"):
        spec.input_scale = 0.5
    assert len({spec, NetworkSpec.parse(PLAIN, "network")}) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"encoder__stages__1__block": "bsic"},
            r"network.encoder.stages\[1\].block: 'bsic' is not known, did you mean 'basic'\? \(allowed: 'basic'",
        ),
        ({"encoder__stages__1__dpth": 2}, r"stages\[1\].dpth: unknown key, did you mean 'depth'\?"),
        ({"encoder__stages__1__depth": 0}, r"stages\[1\].depth: should be greater than or equal to 1, got 0"),
        ({"encoder__stages__1__depth": "2"}, r"stages\[1\].depth: should be a valid integer, got \"2\""),
        ({"encoder__stages__1__depth": True}, "depth: should be a valid integer, got true"),
        (
            {"context__kind": "pmp"},
            r"network.context: kind 'pmp' is not known, did you mean 'ppm'\? \(allowed: 'none', 'ppm', 'aspp', ",
        ),
        ({"context__bin": [1]}, "network.context.bin: unknown key, did you mean 'bins'"),
        ({"input_scale": 2.0}, "network.input_scale: should be less than or equal to 1, got 2"),
        ({"encoder__stem__strides": [2, 1]}, "encoder.stem: 3 widths need as many strides, got 2"),
        ({"encoder__stages__0__dilations": [1, 2]}, r"stages\[0\].dilations: a basic block takes one rate, got 2"),
        (
            {"encoder__stages__0__block": "fpe", "encoder__stages__0__dilations": [1, 2, 4]},
            "3 branches must divide 1 x 128",
        ),
        ({"encoder__stages__1__long_skip": "concat", "encoder__stages__1__depth": 1}, "needs at least 2 blocks, got 1"),
        ({"encoder__stages__0__block": "shuffle", "encoder__stages__0__width": 15}, r"\[0\].width: .* halves, got 15"),
        ({"encoder__stages__0__kernel": 5}, r"stages\[0\].kernel: a basic block has none, only conv, fused"),
        ({"encoder__stages__0__kernel": 2}, r"stages\[0\].kernel: "),
        ({"encoder__stages__0__squeeze": "out"}, r"stages\[0\].squeeze: a basic block has none, only fused, mbconv"),
        ({"encoder__taps": [1, 2]}, r"encoder.taps: must be rising indices of stages that end with 3, got \[1, 2\]"),
        ({"encoder__taps": [2, 2, 3]}, r"encoder.taps: must be rising"),
        ({"encoder__stages__0__long_skip": "add"}, r"stages\[0\].width: a long skip adds 128 channels to it, got 64"),
        ({"pyramid__finest": 6}, "finest <= coarsest must hold, got P6 and P5"),
        ({"pyramid__coarsest": 4}, "pyramid.coarsest: P4 leaves stages unused, the encoder goes on to P5"),
        ({"neck__widths": [128]}, "neck.widths: 4 levels need 3 widths, got 1"),
        ({"neck__widths": [128, 64, 128]}, "fam adds maps of one width"),
        ({"context__width": 64}, "context.width: fam needs the neck's 128, got 64"),
    ],
)
def test_refusals_say_place_law_and_value(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        NetworkSpec.parse(changed(**changes), "network")
    assert "\n" not in str(caught.value)


def test_missing_part() -> None:
    data = changed()
    del data["encoder"]
    with pytest.raises(InputError, match="network.encoder: is missing"):
        NetworkSpec.parse(data, "network")


def test_sizes() -> None:
    spec = NetworkSpec.parse(changed(input_scale=0.5), "network")
    assert scaled_size(spec, (97, 203)) == (48, 102)
    check_size(spec, (64, 64))
    with pytest.raises(
        InputError, match=r"size: 60x200 \(x 0\.5 = 30x100\) is too small \(allowed: both sides at least 64\)"
    ):
        check_size(spec, (60, 200))
    assert collapsed_levels(spec, (1024, 1024)) == ()


def test_levels_that_repeat_a_single_pixel() -> None:
    spec = NetworkSpec.parse(changed(pyramid__coarsest=9, neck__widths=[128] * 7), "network")
    assert collapsed_levels(spec, (96, 192)) == (9,)
    assert collapsed_levels(spec, (32, 64)) == (7, 8, 9)
