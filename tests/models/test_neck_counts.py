"""Parameters and multiply-adds of the papers' necks and heads, part by part, to the last one."""

import pytest
import torch

from segsearch.count.cost import count
from segsearch.models.network import Network, build
from segsearch.space.load import load_space
from segsearch.space.lower import lower
from segsearch.space.nodes import Point
from segsearch.space.points import named_points, override
from segsearch.space.walk import check

UNIFIED = load_space("unified")

SGCPNET: Point = {
    "input_scale": 1.0, "align_corners": False, "finest": "P3", "coarsest": "P7", "pool": "max", "encoder_width": 1.0,
    "encoder": "mobilenetv3", "encoder.mobilenetv3.depth": 1.0, "context": "none", "fusion_width": 64, "fusion": "sgcp",
    "fusion.sgcp.paths": "down,up,down", "fusion.sgcp.high_features": True, "fusion.sgcp.weighted": True,
    "fusion.sgcp.pool": "max", "fusion.sgcp.pool_kernel": 3, "fusion.sgcp.skips": "separate", "smooth": False,
    "head": "plain", "head.plain.kernel": 1,
}  # fmt: skip
SUMMED: Point = {"head": "weighted", "head.weighted.weights": "plain", "head.weighted.conv": "none"}

DFANET: Point = {
    "input_scale": 1.0, "align_corners": True, "finest": "P2", "coarsest": "P4", "pool": "avg", "encoder_width": 1.0,
    "encoder": "xception", "encoder.xception.variant": "a", "encoder.xception.repeats": "4,6,4",
    "encoder.xception.attention": "fc", "encoder.xception.code": "paper", "context": "none", "fusion_width": 32, "fusion": "dfa",
    "fusion.dfa.networks": 3, "fusion.dfa.decoder": "both", "fusion.dfa.code": "paper", "smooth": False, "head": "plain", "head.plain.kernel": 1,
}  # fmt: skip

ESEG: Point = {
    "input_scale": 1.0, "align_corners": False, "finest": "P2", "coarsest": "P9", "pool": "avg", "encoder_width": 1.0,
    "encoder": "efficientnet", "encoder.efficientnet.depth": 1.1, "encoder.efficientnet.block": "mbconv",
    "encoder.efficientnet.output_stride": 32, "context": "none", "fusion_width": 96, "fusion": "bifpn",
    "fusion.bifpn.repeats": 4, "fusion.bifpn.weights": "softmax", "smooth": False, "head": "weighted",
    "head.weighted.weights": "softmax", "head.weighted.conv": "separable",
}  # fmt: skip
ESEG_FPN: Point = {"fusion": "fpn", "fusion.fpn.style": "eseg", "smooth": True}


def made(point: Point, **changes: str | int | float | bool) -> Network:
    """Network of a point with some choices changed, named by the last words of their dotted names."""
    full = {next((n for n in point if n.endswith(f".{word}")), word): value for word, value in changes.items()}
    with torch.device("meta"):
        return build(lower(check(UNIFIED, override(UNIFIED, point, full))))


def params(network: Network, *parts: str) -> int:
    return sum(p.numel() for part in parts for p in getattr(network, part).parameters())


def total(network: Network) -> int:
    return sum(p.numel() for p in network.parameters())


def test_sgcp_part_by_part() -> None:
    network = made(SGCPNET)
    assert params(network, "encoder") == 431_180
    assert params(network, "levels") == 37_528
    assert params(network, "neck") == 137_883
    assert params(network, "head") == 1_235
    assert [sum(p.numel() for n, p in path.named_parameters() if "sum" not in n) for path in network.neck.paths] == [
        19_456
    ] * 3
    assert sum(p.numel() for n, p in network.named_parameters() if n.endswith("sum.weights")) == 27
    assert count(network, (1024, 2048)).macs == pytest.approx(3.2749e9, abs=5e4)


@pytest.mark.parametrize(
    ("high", "paths", "changes", "printed"),
    [
        (False, "down", {}, 469_543),
        (False, "down,up", SUMMED, 498_610),
        (False, "down,up,down", {}, 518_074),
        (True, "down", {}, 540_863),
        (True, "down,up", SUMMED, 588_362),
        (True, "down,up,down", {}, 607_826),
        (True, "down,up,down", {"pool_kernel": 5}, 607_826),
        (True, "down,up,down", {"fusion.sgcp.pool": "avg"}, 607_826),
        (True, "down,up,down", {"weighted": False}, 607_799),
    ],
)
def test_sgcpnet_table_6(high: bool, paths: str, changes: dict, printed: int) -> None:
    point = SGCPNET | {"fusion.sgcp.high_features": high, "fusion.sgcp.paths": paths}
    assert total(made(point, **changes)) == printed


def test_sgcpnets_backbone_alone() -> None:
    assert total(made(SGCPNET, finest="P5", coarsest="P5", fusion="up", **{"fusion.up.widths": "constant"})) == 433_023


