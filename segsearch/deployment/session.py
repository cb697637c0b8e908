"""Running an ONNX artefact with onnxruntime; loads no torch, so that a fresh process is quick."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segsearch.deployment.images import as_image
from segsearch.deployment.lint_rules import INPUT, OUTPUT
from segsearch.deployment.metadata import Metadata
from segsearch.errors import InputError, MissingExtraError, one_line
from segsearch.files import no_file


def need(library: str) -> Any:
    """Import one of the libraries of the extra ``export``. Raises MissingExtraError where it is not installed."""
    try:
        return importlib.import_module(library)
    except ImportError as error:
        raise MissingExtraError(library, "export") from error


def load_session(path: Path, threads: int = 0) -> Any:
    """Open an artefact as an ``onnxruntime.InferenceSession`` on the CPU, with ``threads`` threads (0: one per core).

    Raises:
        MissingExtraError: onnxruntime is not installed.
        InputError: no such file, not ONNX, damaged, or not exported by segsearch.
    """
    assert threads >= 0
    runtime = need("onnxruntime")
    if not path.is_file():
        raise InputError(path, no_file(path, "there is no such file"))
    options = runtime.SessionOptions()
    options.log_severity_level = (
        4  # fatal only: what goes wrong is raised, and warnings about hardware help nobody here
    )
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    try:
        session = runtime.InferenceSession(
            str(path),
            options,
            providers=["CPUExecutionProvider"],
            enable_fallback=0,  # which prints, and tries again
        )
    except Exception as error:  # onnxruntime's error classes have no base of their own
        raise InputError(path, f"cannot be loaded as an ONNX model: {one_line(error)}") from error
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
            InputError: as `segsearch.deployment.images.as_image`.
        """
        planes = as_image(image, self.size_hw).transpose(2, 0, 1)
        mask: npt.NDArray[np.uint8] = self.run(np.ascontiguousarray(planes)[None])[0]
        return mask

    def run(self, planes: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Run the graph as it is: uint8 [1, 3, H, W] to uint8 [1, H, W]."""
        mask: npt.NDArray[np.uint8] = self.session.run([OUTPUT], {INPUT: planes})[0]
        return mask
