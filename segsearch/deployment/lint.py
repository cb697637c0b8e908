"""A linter for exported graphs: every rule is one known way in which a file runs and is wrong, slow, or another one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segsearch.deployment import lint_rules
from segsearch.deployment.lint_rules import check_face, check_opset
from segsearch.deployment.metadata import Metadata
from segsearch.errors import InputError, MissingExtraError, ProofError, SegsearchError, one_line
from segsearch.files import no_file

Rule = Callable[[Any], Iterator[tuple[str, str]]]
"""Takes an ``onnx.ModelProto`` and yields the place, a node's name, and what is wrong there."""

RULES: dict[str, Rule] = {
    "linear-warp": lint_rules.linear_warp,
    "training-mode": lint_rules.training_mode,
    "unrolled-pool": lint_rules.unrolled_pool,
    "mixed-corners": lint_rules.mixed_corners,
    "open-size": lint_rules.open_size,
    "frozen-size": lint_rules.frozen_size,
    "computed-size": lint_rules.computed_size,
    "double": lint_rules.double,
    "smooth-resize": lint_rules.smooth_resize,
    "outside": lint_rules.outside,
}
"""What must hold of any graph of a segmentation network, by name; each rule says why in its docstring."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One broken rule: its name, the node or value where, and what is wrong."""

    rule: str
    place: str
    problem: str

    def __str__(self) -> str:
        return f"{self.place} {self.problem}"


def lint(model: Any, size_hw: tuple[int, int] | None = None) -> list[Finding]:
    """Check an ``onnx.ModelProto``; with the ``size_hw`` that was asked for, also that it is an artefact of ours."""
    ours: dict[str, Rule] = {}
    if size_hw is not None:
        ours = {"opset": check_opset, "face": lambda model: check_face(model, size_hw)}
    checks = [(rule, check, model) for rule, check in ours.items()]
    whole = _inlined(model)
    checks += [(rule, check, whole) for rule, check in RULES.items()]
    return [Finding(rule=rule, place=p, problem=text) for rule, check, of in checks for p, text in check(of)]


def _inlined(model: Any) -> Any:
    """Put the body of every local function in the place of its calls: some exporters write a network as functions."""
    if not model.functions:
        return model
    from onnx.inliner import inline_local_functions

    return inline_local_functions(model)


def lint_file(path: Path) -> list[Finding]:
    """Check an ONNX file of anybody's; one that segsearch wrote also against the size it says it has.

    Raises:
        MissingExtraError: onnx is not installed.
        InputError: no such file, or not ONNX.
    """
    model = _read(path)
    try:
        properties = {entry.key: entry.value for entry in model.metadata_props}
        size_hw = Metadata.from_properties(properties, path).size_hw if "segsearch" in properties else None
        return lint(model, size_hw)
    except SegsearchError:
        raise
    except Exception as error:  # where the checker could not look, a node may lack its inputs, a name its letters
        raise _unsound(path, error) from error


def _read(path: Path) -> Any:
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("onnx", "export") from error
    if not path.is_file():
        raise InputError(path, no_file(path, "there is no such file"))
    try:
        model = onnx.load(path, load_external_data=False)
        if not list(lint_rules.outside(model)):  # the checker would look for the other file
            onnx.checker.check_model(model)
    except Exception as error:  # protobuf's and the checker's errors have no base in common
        raise _unsound(path, error) from error
    return model


def _unsound(path: Path, error: Exception) -> InputError:
    reason = "it holds text that is not UTF-8" if isinstance(error, UnicodeDecodeError) else one_line(error)
    return InputError(path, f"is not a sound ONNX model: {reason}")


def check_graph(model: Any, size_hw: tuple[int, int]) -> int:
    """Check an ``onnx.ModelProto`` by every rule and count its nodes.

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
