from typing import Literal

import pytest
import torch
from torch import nn

from segsearch.count.cost import count
from segsearch.errors import InputError
from segsearch.models.auxiliary import Auxiliary
from segsearch.models.network import build
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
    own = bool(point.published) or name.endswith("_released") or name in REIMPLEMENTED
    assert own, "a paper's point stands beside the paper's figures"
    assert point.deviations or point.published


REIMPLEMENTED = ("dfanet_huaifeng1993", "fpenet_xiaoyufenfei")
"""Others' code, whose figures are not the paper's."""

PARAMS = {
    "fpenet": 378_391,
    "fpenet_xiaoyufenfei": 115_125,
    "fpenet_p3q5": 233_495,
    "fpenet_p3q7": 305_943,
    "fpenet_p5q7": 325_783,
    "fpenet_p5q9": 398_231,
    "fpenet_p3q11": 450_839,
    "sgcpnet1": 607_826,
    "sgcpnet2": 607_826,
    "sgcpnet_backbone": 433_023,
    "sgcpnet_td1": 469_543,
    "sgcpnet_td1_bu": 498_610,
    "sgcpnet_td1_bu_td2": 518_074,
    "sgcpnet_hfr_td1": 540_863,
    "sgcpnet_hfr_td1_bu": 588_362,
    "sgcpnet_plain_sum": 607_799,
    "eseg_s": 6_860_547,
    "eseg_m": 19_994_125,
    "eseg_l": 70_496_247,
    "eseg_s_p7": 6_634_329,
    "eseg_s_p5": 6_408_111,
    "eseg_lite_s": 3_590_615,
    "eseg_lite_m": 9_737_580,
    "eseg_lite_l": 28_394_353,
    "dfanet_a": 1_838_667,
    "dfanet_b": 1_107_691,
    "dfanet_huaifeng1993": 2_187_216,
    "dfanet_a_x1": 554_107,
    "dfanet_a_x2": 1_181_555,
    "dfanet_a_x3": 1_809_003,
    "dfanet_a_x4": 2_436_451,
    "dfanet_b_x1": 339_643,
    "dfanet_b_x2": 712_067,
    "dfanet_b_x3": 1_084_491,
    "dfanet_b_x4": 1_456_915,
    "dfanet_a_x2_high": 1_190_931,
    "dfanet_a_x2_both": 1_203_411,
    "dfanet_a_x3_high": 1_824_587,
    "dfanet_b_x3_high": 1_095_147,
    "dfanet_xception_a": 168_915,
    "dfanet_xception_b": 82_515,
    "sfnet_r18": 12_869_715,
    "sfnet_r50": 31_325_139,
    "sfnet_r101": 50_317_267,
    "sfnet_df1": 8_410_099,
    "sfnet_df2": 18_696_499,
    "sfnet_df1_released": 8_422_387,
    "sfnet_df2_released": 17_876_467,
    "sfnet_r18_no_fam": 12_813_651,
    "sfnet_r50_no_fam": 31_114_707,
    "sfnet_r101_no_fam": 50_106_835,
}
"""What independent builds of the papers' networks have, 19 classes and no auxiliary head."""

MACS = {
    "eseg_s": 33_839_019_520,
    "eseg_m": 110_333_316_960,
    "eseg_l": 339_765_078_528,
    "eseg_s_p7": 33_829_726_720,
    "eseg_s_p5": 33_681_041_920,
    "eseg_lite_s": 17_141_686_784,
    "eseg_lite_m": 42_712_114_432,
    "eseg_lite_l": 114_855_287_040,
    "dfanet_a": 3_421_254_656,
    "dfanet_b": 2_055_305_216,
    "dfanet_huaifeng1993": 7_566_726_144,
    "sgcpnet1": 3_274_893_536,
}
"""Multiply-adds of independent builds, at the size that the point's file names."""


def ghost(name: str, classes: int = 19, auxiliary: Auxiliary = "none") -> nn.Module:
    with torch.device("meta"):
        return build(named_points()[name].spec, classes, auxiliary)


def params(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("name", named_points())
def test_parameters_to_the_last_one(name: str) -> None:
    expected = named_points()[name].expected
    assert expected is not None
    assert params(ghost(name)) == expected.params == PARAMS.get(name, expected.params)


def in_every_run(name: str) -> bool:
    """Whether an independent build or the README gives a point's multiply-adds, or it is one of every tenth."""
    return name in MACS or name in ("sfnet_r18", "fpenet") or list(named_points()).index(name) % 10 == 0


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if in_every_run(n) else pytest.mark.nightly) for n in named_points()],
)
def test_multiply_adds_to_the_last_one(name: str) -> None:
    expected = named_points()[name].expected
    assert expected is not None
    assert count(ghost(name), expected.size).macs == expected.macs == MACS.get(name, expected.macs)


def test_every_pinned_name_is_a_point() -> None:
    assert PARAMS.keys() | MACS.keys() <= named_points().keys()


def test_one_id_one_network() -> None:
    """Points of other names are other networks, those that only differ in what a paper says of them excepted."""
    ids = [point.spec.id for point in named_points().values()]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("name", "classes", "auxiliary", "expected"),
    [
        ("sfnet_r18", 19, "encoder", 13_465_190),
        ("fpenet", 11, "none", 378_127),
        ("dfanet_a", 11, "none", 1_838_403),
        ("dfanet_b", 11, "none", 1_107_427),
        ("dfanet_huaifeng1993", 20, "none", 2_187_216 + 64 * 9),
        ("sgcpnet1", 11, "none", 607_306),
        ("eseg_s", 150, "none", 6_873_254),
        ("eseg_l", 150, "none", 70_534_106),
    ],
)
def test_other_classes_and_auxiliary_heads(name: str, classes: int, auxiliary: Auxiliary, expected: int) -> None:
    assert params(ghost(name, classes, auxiliary)) == expected


def test_every_paper_leads_with_one_point() -> None:
    leads = [point.paper for point in named_points().values() if point.lead]
    assert sorted(leads) == ["dfanet", "eseg", "fpenet", "sfnet", "sgcpnet"]


def test_unknown_point() -> None:
    with pytest.raises(
        InputError,
        match=r"point: 'sfnet_r1' is not a named point, did you mean 'sfnet_r18'\? \(allowed: what `segsearch points` lists\)",
    ):
        named_point("sfnet_r1")


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
def test_printed_digits(printed: str, rounding: Literal["nearest", "down"], ours: int, same: bool) -> None:
    row = Published(metric="flops", printed=printed, where="x", rounding=rounding)
    assert row.prints(ours) is same
