"""All backends by name. A new one is a file beside this one and a row here."""

from collections.abc import Callable

from segsearch.measure.backends.base import Backend
from segsearch.measure.backends.eager import Eager
from segsearch.measure.backends.onnx_runtime import OnnxRuntime

BACKENDS: dict[str, Callable[[], Backend]] = {"eager": Eager, "onnxruntime": OnnxRuntime}
