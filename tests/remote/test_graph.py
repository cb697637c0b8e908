"""What a worker lets in: graphs that segsearch exported, whole, with all of their data inside."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from segsearch.errors import InputError, ProofError, SegsearchError
from segsearch.remote.graph import check_received, digest, graph_bytes

from .networks import SIZE, SPEC, deployed

HOME = Path(__file__).parents[2]
"""Of the package."""


def changed(graph: bytes, change: object) -> bytes:
    model = onnx.load_model_from_string(graph)
    change(model)
    return model.SerializeToString()


def test_what_is_sent_is_let_in_and_says_its_spec(graph: bytes) -> None:
    assert check_received(graph, SIZE) == SPEC
    assert graph_bytes(deployed(), SPEC) == graph, "the same network is the same bytes"
    assert digest(graph) != digest(graph_bytes(deployed(), "f" * 12))


LOCATION = "@" * 16
"""In the place of the name of a file."""


def outside(name: str = "w") -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=LOCATION)
    return tensor


_opened: list[list[str]] = []
sys.addaudithook(lambda event, args: _opened[-1].append(str(args[0])) if event == "open" and _opened else None)


@contextmanager
def watched() -> Iterator[list[str]]:
    """Names of the files that Python opens in the block, but those of libraries that load late."""
    _opened.append([])
    found: list[str] = []
    try:
        yield found
    finally:
        found += [name for name in _opened.pop() if not name.startswith((sys.prefix, sys.base_prefix, str(HOME)))]


def in_a_constant(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=outside()))


def in_a_branch(model: onnx.ModelProto) -> None:
    inner = helper.make_graph([helper.make_node("Constant", [], ["c"], value=outside())], "inner", [], [])
    model.graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner))


def in_a_sparse_one(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.append(onnx.SparseTensorProto(values=outside(), dims=[1]))


def half_told(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].external_data.add(key="location", value=LOCATION)


def in_a_function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Constant", [], ["c"], value=outside())
    model.functions.append(helper.make_function("ours", "f", [], ["c"], [node], [helper.make_opsetid("", 18)]))


def in_a_sparse_attribute(model: onnx.ModelProto) -> None:
    sparse = onnx.SparseTensorProto(values=outside(), dims=[1])
    model.graph.node.append(helper.make_node("Constant", [], ["c"], sparse_value=sparse))


def in_training(model: onnx.ModelProto) -> None:
    model.training_info.add().algorithm.initializer.append(outside())


def said_only(model: onnx.ModelProto) -> None:
    """Some readers look at one of the two fields, some at the other."""
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL


@pytest.mark.parametrize("location", ["../../etc/passwd", "/etc/passwd", "weights.bin", "network.onnx", "job.json"])
@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.graph.initializer.append(outside()),
        in_a_constant,
        in_a_branch,
        in_a_sparse_one,
        in_a_sparse_attribute,
        in_a_function,
        in_training,
        half_told,
        said_only,
    ],
    ids=["weight", "constant", "branch", "sparse", "attribute", "function", "training", "half told", "said only"],
)
def test_data_outside_of_the_file(
    graph: bytes, change: object, location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it is said to lie, there or not, and nothing looks for it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.bin").write_bytes(bytes(4))
    sent = changed(graph, change).replace(LOCATION.encode(), location.ljust(len(LOCATION), "/").encode())
    with watched() as opened, pytest.raises(ProofError, match="graph: has data outside of the file"):
        check_received(sent, SIZE)
    assert opened == []


def deep(field: int, times: int) -> bytes:
    """A graph in a node's attribute of a graph in a node's attribute ...; protobuf's own writer would refuse to."""
    inner = b""
    for _ in range(times):
        for number in (6, 5, 1):  # AttributeProto.g or .graphs, NodeProto.attribute, GraphProto.node
            number = field if number == 6 else number
            inner = bytes([number << 3 | 2]) + length(len(inner)) + inner
    return bytes([7 << 3 | 2]) + length(len(inner)) + inner  # ModelProto.graph


def length(value: int) -> bytes:
    """Protobuf's way to write a number."""
    written = bytearray()
    while value >= 128:
        written.append(value % 128 + 128)
        value //= 128
    return bytes([*written, value])


@pytest.mark.parametrize("field", [6, 11])
@pytest.mark.parametrize("times", [1, 20, 30, 40, 1000, 20_000])
def test_graphs_deep_inside_each_other(graph: bytes, field: int, times: int) -> None:
    """A message in two parts is the same as one: protobuf joins them."""
    with pytest.raises(InputError, match="graph: is no(t| valid) ONNX") as caught:
        check_received(graph + deep(field, times), SIZE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [b"Resize", b"image", b"mask", b"segsearch", b"spec", SPEC.encode(), b"linear"])
def test_text_that_is_no_utf_8(graph: bytes, text: bytes) -> None:
    """Names of operators, of tensors, of notes, what a note says, what an attribute says."""
    assert text in graph
    with pytest.raises(SegsearchError, match="graph: ") as caught:
        check_received(graph.replace(text, b"\xff" * len(text)), SIZE)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 700


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
