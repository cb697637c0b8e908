"""All backends by name. All places of a new one: docs/extend.md."""

from collections.abc import Callable
from typing import cast

import torch

from segsearch.errors import InputError, unknown
from segsearch.measure.backends.aotinductor import AotInductor
from segsearch.measure.backends.base import Backend, FileBackend
from segsearch.measure.backends.checks import check_ability
from segsearch.measure.backends.compiled import Compile
from segsearch.measure.backends.compiled_graph import CompileGraph
from segsearch.measure.backends.cudagraph import CudaGraph
from segsearch.measure.backends.eager import Eager
from segsearch.measure.backends.onnx_runtime import OnnxRuntime
from segsearch.measure.backends.open_vino import OpenVino
from segsearch.measure.backends.tensor_rt import TensorRt

BACKENDS: dict[str, Callable[[], Backend]] = {
    "eager": Eager,
    "cudagraph": CudaGraph,
    "compile": Compile,
    "compile-graph": CompileGraph,
    "aotinductor": AotInductor,
    "onnxruntime": OnnxRuntime,
    "openvino": OpenVino,
    "tensorrt": TensorRt,
}
FILE_BACKENDS = tuple(name for name, make in BACKENDS.items() if make().takes_file)
"""Those that run an exported ONNX file."""


def find_backend(name: str, device_kind: str | None = None, precision: str | None = None) -> Backend:
    """Make the backend of that name, known to run on that kind of device in that precision; None asks for nothing.

    Whether its software is installed shows when it is used.

    Raises:
        InputError: an unknown name, or a precision that this backend does not have.
        DeviceError: it does not run on ``device_kind``, or not in this precision there.
    """
    if name not in BACKENDS:
        raise unknown("backend", name, BACKENDS)
    backend = BACKENDS[name]()
    check_ability(backend, device_kind, precision)
    return backend


def ready_backend(name: str, device: torch.device, precision: str | None = None) -> Backend:
    """Make a backend whose software is installed and that computes in that precision on that device of this machine.

    Raises: as `find_backend` and `Backend.check`.
    """
    backend = find_backend(name, device.type, precision)
    backend.version()
    backend.check(device, precision)
    return backend


def file_backend(name: str, device_kind: str | None = None, precision: str | None = None) -> FileBackend:
    """Return a backend that runs ONNX files. Raises InputError for another one, else as `find_backend`."""
    if name not in FILE_BACKENDS:
        raise InputError("backend", f"{name!r} runs no exported graph", FILE_BACKENDS)
    return cast(FileBackend, find_backend(name, device_kind, precision))
