"""The papers' networks, and networks nobody has written down, through the whole way out."""

import random
from pathlib import Path

import pytest
import torch
from export_networks import CLASSES, COLOURS, MEAN, SIZE, STD, lively, pictures

from segsearch.export.deploy import deploy, fold, network_masks
from segsearch.export.onnx import OnnxModel, to_onnx
from segsearch.export.parity import agreement, prove
from segsearch.models.build import build
from segsearch.space.load import load_space
from segsearch.space.lower import lower
from segsearch.space.nodes import Point
from segsearch.space.points import named_points
from segsearch.space.walk import sample


def sampled(seed: int) -> Point:
    return sample(load_space("unified"), random.Random(seed))


@pytest.mark.parametrize("point", [*(sampled(seed) for seed in range(6))], ids=[f"seed{s}" for s in range(6)])
def test_folding_keeps_the_logits_of_any_point(point: Point) -> None:
    network = lively(build(lower(point), len(CLASSES), "both")).double().eval()
    image = torch.randn(1, 3, 75, 101, dtype=torch.float64)
    with torch.no_grad():
        expected = network(image)
        assert torch.allclose(fold(network)(image), expected, rtol=1e-8, atol=1e-8 * float(expected.abs().max()))


@pytest.mark.parametrize(
    ("point", "size_hw"),
    [
        (named_points()["sfnet_r18"].choices, SIZE),
        (named_points()["fpenet"].choices, SIZE),
        (named_points()["fpenet_xiaoyufenfei"].choices, (64, 96)),
        (named_points()["dfanet_huaifeng1993"].choices, (64, 96)),
        (sampled(100), (64, 96)),
        (sampled(101), SIZE),
    ],
    ids=["sfnet_r18", "fpenet", "fpenet_xiaoyufenfei", "dfanet_huaifeng1993", "seed100", "seed101"],
)
def test_the_artefact_of_any_point_is_proven(point: Point, size_hw: tuple[int, int], tmp_path: Path) -> None:
    network = lively(build(lower(point), len(CLASSES)))
    deployed = deploy(network, size_hw, MEAN, STD)
    exported = to_onnx(deployed, tmp_path / "model.onnx", classes=CLASSES, colours=COLOURS)
    found = agreement(
        network_masks(network, MEAN, STD), OnnxModel(exported.path, threads=1).predict, pictures(2, size_hw)
    )
    prove(found)
    if point in [named.choices for named in named_points().values()]:
        assert found.classes_seen > 1, "a constant mask would prove nothing"
    image = torch.from_numpy(pictures(1, size_hw)[0]).permute(2, 0, 1)[None]
    program = torch.export.export(deployed, (image,), strict=False)
    assert torch.equal(program.module()(image), deployed(image))
