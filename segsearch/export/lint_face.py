"""What only an artefact of ours must keep: one opset, nothing of others, bytes in and bytes out at one size."""

from collections.abc import Iterator
from typing import Any

OPSET = 18
"""From 20 on, GridSample says `linear` in place of `bilinear`, which TensorRT's importer silently takes for nearest."""

INPUT, OUTPUT = "image", "mask"


def check_opset(model: Any) -> Iterator[tuple[str, str]]:
    """Opset 18 and no other operators: everything else needs a runtime that knows them."""
    opsets = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    if opsets != {"ai.onnx": OPSET}:
        yield "graph", f"must use ONNX opset {OPSET} and nothing else, got {opsets}"
    if model.functions:
        yield "graph", f"has {len(model.functions)} local functions that were not inlined"


def check_face(model: Any, size_hw: tuple[int, int]) -> Iterator[tuple[str, str]]:
    """One uint8 image in and one uint8 mask out, at exactly the declared size: anything else was frozen otherwise."""
    sides = (
        (model.graph.input, INPUT, (1, 3, *size_hw)),
        (model.graph.output, OUTPUT, (1, *size_hw)),
    )
    for values, name, shape in sides:
        found = [(v.name, dimensions(v), v.type.tensor_type.elem_type) for v in values]
        if found != [(name, shape, _uint8())]:
            yield "graph", f"must have exactly '{name}', uint8 {shape}, got {[f[:2] for f in found]}"


def dimensions(value: Any) -> tuple[int | str, ...]:
    """Shape of a graph's value: a number per fixed side, the name or ``?`` per open one."""
    dims = value.type.tensor_type.shape.dim
    return tuple(d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in dims)


def _uint8() -> int:
    import onnx

    return int(onnx.TensorProto.UINT8)
