"""What must hold of an exported graph, whatever the exporter thinks."""

from typing import Any

from segsearch.errors import ProofError
from segsearch.export.lint import lint
from segsearch.export.lint_face import INPUT, OPSET, OUTPUT

__all__ = ["INPUT", "OPSET", "OUTPUT", "check_graph", "strip"]


def check_graph(model: Any, size_hw: tuple[int, int]) -> int:
    """Check an ``onnx.ModelProto`` by every rule of `segsearch.export.lint` and count its nodes.

    Raises:
        ProofError: a rule is broken; says where, and how many more are.
    """
    import onnx

    found = lint(model, size_hw)
    if found:
        more = f" (and {len(found) - 1} more findings)" if len(found) > 1 else ""
        raise ProofError(f"exported graph: {found[0]}{more}")
    onnx.checker.check_model(model, full_check=True)
    return len(model.graph.node)


def strip(model: Any) -> None:
    """Remove, in place, the exporter's notes on each node: they name source files of the machine that exported."""
    graph = model.graph
    for thing in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        thing.ClearField("metadata_props")
        thing.ClearField("doc_string")
