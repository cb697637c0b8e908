import pytest

from segsearch.errors import InputError
from segsearch.models.build import build
from segsearch.space.load import load_space
from segsearch.space.lower import lower
from segsearch.space.nodes import Point
from segsearch.space.points import Published, named_point, named_points
from segsearch.space.walk import check

UNIFIED = load_space("unified")


@pytest.mark.parametrize("name", named_points())
def test_a_named_point_round_trips(name: str) -> None:
    point = named_points()[name]
    checked: Point = check(UNIFIED, point.choices)
    assert lower(checked) == point.spec
    assert point.expected is not None
    assert point.spec.id == point.expected.spec_id
    assert point.published, "a paper's point stands beside the paper's figures"


@pytest.mark.parametrize(
    ("name", "auxiliary", "params"),
    [
        ("fpenet", "none", 378_391),
        ("sfnet_r18", "none", 12_869_715),
        ("sfnet_r18", "encoder", 13_465_190),
        ("sfnet_r18_released", "none", 12_869_715),
    ],
)
def test_parameters_to_the_last_one(name: str, auxiliary: str, params: int) -> None:
    network = build(named_points()[name].spec, 19, auxiliary)
    assert sum(p.numel() for p in network.parameters()) == params


def test_fpenet_with_camvids_classes() -> None:
    assert sum(p.numel() for p in build(named_points()["fpenet"].spec, 11).parameters()) == 378_127


def test_unknown_point() -> None:
    with pytest.raises(InputError, match=r"point: 'sfnet' is not a named point \(allowed: fpenet, "):
        named_point("sfnet")


@pytest.mark.parametrize(
    ("printed", "rounding", "ours", "same"),
    [
        ("5.7G", "nearest", 5_688_366_272, True),
        ("5.7G", "nearest", 5_640_000_000, False),
        ("4.98G", "down", 4_989_999_999, True),
        ("378K", "down", 378_991, True),
        ("378K", "nearest", 378_991, False),
        ("0.4M", "nearest", 378_391, True),
    ],
)
def test_printed_digits(printed: str, rounding: str, ours: int, same: bool) -> None:
    row = Published(metric="flops", printed=printed, where="x", rounding=rounding)
    assert row.prints(ours) is same
