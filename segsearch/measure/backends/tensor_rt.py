"""TensorRT, over an ONNX file, or over the network exported at the very size of the example.

Networks are strongly typed: the file's own types say what runs in which precision, as TensorRT 11 asks and 10 offers.
"""

import hashlib
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from segsearch.errors import MissingExtraError, UnfitError, one_line
from segsearch.measure.backends import engine_cache
from segsearch.measure.backends.base import Prepared
from segsearch.measure.backends.checks import check_ability, check_hardware
from segsearch.measure.backends.cudagraph import over_static_image, record
from segsearch.measure.backends.onnx_file import as_held, check_file, precision_of, written
from segsearch.measure.machine import device_name
from segsearch.measure.memory import FullDeviceError
from segsearch.quiet import cache_folder

WEIGHTS = {"float32": "float32", "tf32": "float32", "float16": "float16", "bfloat16": "bfloat16", "int8": "int8"}
"""By precision, what the file holds."""

_TYPES = {
    "FLOAT": torch.float32,
    "HALF": torch.float16,
    "BF16": torch.bfloat16,
    "UINT8": torch.uint8,
    "INT8": torch.int8,
    "INT32": torch.int32,
    "INT64": torch.int64,
    "BOOL": torch.bool,
}


class TensorRt:
    """TensorRT at one fixed size, its work recorded as a CUDA graph where it can be.

    Building an engine takes minutes and no two builds are the same, so engines are kept in a folder by file, version,
    GPU and precision, beside the timings of the kernels that were tried. The engine's hash is among the facts.

    Args:
        cache: that folder; one in the user's cache folder when left out.
    """

    name: ClassVar[str] = "tensorrt"
    devices: ClassVar[tuple[str, ...]] = ("cuda",)
    precisions: ClassVar[tuple[str, ...]] = tuple(WEIGHTS)
    cuda_precisions: ClassVar[tuple[str, ...]] = precisions
    takes_file: ClassVar[bool] = True
    weights: ClassVar[Mapping[str, str]] = WEIGHTS

    def __init__(self, cache: Path | None = None) -> None:
        self._cache = cache

    @property
    def cache(self) -> Path:
        """Folder of the engines; looked up when it is needed, as a user without a home has none."""
        return self._cache or cache_folder() / "tensorrt"

    def version(self) -> str:
        """Version of TensorRT."""
        return str(_tensorrt().__version__)

    def check(self, device: torch.device, precision: str | None) -> None:
        """See `Backend`."""
        check_ability(self, device.type, precision)
        _tensorrt()
        check_hardware(device, precision)

    def prepare(self, network: nn.Module, example: Tensor, *, precision: str | None = None) -> Prepared:
        """Export to a temporary file and build its engine."""
        precision = precision or precision_of(network)
        check_ability(self, example.device.type, precision)
        _tensorrt()
        with written(network, example, WEIGHTS[precision]) as path:
            return self.open(path, as_held(example, WEIGHTS[precision]), precision=precision)

    def open(self, path: Path, example: Tensor, *, precision: str | None = None) -> Prepared:
        """See `FileBackend`.

        Raises:
            InputError: also where TensorRT cannot read or build the file, or the cache folder cannot be written.
        """
        check_ability(self, example.device.type, precision)
        _tensorrt()
        precision = check_file(path, example, precision, WEIGHTS)
        check_hardware(example.device, precision)
        with torch.cuda.device(example.device):
            engine, facts = self._engine(path, precision, torch.cuda.get_device_name(example.device))
            return _prepared(engine, example, {"precision": precision, **facts})

    def _engine(self, path: Path, precision: str, gpu: str) -> tuple[Any, Mapping[str, str]]:
        """Load the kept engine, or build it; return it with what to know about it."""
        trt, content = _tensorrt(), path.read_bytes()
        key = engine_cache.key_of(hashlib.sha256(content).hexdigest(), trt.__version__, gpu, precision)
        timings = self.cache / f"{engine_cache.key_of(trt.__version__, gpu)}.timings"
        cached = engine_cache.kept(
            self.cache / f"{key}.engine",
            build=lambda: _build(path, content, precision == "tf32", timings),
            usable=lambda plan: _load(plan) is not None,
        )
        engine = _load(cached.content)
        if engine is None:
            raise UnfitError(path, "TensorRT cannot load the engine that it built")
        return engine, {"engine_sha256": hashlib.sha256(cached.content).hexdigest(), "engine": cached.origin}