@pytest.mark.parametrize(
    ("variant", "networks", "decoder", "printed", "gmacs"),
    [
        ("a", 1, "none", 554_107, 1.674),
        ("a", 2, "none", 1_181_555, 2.425),
        ("a", 3, "none", 1_809_003, 2.613),
        ("a", 4, "none", 2_436_451, 2.661),
        ("b", 1, "none", 339_643, 0.855),
        ("b", 2, "none", 712_067, 1.212),
        ("b", 3, "none", 1_084_491, 1.302),
        ("b", 4, "none", 1_456_915, 1.325),
        ("a", 2, "high", 1_190_931, 2.455),
        ("a", 2, "both", 1_203_411, 3.222),
        ("a", 3, "high", 1_824_587, 2.648),
        ("a", 3, "both", 1_838_667, 3.421),
        ("b", 3, "high", 1_095_147, 1.326),
        ("b", 3, "both", 1_107_691, 2.055),
    ],
)
def test_dfanet_rows(variant: str, networks: int, decoder: str, printed: int, gmacs: float) -> None:
    network = made(DFANET, variant=variant, networks=networks, decoder=decoder)
    assert total(network) == printed
    if (variant == "a" and decoder == "none") or networks == 3:  # each variant, number of networks and decoder once
        assert count(network, (1024, 1024)).macs / 1e9 == pytest.approx(gmacs, abs=6e-4)


@pytest.mark.parametrize(
    ("variant", "net", "high", "low"), [("a", 627_448, 18_624, 4_800), ("b", 372_424, 12_480, 3_264)]
)
def test_dfa_part_by_part(variant: str, net: int, high: int, low: int) -> None:
    neck = made(DFANET, variant=variant).neck
    assert [sum(p.numel() for p in n.parameters()) for n in neck.networks] == [net, net]
    assert sum(p.numel() for p in neck.high.parameters()) == high
    assert sum(p.numel() for p in neck.low.parameters()) == low
    assert sum(p.numel() for p in neck.merge.parameters()) == 9_280


def test_dfanets_maps_shrink_network_by_network() -> None:
    for networks, stride in ((1, 16), (2, 32), (3, 64), (4, 128)):
        assert list(made(DFANET, networks=networks, decoder="none").neck.channels) == [stride]


def test_bifpn_part_by_part() -> None:
    network = made(ESEG)
    named = dict(network.neck.named_parameters())
    assert sum(p.numel() for n, p in named.items() if n.startswith("laterals")) == 172_032
    nodes = [node for path in network.neck.paths for node in path.nodes.values()]
    assert len(nodes) == 56
    assert {sum(p.numel() for p in node.conv.parameters()) for node in nodes} == {10_272}
    assert sum(p.numel() for n, p in named.items() if n.endswith("sum.weights")) == 136
    assert params(network, "neck") == 747_400
    assert params(network, "head") == 10_272 + 1_843 + 8


@pytest.mark.parametrize(
    ("changes", "printed", "macs"),
    [
        ({}, 6_860_547, 33_839_019_520),
        ({"coarsest": "P7"}, 6_634_329, 33_829_726_720),
        ({"coarsest": "P5"}, 6_408_111, 33_681_041_920),
        (
            {"encoder_width": 1.4, "encoder.efficientnet.depth": 1.8, "fusion_width": 192, "repeats": 5},
            19_994_125,
            110_333_316_960,
        ),
        (
            {"encoder_width": 2.0, "encoder.efficientnet.depth": 3.1, "fusion_width": 288, "repeats": 6},
            70_496_247,
            339_765_078_528,
        ),
    ],
)
def test_eseg_rows(changes: dict, printed: int, macs: int) -> None:
    network = made(ESEG, **changes)
    assert total(network) == printed
    assert count(network, (1024, 2048)).macs == macs


@pytest.mark.parametrize(("coarsest", "mega", "giga"), [("P5", 6.494, 39.45), ("P9", 6.950, 39.53)])
def test_esegs_fpn_rows(coarsest: str, mega: float, giga: float) -> None:
    network = made(ESEG, coarsest=coarsest, **ESEG_FPN)
    assert total(network) / 1e6 == pytest.approx(mega, abs=5e-4)
    assert count(network, (1024, 2048)).macs / 1e9 == pytest.approx(giga, abs=5e-3)


@pytest.mark.parametrize(
    ("levels", "warped"), [("all", 3), ("P2", 1), ("P3", 1), ("P4", 1), ("P2,P3", 2), ("P2,P4", 2), ("P3,P4", 2)]
)
def test_fam_level_by_level(levels: str, warped: int) -> None:
    network = made(named_points()["sfnet_r18"].choices, levels=levels)
    assert total(network) == 12_813_651 + warped * 18_688


@pytest.mark.parametrize(
    ("attention", "printed"), [("both", 378_391), ("channel", 378_391 - 4), ("spatial", 378_391 - 5_216)]
)
def test_meu_with_and_without_its_attentions(attention: str, printed: int) -> None:
    assert total(made(named_points()["fpenet"].choices, attention=attention)) == printed


def test_deeplab_reads_two_levels() -> None:
    aspp: Point = {"context": "aspp", "context.aspp.rates": "6,12,18", "context.aspp.join": "concat",
                   "context.aspp.join.concat.inner": 1, "fusion": "deeplab", "fusion.deeplab.low": 48,
                   "fusion_width": 256, "head": "plain", "head.plain.kernel": 1}  # fmt: skip
    network = made(ESEG, coarsest="P5", **aspp)
    assert count(network, (1024, 2048)).macs / 1e9 == pytest.approx(48.8, rel=0.02)
