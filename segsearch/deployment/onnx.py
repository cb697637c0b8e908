"""The ONNX artefact: writing one self-contained, checked file."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import segsearch
from segsearch.deployment.deploy import Deployed
from segsearch.deployment.lint import check_graph, tidy
from segsearch.deployment.lint_rules import INPUT, OPSET, OUTPUT
from segsearch.deployment.metadata import Metadata
from segsearch.deployment.session import OnnxModel, load_session, need, read_metadata
from segsearch.errors import ProofError, one_line
from segsearch.files import write_atomic
from segsearch.quiet import quiet

__all__ = ["Colour", "Exported", "OnnxModel", "load_session", "read_metadata", "to_onnx", "trace", "trace_module"]

Colour = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Exported:
    """One written ONNX file: where, how many graph nodes, its opset, its size in bytes, and its sha256 in hex."""

    path: Path
    nodes: int
    opset: int
    size_bytes: int
    sha256: str


def to_onnx(
    deployed: Deployed,
    path: Path,
    *,
    classes: Sequence[str],
    colours: Sequence[Colour],
    metadata: Mapping[str, str] | None = None,
) -> Exported:
    """Write a deployed network as one ONNX file: ``image`` uint8 [1, 3, H, W] -> ``mask`` uint8 [1, H, W].

    Opset 18, fixed size, weights inside, checked before the file appears. Version, classes, colours, size and
    normalisation are stored inside it; ``metadata`` adds plain text of the caller's (spec id, study name).

    Raises:
        MissingExtraError: onnx or onnxscript is not installed.
        ProofError: the exporter made a graph that breaks a law of `segsearch.deployment.lint`.
        InputError: the file cannot be written.
    """
    for library in ("onnx", "onnxscript"):
        need(library)
    assert len(classes) == deployed.classes, f"{len(classes)} names for {deployed.classes} classes"
    facts = _facts(deployed, classes, colours, metadata or {})
    model = trace(deployed)
    nodes = check_graph(model, deployed.size_hw)
    _describe(model, facts)
    content: bytes = model.SerializeToString(deterministic=True)
    write_atomic(path, content)
    return Exported(
        path=path, nodes=nodes, opset=OPSET, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest()
    )


def trace(deployed: Deployed, opset: int = OPSET) -> Any:
    """Run torch's exporter on a deployed network, its mask fused, at its size. Result and errors: as `trace_module`."""
    return trace_module(deployed.fused(), torch.zeros(1, 3, *deployed.size_hw, dtype=torch.uint8), opset)


def trace_module(network: nn.Module, example: Tensor, opset: int = OPSET) -> Any:
    """Run torch's exporter and return the ``onnx.ModelProto``, unchecked, without notes on the exporting machine.

    Raises:
        ProofError: torch cannot export it.
    """
    try:
        with quiet():
            program = torch.onnx.export(
                network,
                (example,),
                dynamo=True,
                opset_version=opset,
                input_names=[INPUT],
                output_names=[OUTPUT],
                external_data=False,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise ProofError(f"torch cannot export this network: {one_line(error.__cause__ or error)}") from error
    assert program is not None
    model = program.model_proto
    tidy(model)
    return model


def _facts(deployed: Deployed, classes: Sequence[str], colours: Sequence[Colour], notes: Mapping[str, str]) -> Metadata:
    return Metadata.parse(
        {
            "segsearch": segsearch.__version__,
            "classes": list(classes),
            "colours": [list(colour) for colour in colours],
            "size_hw": list(deployed.size_hw),
            "mean": list(deployed.mean),
            "std": list(deployed.std),
            "notes": dict(notes),
        },
        "metadata",
    )


def _describe(model: Any, facts: Metadata) -> None:
    height, width = facts.size_hw
    model.doc_string = (
        f"Semantic segmentation into {len(facts.classes)} classes. {INPUT}: RGB, uint8 [1, 3, {height}, {width}], "
        f"0 to 255, normalised inside. {OUTPUT}: class index per pixel, uint8 [1, {height}, {width}]."
    )
    del model.metadata_props[:]
    for key, value in sorted(facts.to_properties().items()):
        model.metadata_props.add(key=key, value=value)
