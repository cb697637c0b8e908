"""The forms a network is exported in: how each is written beside the ONNX file, and how it is run for its proof."""

import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch

import segsearch
from segsearch.deployment.artefact import File
from segsearch.deployment.deploy import Deployed
from segsearch.deployment.onnx import OnnxModel
from segsearch.deployment.openvino import OpenVinoModel, openvino, to_openvino
from segsearch.deployment.parity import Masks
from segsearch.deployment.program import Program, to_program
from segsearch.deployment.quantise import quantise
from segsearch.errors import unknown

Format = Literal["onnx", "pt2", "openvino"]
FORMATS: tuple[Format, ...] = get_args(Format)
PT2, XML, BIN = "model.pt2", "model.xml", "model.bin"


def onnx_name(holds: str) -> str:
    """Name of the ONNX file whose weights are ``float32``, ``float16``, ``bfloat16`` or ``int8``."""
    return "model.onnx" if holds == "float32" else f"model_{holds}.onnx"


ONNX, INT8 = onnx_name("float32"), onnx_name("int8")
ONNX_FILES = frozenset(map(onnx_name, ("float32", "float16", "bfloat16", "int8")))


@dataclass(frozen=True, kw_only=True)
class Form:
    """One written form: its files, the software that runs it, how it makes masks, and how by the software's own choice.

    ``by_default`` is set where the runtime would choose another precision than float32 by itself, and
    ``calibration_images`` where it computes in int8; ``precision`` is what ``masks`` computes in.
    """

    format: Format
    files: tuple[File, ...]
    runtime: str
    masks: Masks
    by_default: Masks | None = None
    default_precision: str | None = None
    calibration_images: int | None = None
    precision: str = "float32"


def chosen(formats: Sequence[str] | None) -> tuple[Format, ...]:
    """Return the formats asked for, ONNX always among them; without a wish, all whose libraries are installed.

    Raises:
        InputError: an unknown format. MissingExtraError: OpenVINO is asked for and not installed.
    """
    if formats is None:
        return tuple(f for f in FORMATS if f != "openvino" or find_spec("openvino") is not None)
    for word in formats:
        if word not in FORMATS:
            raise unknown("--format", word, FORMATS)
    if "openvino" in formats:
        openvino()
    return tuple(f for f in FORMATS if f == "onnx" or f in formats)


def write_form(name: Format, deployed: Deployed, folder: Path, threads: int) -> Form:
    """Write one form into ``folder``, where the ONNX file is already, and make it ready to run."""
    return {"onnx": _onnx, "pt2": _pt2, "openvino": _openvino}[name](deployed, folder, threads)


def _onnx(deployed: Deployed, folder: Path, threads: int) -> Form:
    path = folder / ONNX
    return Form(
        format="onnx",
        files=(File.of(path),),
        runtime=f"onnxruntime {_version('onnxruntime')}",
        masks=OnnxModel(path, threads=threads).predict,
    )


def _pt2(deployed: Deployed, folder: Path, threads: int) -> Form:
    path = folder / PT2
    program = Program(path, to_program(deployed, path))
    return Form(format="pt2", files=(File.of(path),), runtime=f"torch {torch.__version__}", masks=program.predict)


def _openvino(deployed: Deployed, folder: Path, threads: int) -> Form:
    written = to_openvino(folder / ONNX, folder / XML)
    exact, free = OpenVinoModel(written[0], threads), OpenVinoModel(written[0], threads, precision=None)
    return Form(
        format="openvino",
        files=tuple(File.of(path) for path in written),
        runtime=f"openvino {_version('openvino')}",
        masks=exact.predict,
        by_default=free.predict if free.precision != exact.precision else None,
        default_precision=free.precision,
    )


def write_int8(images: Iterable[npt.NDArray[np.uint8]], folder: Path, threads: int) -> Form:
    """Write the int8 form of the ONNX file in ``folder``, with ranges from images, uint8 [H, W, 3]."""
    path = folder / INT8
    seen = quantise(folder / ONNX, path, images)
    return Form(
        format="onnx",
        files=(File.of(path),),
        runtime=f"onnxruntime {_version('onnxruntime')}",
        masks=OnnxModel(path, threads=threads).predict,
        calibration_images=seen,
        precision="int8",
    )


def libraries() -> dict[str, str]:
    """Versions of what writes and runs artefacts, of the libraries that are installed."""
    found = {
        name: _version(name) for name in ("numpy", "onnx", "onnxruntime", "openvino") if find_spec(name) is not None
    }
    return {"segsearch": segsearch.__version__, "python": platform.python_version(), "torch": torch.__version__} | found


def _version(module: str) -> str:
    """Version of an installed library; onnxruntime comes in packages of several names, such as onnxruntime-gpu."""
    try:
        return version(module)
    except PackageNotFoundError:
        return str(import_module(module).__version__)
