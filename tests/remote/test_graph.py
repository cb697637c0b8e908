"""What a worker lets in: graphs that segsearch exported, whole, with all of their data inside."""

import onnx
import pytest
from onnx import TensorProto, helper

from segsearch.errors import InputError, ProofError, SegsearchError
from segsearch.remote.graph import check_received, digest, graph_bytes

from .networks import SIZE, SPEC, deployed


def changed(graph: bytes, change: object) -> bytes:
    model = onnx.load_model_from_string(graph)
    change(model)
    return model.SerializeToString()


def test_what_is_sent_is_let_in_and_says_its_spec(graph: bytes) -> None:
    assert check_received(graph, SIZE) == SPEC
    assert graph_bytes(deployed(), SPEC) == graph, "the same network is the same bytes"
    assert digest(graph) != digest(graph_bytes(deployed(), "f" * 12))


def outside(name: str = "w") -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return tensor


def in_a_constant(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=outside()))


def in_a_branch(model: onnx.ModelProto) -> None:
    inner = helper.make_graph([helper.make_node("Constant", [], ["c"], value=outside())], "inner", [], [])
    model.graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner))


def in_a_sparse_one(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.append(onnx.SparseTensorProto(values=outside(), dims=[1]))


def half_told(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].external_data.add(key="location", value="elsewhere")


@pytest.mark.parametrize(
    "change",
    [lambda m: m.graph.initializer.append(outside()), in_a_constant, in_a_branch, in_a_sparse_one, half_told],
    ids=["weight", "constant", "branch", "sparse", "half told"],
)
def test_data_outside_of_the_file(graph: bytes, change: object) -> None:
    with pytest.raises(ProofError, match="graph: has data outside of the file"):
        check_received(changed(graph, change), SIZE)


def resized(model: onnx.ModelProto, name: str, **fields: object) -> None:
    """Give the graph's Resize an attribute of another type."""
    node = next(node for node in model.graph.node if node.op_type == "Resize")
    kept = [attribute for attribute in node.attribute if attribute.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, onnx.AttributeProto(name=name, **fields)])


def drop(key: str) -> object:
    def change(model: onnx.ModelProto) -> None:
        kept = [(entry.key, entry.value) for entry in model.metadata_props if entry.key != key]
        del model.metadata_props[:]
        for name, value in kept:
            model.metadata_props.add(key=name, value=value)

    return change


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (drop("segsearch"), "graph: is not a model exported by segsearch"),
        (drop("spec"), "graph: does not say which spec it was exported from"),
        (lambda m: m.opset_import.add(domain="com.microsoft", version=1), "must use ONNX opset 18 and nothing else"),
        (lambda m: m.graph.output[0].type.tensor_type.shape.dim[1].ClearField("dim_value"), "must have exactly 'mask'"),
        (lambda m: m.graph.output[0].ClearField("name"), "graph: is no valid ONNX"),
        (lambda m: resized(m, "mode", type=onnx.AttributeProto.INT, i=1), "graph: is no valid ONNX"),
        (lambda m: resized(m, "mode", type=onnx.AttributeProto.UNDEFINED), "graph: is no valid ONNX"),
        (lambda m: m.graph.node.add(op_type="GatherND", output=["x"]), "graph: is no valid ONNX"),
        (lambda m: m.metadata_props.add(key="mean", value="[" * 100_000), "graph: has damaged segsearch metadata"),
        (lambda m: m.graph.node[-1].ClearField("input"), "graph: is no valid ONNX"),
        (lambda m: setattr(m.graph.node[0], "op_type", "RunCode"), "graph: is no valid ONNX"),
    ],
)
def test_what_is_not_as_we_export(graph: bytes, change: object, line: str) -> None:
    with pytest.raises(SegsearchError, match=line) as caught:
        check_received(changed(graph, change), SIZE)
    assert "\n" not in str(caught.value)


def test_another_size(graph: bytes) -> None:
    with pytest.raises(InputError, match=r"graph: is exported at \(32, 48\), not at \(64, 96\)"):
        check_received(graph, (64, 96))


@pytest.mark.parametrize("cut", [1, 100, 0.5, 0.99])
def test_part_of_a_graph(graph: bytes, cut: float) -> None:
    whole = cut if isinstance(cut, int) else int(cut * len(graph))
    with pytest.raises(SegsearchError):
        check_received(graph[:whole], SIZE)
