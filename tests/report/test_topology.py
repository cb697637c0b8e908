"""Pictures of topologies: every neck and some random points, whole, without overlaps, the same bytes again."""

import itertools
import re
from xml.etree import ElementTree

import pytest
import torch

from segsearch.models.context import CONTEXTS
from segsearch.models.fusions import FUSIONS
from segsearch.models.necks.table import NECKS
from segsearch.models.necks.topdown import TopDown
from segsearch.models.network import build
from segsearch.report.topology.draw import draw_topology, topology
from segsearch.report.topology.graph import IMAGE
from segsearch.report.topology.layout import plan
from segsearch.report.topology.necks import DRAWN
from segsearch.report.topology.strokes import GLYPHS
from segsearch.space.lower import lower
from segsearch.space.points import named_points
from segsearch.spec.encoder import EncoderSpec
from segsearch.spec.network import NetworkSpec
from tests.command import refusal, run
from tests.covering import sampled

NAMED = (
    "sfnet_r18", "sfnet_df1_released", "fpenet", "fpenet_plain", "dfanet_a", "eseg_s", "eseg_s_fpn_p5", "eseg_b1_deeplab",
    "sgcpnet1",
)  # fmt: skip
SPECS = {name: named_points()[name].spec for name in NAMED} | {
    f"random_{i}": lower(point) for i, point in enumerate(sampled(6, seed=3))
}
PYRAMID = {"pyramid": {"finest": 1, "coarsest": 4}}
TIMM = named_points()["sgcpnet1"].spec.model_dump(mode="json") | {
    "encoder": {"kind": "timm", "name": "resnet18", "finest": 1, "channels": [64, 64, 128, 256, 512]},
}


def test_every_neck_is_drawn() -> None:
    assert DRAWN.keys() == NECKS.keys(), "report/topology/necks.py DRAWN has a row of each neck"
    assert NECKS.keys() == {spec.neck.kind for spec in SPECS.values()}, "NAMED in this file has a point of each neck"
    assert {box.glyph for spec in SPECS.values() for box in topology(spec).boxes} <= {"", *GLYPHS}


@pytest.mark.parametrize("kind", [kind for kind in CONTEXTS if kind != "none"])
def test_every_context_is_drawn(kind: str) -> None:
    spec = next(spec for point in sampled(200, seed=0) if (spec := lower(point)).context.kind == kind)
    drawn = any(box.kind == "context" for box in topology(spec).boxes)
    assert drawn, f"`_context` in report/topology/encoder.py writes the box of {kind}"


@pytest.mark.parametrize("name", SPECS)
def test_all_parts_lie_between_image_and_logits(name: str) -> None:
    graph = topology(SPECS[name])
    (image,) = (i for i, box in enumerate(graph.boxes) if box.lines[:1] and box.lines[0].startswith("image"))
    (logits,) = (i for i, box in enumerate(graph.boxes) if box.lines == ("logits",))
    ends = {i for i in range(len(graph.boxes)) if i not in {arrow.start for arrow in graph.arrows}}
    begins = {i for i in range(len(graph.boxes)) if i not in {arrow.end for arrow in graph.arrows}}
    assert (begins, ends) == ({image}, {logits})


@pytest.mark.parametrize("name", SPECS)
def test_every_block_is_told(name: str) -> None:
    """The encoder's, and of an aggregate neck those of each later network, which runs the read levels' stages."""
    spec, graph = SPECS[name], topology(SPECS[name])
    assert isinstance(spec.encoder, EncoderSpec)
    told = [sum(int(n) for n in re.findall(r" x(\d+)", " ".join(b.lines))) for b in graph.boxes if b.kind == "encoder"]
    depth = sum(stage.depth for stage in spec.encoder.stages)
    assert sum(told) >= depth if spec.neck.kind == "aggregate" else sum(told) == depth