def _tensorrt() -> Any:
    try:
        return importlib.import_module("tensorrt")
    except ImportError as error:
        raise MissingExtraError("tensorrt", "tensorrt") from error


def _logger() -> Any:
    """Make a logger that prints nothing and keeps the errors in ``errors``."""
    base: Any = _tensorrt().ILogger
    bad = (base.Severity.INTERNAL_ERROR, base.Severity.ERROR)

    class Kept(base):  # type: ignore[misc]
        def __init__(self) -> None:
            base.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in bad:
                self.errors.append(message.strip())

    return Kept()


def _build(path: Path, content: bytes, tf32: bool, timings: Path) -> bytes:
    """Build an engine with the timings kept so far, and keep those that it adds."""
    trt, logger = _tensorrt(), _logger()
    builder = trt.Builder(logger)
    typed = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)  # TensorRT 11 knows nothing else
    definition = builder.create_network(0 if typed is None else 1 << int(typed))
    parser = trt.OnnxParser(definition, logger)
    if not parser.parse(content):
        reasons = [parser.get_error(i).desc() for i in range(parser.num_errors)] or logger.errors
        raise UnfitError(path, f"cannot be read by TensorRT: {one_line('; '.join(reasons))}")
    config = builder.create_builder_config()
    (config.set_flag if tf32 else config.clear_flag)(trt.BuilderFlag.TF32)
    cache = _timing_cache(config, engine_cache.read(timings) or b"")
    plan = builder.build_serialized_network(definition, config)
    if plan is None:
        raise UnfitError(path, f"TensorRT cannot build an engine for it: {one_line('; '.join(logger.errors))}")
    if cache is not None:
        engine_cache.keep(timings, bytes(cache.serialize()))
    return bytes(plan)


def _timing_cache(config: Any, content: bytes) -> Any:
    """Give ``config`` the timings kept so far; where TensorRT refuses them, it starts anew."""
    for kept in (content, b""):
        cache = config.create_timing_cache(kept)
        if cache is not None and config.set_timing_cache(cache, ignore_mismatch=False):
            return cache
    return None


def _load(plan: bytes) -> Any:
    """Make an engine of a plan; None where this machine cannot. It holds the runtime, which must outlive it."""
    runtime = _tensorrt().Runtime(_logger())
    engine = runtime.deserialize_cuda_engine(plan)
    return None if engine is None else (runtime, engine)


def _prepared(loaded: Any, example: Tensor, facts: Mapping[str, str]) -> Prepared:
    """Bind image and output once and record the work between them."""
    runtime, engine = loaded
    context = engine.create_execution_context()
    if context is None:
        raise FullDeviceError(f"device: {device_name(example.device)} has too little memory for the engine")
    image = example.contiguous().clone()
    input_name, output_name = (engine.get_tensor_name(i) for i in range(2))
    if engine.get_tensor_mode(input_name) != _tensorrt().TensorIOMode.INPUT:
        input_name, output_name = output_name, input_name
    shape, kind = tuple(engine.get_tensor_shape(output_name)), engine.get_tensor_dtype(output_name).name
    output = torch.empty(shape, dtype=_TYPES[kind], device=example.device)
    context.set_tensor_address(input_name, image.data_ptr())
    context.set_tensor_address(output_name, output.data_ptr())

    def enqueue() -> Tensor:
        assert runtime is not None  # held: the engine is of no use without it
        if not context.execute_async_v3(stream_handle=torch.cuda.current_stream(example.device).cuda_stream):
            raise RuntimeError("TensorRT could not start the engine")
        return output

    try:
        graph, _ = record(enqueue, example.device)
    except UnfitError:  # loops and shapes that depend on data cannot be recorded
        return over_static_image(enqueue, image, output, example, {**facts, "cuda_graph": "no"})

    def replay() -> None:
        assert context is not None  # held: the recording uses its memory
        graph.replay()

    return over_static_image(replay, image, output, example, {**facts, "cuda_graph": "yes"})
