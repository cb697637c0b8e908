import warnings
from pathlib import Path

import onnx
import pytest
from torch import nn

from segsearch.deployment.deploy import network_masks
from segsearch.deployment.lint import lint_file
from segsearch.deployment.onnx import Exported, OnnxModel
from segsearch.deployment.parity import agreement
from segsearch.deployment.quantise import classifiers, quantise
from segsearch.errors import InputError
from tests.deployment.networks import MEAN, SIZE, STD, pictures


@pytest.fixture(scope="module")
def rounded(exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "model_int8.onnx"
    assert quantise(exported.path, path, pictures(3, seed=1)) == 3
    return path


def test_convolutions_are_rounded_and_the_classifier_is_not(rounded: Path, exported: Exported) -> None:
    before, after = onnx.load(exported.path), onnx.load(rounded)
    makers = {out: node.op_type for node in after.graph.node for out in node.output}
    weights = {node.name: makers.get(node.input[1]) for node in after.graph.node if node.op_type == "Conv"}
    left = [name for name, maker in weights.items() if maker != "DequantizeLinear"]
    assert left == classifiers(before) and len(weights) == 6
    assert rounded.stat().st_size < exported.size_bytes


def test_it_does_nearly_what_the_network_does(rounded: Path, network: nn.Module) -> None:
    found = agreement(network_masks(network, MEAN, STD), OnnxModel(rounded, threads=1).predict, pictures(2))
    assert 0.9 < found.fraction < 1


def test_the_file_says_what_it_is_and_nothing_of_the_tool(rounded: Path, exported: Exported) -> None:
    one, other = OnnxModel(rounded, threads=1), OnnxModel(exported.path, threads=1)
    assert (one.classes, one.colours, one.notes, one.size_hw) == (other.classes, other.colours, other.notes, SIZE)
    assert lint_file(rounded) == []


def test_no_images_are_no_ranges(exported: Exported, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="calibration: no images"):
        quantise(exported.path, tmp_path / "m.onnx", [])
    assert not list(tmp_path.iterdir())


def test_the_library_says_nothing(exported: Exported, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        quantise(exported.path, tmp_path / "m.onnx", pictures(1))
    assert (*capfd.readouterr(), caught) == ("", "", [])
