"""The ONNX artefact: writing one self-contained, checked file, and running it with onnxruntime."""

import hashlib
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import segsearch
from segsearch.errors import InputError, MissingExtraError
from segsearch.export.deploy import Deployed
from segsearch.export.graph import INPUT, OPSET, OUTPUT, check_graph, strip
from segsearch.export.metadata import Metadata
from segsearch.files import write_atomic
from segsearch.quiet import quiet

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
        ProofError: the exporter made a graph that breaks a law of `segsearch.export.graph`.
        InputError: the file cannot be written.
    """
    for library in ("onnx", "onnxscript"):
        _need(library)
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
    """Run torch's exporter and return the ``onnx.ModelProto``, unchecked, without notes on the exporting machine."""
    example = torch.zeros(1, 3, *deployed.size_hw, dtype=torch.uint8)
    with quiet():
        program = torch.onnx.export(
            deployed,
            (example,),
            dynamo=True,
            opset_version=opset,
            input_names=[INPUT],
            output_names=[OUTPUT],
            external_data=False,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    strip(model)
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


def _need(library: str) -> Any:
    try:
        return importlib.import_module(library)
    except ImportError as error:
        raise MissingExtraError(library, "export") from error


def load_session(path: Path, threads: int = 0) -> Any:
    """Open an artefact as an ``onnxruntime.InferenceSession`` on the CPU, with ``threads`` threads (0: one per core).

    Raises:
        MissingExtraError: onnxruntime is not installed.
        InputError: no such file, not ONNX, truncated, or not exported by segsearch.
    """
    assert threads >= 0
    runtime = _need("onnxruntime")
    if not path.is_file():
        raise InputError(path, "there is no such file")
    options = runtime.SessionOptions()
    options.log_severity_level = (
        4  # fatal only: what goes wrong is raised, and warnings about hardware help nobody here
    )
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    try:
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's error classes have no base of their own
        reason = str(error).strip().splitlines()[-1][:160]
        raise InputError(path, f"cannot be loaded as an ONNX model, it may be truncated: {reason}") from error
    _check_session(session, path)
    return session


def read_metadata(session: Any, path: Path) -> Metadata:
    """Read what a loaded artefact says about itself. Raises InputError if segsearch did not write it."""
    return Metadata.from_properties(session.get_modelmeta().custom_metadata_map, path)


def _check_session(session: Any, path: Path) -> None:
    size_hw = read_metadata(session, path).size_hw
    given = [(v.name, v.type, tuple(v.shape)) for v in (*session.get_inputs(), *session.get_outputs())]
    declared = [(INPUT, "tensor(uint8)", (1, 3, *size_hw)), (OUTPUT, "tensor(uint8)", (1, *size_hw))]
    if given != declared:
        raise InputError(path, f"its graph is not what its metadata say: {given}")


class OnnxModel:
    """An artefact ready to segment images.

    Attributes:
        path: the file.
        size_hw: the only image size it takes, in pixels.
        classes: names, by class index.
        colours: RGB 0..255, by class index.
        notes: what else the exporter was told to store (the spec's id, the study's name).
        session: the onnxruntime session.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        """Load ``path``; raises as `load_session`."""
        self.path = path
        self.session = load_session(path, threads)
        facts = read_metadata(self.session, path)
        self.size_hw, self.classes, self.colours, self.notes = facts.size_hw, facts.classes, facts.colours, facts.notes

    def predict(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Segment an RGB image, uint8 [H, W, 3], into class indices, uint8 [H, W].

        Raises:
            InputError: the image has another size or is not uint8.
        """
        if image.shape != (*self.size_hw, 3) or image.dtype != np.uint8:
            raise InputError("image", f"must be uint8 {(*self.size_hw, 3)}, got {image.dtype} {image.shape}")
        mask: npt.NDArray[np.uint8] = self.run(np.ascontiguousarray(image.transpose(2, 0, 1))[None])[0]
        return mask

    def run(self, planes: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Run the graph as it is: uint8 [1, 3, H, W] to uint8 [1, H, W]."""
        mask: npt.NDArray[np.uint8] = self.session.run([OUTPUT], {INPUT: planes})[0]
        return mask
