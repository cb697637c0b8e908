"""The papers' networks, and networks nobody has written down, through the whole way out."""

from pathlib import Path

import pytest
import torch

from segsearch.deployment.deploy import deploy, fold, network_masks
from segsearch.deployment.onnx import OnnxModel, to_onnx
from segsearch.deployment.parity import agreement, prove
from segsearch.models.network import build
from segsearch.space.lower import lower
from segsearch.space.nodes import Point
from segsearch.space.points import named_points
from tests.covering import covering, name, sampled
from tests.deployment.networks import CLASSES, COLOURS, MEAN, SIZE, STD, pictures, randomized

NIGHTLY = pytest.mark.nightly


@pytest.mark.parametrize("point", covering()[5::12], ids=name)
def test_folding_keeps_the_logits_of_any_point(point: Point) -> None:
    network = randomized(build(lower(point), len(CLASSES), "both")).double().eval()
    image = torch.randn(1, 3, 75, 101, dtype=torch.float64)
    with torch.no_grad():
        expected = network(image)
        assert torch.allclose(fold(network)(image), expected, rtol=1e-8, atol=1e-8 * float(expected.abs().max()))


@pytest.mark.parametrize(
    ("point", "size_hw"),
    [
        pytest.param(named_points()["sfnet_r18"].choices, SIZE, id="sfnet_r18"),
        *(pytest.param(point, SIZE, id=name(point)) for point in covering()[7:9]),
        *(
            pytest.param(named_points()[known].choices, (64, 96), id=known, marks=NIGHTLY)
            for known in ("fpenet", "fpenet_xiaoyufenfei", "dfanet_huaifeng1993")
        ),
        *(pytest.param(point, (64, 96), id=name(point), marks=NIGHTLY) for point in sampled(10, 100)),
    ],
)
def test_the_artefact_of_any_point_is_proven(point: Point, size_hw: tuple[int, int], tmp_path: Path) -> None:
    network = randomized(build(lower(point), len(CLASSES)))
    deployed = deploy(network, size_hw, MEAN, STD)
    exported = to_onnx(deployed, tmp_path / "model.onnx", classes=CLASSES, colours=COLOURS)
    found = agreement(
        network_masks(network, MEAN, STD), OnnxModel(exported.path, threads=1).predict, pictures(2, size_hw)
    )
    prove(found)
    if point in [named.choices for named in named_points().values()]:
        assert found.classes_seen > 1, "a constant mask would prove nothing"
