"""The OpenVINO artefact: ``.xml`` and ``.bin``, made from the ONNX file, and run on the CPU."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segsearch.errors import InputError, MissingExtraError, one_line
from segsearch.files import no_file

_TELEMETRY = "openvino_telemetry"
_PROPERTIES = ["framework"]
"""Where OpenVINO keeps the properties of an ONNX file that it has read."""


def openvino() -> Any:
    """Import OpenVINO without its telemetry, which looks up a host and writes to the home folder on import.

    OpenVINO falls back to its own stub where ``openvino_telemetry`` cannot be imported, so for the time of the import
    it cannot be. It binds the stub once and for all; a program that imported OpenVINO before us keeps what it has.

    Raises:
        MissingExtraError: it is not installed.
    """
    with _unimportable(_TELEMETRY):
        try:
            import openvino as library
        except ImportError as error:
            raise MissingExtraError("openvino", "openvino") from error
    return library


@cache
def core() -> Any:
    """Give the process's one OpenVINO Core, which lives as long as the process.

    A Core that computes on the CPU gives the calling thread another stack for signals, and frees it when it goes. If
    it goes on another thread, or while a second Core lives, signals are still sent to freed memory: the next Ctrl-C
    would end the process with a segmentation fault.

    Raises:
        MissingExtraError: OpenVINO is not installed.
    """
    return openvino().Core()


@contextmanager
def _unimportable(name: str) -> Iterator[None]:
    """Let ``import name`` fail inside the block."""
    before = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]  # how Python marks what cannot be imported
    try:
        yield
    finally:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before


def to_openvino(onnx_file: Path, path: Path) -> tuple[Path, Path]:
    """Convert an ONNX artefact into ``path``, an ``.xml``, and the ``.bin`` of its weights, kept in float32.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        InputError: the files cannot be written, or the ONNX file cannot be read.
    """
    library, weights = openvino(), path.with_suffix(".bin")
    try:
        model = read_model(onnx_file)
    except RuntimeError as error:
        raise InputError(onnx_file, f"OpenVINO cannot read it: {one_line(error)}") from error
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".openvino.") as folder:
            whole = Path(folder) / path.name
            # by default the weights would be halved to float16
            library.save_model(model, str(whole), compress_to_fp16=False)
            whole.with_suffix(".bin").replace(weights)
            whole.replace(path)
    except (OSError, RuntimeError) as error:
        raise InputError(path, f"cannot be written: {one_line(error)}") from error
    return path, weights


class OpenVinoModel:
    """An OpenVINO artefact ready to segment images on the CPU.

    Attributes:
        size_hw: the only image size it takes, in pixels.
        precision: what it computes in, by OpenVINO's word: ``f32``, ``bf16``, ``f16``.
        properties: what the ONNX file that it was made from says of itself (`segsearch.deployment.metadata`).
    """

    def __init__(self, path: Path, threads: int = 0, precision: str | None = "f32") -> None:
        """Load an ``.xml``, or an ONNX file, for ``threads`` threads (0: OpenVINO's choice).

        ``precision`` None leaves the choice to OpenVINO, which takes bf16 on processors that have it.

        Raises:
            MissingExtraError: OpenVINO is not installed.
            InputError: no such file, or not a model.
        """
        runtime = core()
        if not path.is_file():
            raise InputError(path, no_file(path, "there is no such file"))
        options: dict[str, Any] = {"INFERENCE_NUM_THREADS": threads} if threads else {}
        if precision is not None:
            options["INFERENCE_PRECISION_HINT"] = precision
        try:
            model = read_model(path)
            self._compiled = runtime.compile_model(model, "CPU", options)
        except RuntimeError as error:
            raise InputError(path, f"cannot be loaded by OpenVINO: {one_line(error)}") from error
        self.size_hw = (int(self._compiled.input(0).shape[2]), int(self._compiled.input(0).shape[3]))
        held = model.get_rt_info(_PROPERTIES).value if model.has_rt_info(_PROPERTIES) else {}
        self.properties = {key: value for key, value in held.items() if isinstance(value, str)}
        self.precision = str(self._compiled.get_property("INFERENCE_PRECISION_HINT").to_string())

    def predict(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Segment an RGB image, uint8 [H, W, 3], into class indices, uint8 [H, W]."""
        planes = np.ascontiguousarray(image.transpose(2, 0, 1))[None]
        mask: npt.NDArray[np.uint8] = self._compiled([planes])[0][0].copy()  # the runtime writes into it again
        return mask


def read_model(path: Path) -> Any:
    """Read an ONNX file or an ``.xml`` as OpenVINO's model. Raises RuntimeError as OpenVINO does.

    What takes bytes, as all files of ours do, is made ready to run fast; others stay as OpenVINO reads them.
    """
    model = core().read_model(str(path))
    if model.input(0).get_element_type() == openvino().Type.u8:
        relax_argmax(model)
    return model


def relax_argmax(model: Any) -> None:
    """Let OpenVINO pick the largest of K by its fast kernel: change, in place, each stable top 1 of a read model.

    ONNX's ArgMax is read as a stable TopK, whose kernel takes about seven times as long on maps with channels last,
    which is how OpenVINO lays out what it resizes. With K = 1 there is no order to keep but that among equals.
    """
    opset = openvino().opset11

    for node in model.get_ops():
        if node.get_type_name() != "TopK" or not (given := node.get_attributes()).get("stable"):
            continue
        top = opset.topk(
            node.input_value(0),
            node.input_value(1),
            given["axis"],
            given["mode"],
            given["sort"],
            index_element_type=given["index_element_type"],
            stable=False,
        )
        for before, after in zip(node.outputs(), top.outputs(), strict=True):
            before.replace(after)
    model.validate_nodes_and_infer_types()
