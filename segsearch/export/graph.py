"""What must hold of an exported graph, whatever the exporter thinks."""

from typing import Any

from segsearch.errors import ProofError

OPSET = 18
"""From 20 on, GridSample says `linear` in place of `bilinear`, which TensorRT's importer silently takes for nearest."""

INPUT, OUTPUT = "image", "mask"


def check_graph(model: Any, size_hw: tuple[int, int]) -> int:
    """Check an ``onnx.ModelProto`` and count its nodes.

    Raises:
        ProofError: another opset, a bilinear warp that some runtimes read as nearest, a BatchNorm in training mode,
            weights outside the file, or an input or output whose name, shape or type is not the declared one.
    """
    import onnx

    _check_opset(model)
    _check_inside(model, onnx.TensorProto.EXTERNAL)
    _check_nodes(model)
    byte = onnx.TensorProto.UINT8
    _check_face(model.graph.input, INPUT, (1, 3, *size_hw), byte)
    _check_face(model.graph.output, OUTPUT, (1, *size_hw), byte)
    onnx.checker.check_model(model, full_check=True)
    return len(model.graph.node)


def strip(model: Any) -> None:
    """Remove, in place, the exporter's notes on each node: they name source files of the machine that exported."""
    graph = model.graph
    for thing in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        thing.ClearField("metadata_props")
        thing.ClearField("doc_string")


def _check_opset(model: Any) -> None:
    opsets = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    if opsets != {"ai.onnx": OPSET}:
        raise ProofError(f"exported graph: must use ONNX opset {OPSET} and nothing else, got {opsets}")
    if model.functions:
        raise ProofError(f"exported graph: {len(model.functions)} local functions were not inlined")


def _check_inside(model: Any, external: int) -> None:
    outside = [weight.name for weight in model.graph.initializer if weight.data_location == external]
    if outside:
        raise ProofError(f"exported graph: {len(outside)} weights lie outside the file, the first is {outside[0]}")


def _check_nodes(model: Any) -> None:
    for node in model.graph.node:
        attributes = {a.name: a for a in node.attribute}
        if node.op_type == "GridSample" and "mode" in attributes and attributes["mode"].s == b"linear":
            raise ProofError(
                f"exported graph: {node.name} is GridSample with mode linear, which TensorRT reads as nearest"
            )
        if node.op_type == "BatchNormalization" and "training_mode" in attributes and attributes["training_mode"].i:
            raise ProofError(f"exported graph: {node.name} is BatchNormalization in training mode")


def _check_face(values: Any, name: str, shape: tuple[int, ...], element: int) -> None:
    found = [(v.name, _shape(v), v.type.tensor_type.elem_type) for v in values]
    if found != [(name, shape, element)]:
        raise ProofError(f"exported graph: must have exactly '{name}', uint8 {shape}, got {[f[:2] for f in found]}")


def _shape(value: Any) -> tuple[int | str, ...]:
    dims = value.type.tensor_type.shape.dim
    return tuple(d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in dims)
