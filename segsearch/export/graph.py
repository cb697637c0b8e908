"""What must hold of an exported graph, whatever the exporter thinks."""

from typing import Any

from segsearch.errors import ProofError
from segsearch.export.lint import lint
from segsearch.export.lint_face import INPUT, OPSET, OUTPUT

__all__ = ["INPUT", "OPSET", "OUTPUT", "check_graph", "tidy"]


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


def tidy(model: Any) -> None:
    """Declare, in place, the lowest IR version that the opset needs, and remove the exporter's notes on each node.

    Tools write the newest IR version that they know, which runtimes of the year before refuse to load. The notes name
    source files of the machine that exported.
    """
    import onnx

    model.ir_version = onnx.helper.find_min_ir_version_for(model.opset_import, ignore_unknown=True)
    graph = model.graph
    for thing in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        thing.ClearField("metadata_props")
        thing.ClearField("doc_string")