@pytest.mark.parametrize("name", SPECS)
def test_boxes_do_not_overlap(name: str) -> None:
    graph = topology(SPECS[name])
    placed = plan(graph)
    sides = [
        (x - w / 2, x + w / 2, y - h / 2, y + h / 2) for (x, y), (w, h) in zip(placed.places, placed.sizes, strict=True)
    ]
    for a, b in itertools.combinations(sides, 2):
        assert a[1] <= b[0] or b[1] <= a[0] or a[3] <= b[2] or b[3] <= a[2]
    assert all(s[0] >= 0 and s[2] >= 0 and s[1] <= placed.width and s[3] <= placed.height for s in sides)


def laterals(spec: NetworkSpec) -> int:
    """Boxes of 1x1 alone: none is drawn left of a top-down neck but its laterals."""
    return sum(box.kind == "convolution" and box.lines[0].startswith("1x1 ") for box in topology(spec).boxes)


def top_down(fusion: str) -> NetworkSpec:
    neck = {"fusion": fusion, "widths": [64] * 3}
    return NetworkSpec.parse(named_points()["fpenet"].spec.model_dump(mode="json") | PYRAMID | {"neck": neck}, fusion)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_laterals_are_drawn_as_they_are_built(fusion: str) -> None:
    spec = top_down(fusion)
    with torch.device("meta"):
        neck = build(spec, 2).neck
    assert isinstance(neck, TopDown)
    assert laterals(spec) == len(neck.laterals)


def test_the_rules_say_which_fusion_has_no_laterals(monkeypatch) -> None:
    assert laterals(top_down("fpn"))
    monkeypatch.setattr("segsearch.report.topology.necks.PROJECTING", {"fpn"})
    assert not laterals(top_down("fpn"))


def test_three_networks_of_dfanet_stand_side_by_side() -> None:
    graph = topology(SPECS["dfanet_a"])
    columns: dict[int, list[int]] = {box.column: [] for box in graph.boxes if box.kind == "encoder"}
    for box in graph.boxes:
        if box.kind == "encoder" and not any("stem" in line for line in box.lines):
            columns[box.column].append(box.level)
    assert list(columns.values()) == [[2, 3, 4], [3, 4, 5], [4, 5, 6]]
    assert sum(arrow.way == "again" for arrow in graph.arrows) == 2


def test_paths_of_sgcpnet_go_down_up_and_down() -> None:
    graph = topology(SPECS["sgcpnet1"])
    ways: dict[int, set[str]] = {}
    for arrow in graph.arrows:
        start, end = graph.boxes[arrow.start], graph.boxes[arrow.end]
        if start.column == end.column and end.kind == "sum":
            ways.setdefault(start.column, set()).add(arrow.way)
    assert list(ways.values()) == [{"finer"}, {"coarser"}, {"finer"}]


def test_an_encoder_of_timm() -> None:
    graph = topology(NetworkSpec.parse(TIMM, "timm"))
    assert [box.lines for box in graph.boxes if box.kind == "encoder"] == [
        ("resnet18 64",), ("64",), ("128",), ("256",), ("512",)
    ]  # fmt: skip


def test_the_same_bytes_again_and_no_fonts(tmp_path) -> None:
    for name in ("a", "b"):
        draw_topology(SPECS["fpenet"], tmp_path / name, title="fpenet")
    content = (tmp_path / "a").read_bytes()
    assert content == (tmp_path / "b").read_bytes()
    tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(content).iter()}
    assert "path" in tags and not tags & {"text", "date", "image", "script"}


def test_show_draws(tmp_path) -> None:
    done = run("show", "fpenet", "--size", "64x64", "--picture", tmp_path / "fpenet.svg")
    assert done.returncode == 0 and (tmp_path / "fpenet.svg").read_text().startswith("<?xml")
    assert "FILE.svg" in refusal("show", "fpenet", "--size", "64x64", "--picture", tmp_path / "fpenet.png")


def test_the_image_is_below_all_levels() -> None:
    assert all(box.level > IMAGE for box in topology(SPECS["eseg_s"]).boxes if box.kind != "image")
