import copy
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest

from segsearch.deployment.deploy import Deployed
from segsearch.deployment.lint import check_graph
from segsearch.deployment.onnx import Exported, trace
from segsearch.deployment.quantise import quantise
from segsearch.errors import ProofError
from segsearch.remote.graph import graph_bytes
from tests.deployment.networks import SIZE, pictures


@pytest.fixture(scope="module")
def good(exported: Exported) -> Any:
    return onnx.load(exported.path)


@pytest.fixture
def graph(good: Any) -> Any:
    return copy.deepcopy(good)


def named(graph: Any, kind: str) -> Any:
    return next(node for node in graph.graph.node if node.op_type == kind)


def test_the_artefact_keeps_every_law(graph: Any) -> None:
    assert check_graph(graph, SIZE) == len(graph.graph.node)


def test_pyramid_pooling_on_odd_sizes_stays_a_few_nodes(graph: Any) -> None:
    kinds = [node.op_type for node in graph.graph.node]
    assert kinds.count("MatMul") == 6 and not {"Gather", "GatherND", "Slice"} & set(kinds)
    assert len(kinds) < 60


@pytest.mark.parametrize("opset", [18, 19, 21])
def test_the_ir_version_is_the_lowest_of_the_opset(opset: int, deployed: Deployed) -> None:
    model = trace(deployed, opset=opset)
    assert model.ir_version == {18: 8, 19: 9, 21: 10}[opset]
    onnx.checker.check_model(model, full_check=True)


def test_every_form_is_of_the_lowest_ir_version(
    good: Any, deployed: Deployed, exported: Exported, tmp_path: Path
) -> None:
    quantise(exported.path, tmp_path / "int8.onnx", pictures(1))
    sent = onnx.load_model_from_string(graph_bytes(deployed, "0123456789ab"))
    for model in (good, onnx.load(tmp_path / "int8.onnx"), sent):
        assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]
        assert model.ir_version == 8
        onnx.checker.check_model(model, full_check=True)
        onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def test_opset_20_is_refused(deployed: Deployed) -> None:
    with pytest.raises(ProofError, match="must use ONNX opset 18"):
        check_graph(trace(deployed, opset=20), SIZE)


def test_a_linear_warp_is_refused_whatever_the_opset_says(graph: Any) -> None:
    mode = next(a for a in named(graph, "GridSample").attribute if a.name == "mode")
    assert mode.s == b"bilinear"
    mode.s = b"linear"
    with pytest.raises(ProofError, match="GridSample with mode linear"):
        check_graph(graph, SIZE)


def test_a_norm_in_training_mode_is_refused(graph: Any) -> None:
    names = [f"n{i}" for i in range(5)]
    graph.graph.node.append(onnx.helper.make_node("BatchNormalization", names, ["y", "m", "v"], "bn", training_mode=1))
    with pytest.raises(ProofError, match="bn is BatchNormalization in training mode"):
        check_graph(graph, SIZE)


def test_a_foreign_operator_set_is_refused(graph: Any) -> None:
    graph.opset_import.add(domain="com.example", version=1)
    with pytest.raises(ProofError, match="nothing else"):
        check_graph(graph, SIZE)


def test_a_local_function_is_refused(graph: Any) -> None:
    graph.functions.add(name="f", domain="local")
    with pytest.raises(ProofError, match="local functions"):
        check_graph(graph, SIZE)


def test_weights_outside_the_file_are_refused(graph: Any, tmp_path: Path) -> None:
    options = {"save_as_external_data": True, "location": "w.bin", "size_threshold": 0}
    onnx.save(graph, tmp_path / "m.onnx", **options)
    with pytest.raises(ProofError, match="outside the file"):
        check_graph(onnx.load(tmp_path / "m.onnx", load_external_data=False), SIZE)


@pytest.mark.parametrize("change", ["size", "free", "name", "type", "more"])
def test_another_face_is_refused(graph: Any, change: str) -> None:
    value = graph.graph.input[0]
    if change == "size":
        value.type.tensor_type.shape.dim[2].dim_value = 96
    elif change == "free":
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    elif change == "name":
        value.name = "input"
    elif change == "type":
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    else:
        graph.graph.input.add().CopyFrom(graph.graph.output[0])
    with pytest.raises(ProofError, match="must have exactly 'image'"):
        check_graph(graph, SIZE)
