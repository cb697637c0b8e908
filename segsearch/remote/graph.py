"""The exported graph as the bytes that travel: made here, and checked there as if a stranger had sent it."""

import copy
import hashlib
import tempfile
from pathlib import Path
from typing import Any

import torch

from segsearch.deployment.deploy import Deployed
from segsearch.deployment.lint import check_graph
from segsearch.deployment.metadata import Metadata
from segsearch.deployment.onnx import to_onnx
from segsearch.deployment.onnx_walk import is_outside, tensors
from segsearch.errors import InputError, MissingExtraError, ProofError, SegsearchError, one_line

SPEC = "spec"
"""The note inside an artefact that holds the id of its spec."""


def graph_bytes(deployed: Deployed, spec_id: str, holds: str | None = None) -> bytes:
    """Export as the artefact is exported, with the spec's id inside and weights of the format ``holds``.

    Raises: InputError for int8, which only files hold; else as `segsearch.deployment.onnx.to_onnx`.
    """
    if holds == "int8":
        raise InputError("precision", "int8 comes from a quantised ONNX file, not from a network")
    count = deployed.classes
    names, colours = [f"class {index}" for index in range(count)], [(0, 0, 0)] * count
    with tempfile.TemporaryDirectory(prefix="segsearch-graph-") as folder:
        path = Path(folder) / "network.onnx"
        to_onnx(_in(deployed, holds), path, classes=names, colours=colours, metadata={SPEC: spec_id})
        return path.read_bytes()


def _in(deployed: Deployed, holds: str | None) -> Deployed:
    return deployed if holds is None else copy.deepcopy(deployed).to(getattr(torch, holds))


def digest(graph: bytes) -> str:
    """Sha256 in hex."""
    return hashlib.sha256(graph).hexdigest()


def check_received(graph: bytes, size_hw: tuple[int, int]) -> str:
    """See that bytes are a graph that segsearch exported at this size; return the spec's id that stands inside.

    Nothing is read but the bytes: data that lies in other files is refused before anything looks for it.

    Raises:
        InputError: no ONNX, another program's, another size, or no id. ProofError: as `check_graph`, and data that
            lies outside of the file, wherever in the model. MissingExtraError: onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("onnx", "export") from error
    try:
        model = onnx.load_model_from_string(graph)
    except Exception as error:  # protobuf's own class, from a package without types
        raise InputError("graph", "is not ONNX") from error
    try:
        return _spec_id(model, size_hw)
    except SegsearchError:
        raise
    except Exception as error:  # of onnx, or of Python where text is no UTF-8 or graphs lie too deep inside each other
        raise InputError("graph", f"is no valid ONNX: {one_line(error)}") from error


def _spec_id(model: Any, size_hw: tuple[int, int]) -> str:
    import onnx

    if any(map(is_outside, tensors(model))):
        raise ProofError("graph: has data outside of the file")
    facts = Metadata.from_properties({entry.key: entry.value for entry in model.metadata_props}, "graph")
    if facts.size_hw != size_hw:
        raise InputError("graph", f"is exported at {facts.size_hw}, not at {size_hw}")
    if not facts.notes.get(SPEC):
        raise InputError("graph", "does not say which spec it was exported from")
    onnx.checker.check_model(model)  # the linter takes operators and attributes for what they should be
    check_graph(model, size_hw)
    return facts.notes[SPEC]
