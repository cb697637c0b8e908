"""One latency measurement, and all that has to be known to believe or repeat it."""

import contextlib
import copy
from collections.abc import Iterator
from datetime import UTC, datetime

import torch
from pydantic import Field
from torch import Tensor, nn

from segsearch.errors import DeviceError, InputError
from segsearch.frozen import Frozen
from segsearch.measure.backends.base import Backend
from segsearch.measure.backends.table import BACKENDS
from segsearch.measure.machine import (
    Contention,
    ProcessorWatch,
    Software,
    device_name,
    find_device,
    processor_load,
    software,
)
from segsearch.measure.timer import (
    MOST_THREADS,
    CudaStopwatch,
    Samples,
    Stopwatch,
    TimerSettings,
    WallStopwatch,
    quantile,
    sample_latencies,
)


class LatencyRecord(Frozen):
    """Latency of one network under one backend on one device; two records compare only where all of that agrees.

    ``model_dump(mode="json")`` and ``LatencyRecord.parse`` are exact inverses.
    """

    label: str
    size_hw: tuple[int, int]
    batch: int
    precision: str
    """Types of the weights, such as ``float32``."""
    layout: str
    """``contiguous`` or ``channels_last``, as torch had it; a backend may rearrange."""
    backend: str
    backend_version: str
    device: str
    """The device by its maker's name."""
    device_kind: str
    """``cpu`` or ``cuda``."""
    threads: int
    """Threads of the processor that torch and the backend used inside one operation."""
    median_ms: float = Field(gt=0)
    p10_ms: float
    p90_ms: float
    samples_ms: tuple[float, ...] = Field(min_length=1)
    """In the order they were taken."""
    warmup_calls: int
    warmup_settled: bool
    timer: TimerSettings
    software: Software
    contention: Contention
    started_at: str
    """Time of day in UTC, ISO 8601."""

    @property
    def fps(self) -> float:
        """Images per second at the median latency."""
        return 1000 * self.batch / self.median_ms

    @property
    def p99_ms(self) -> float:
        """99 of 100 samples are below."""
        return quantile(self.samples_ms, 0.99)

    @property
    def iqr_ms(self) -> float:
        """Width of the middle half of the samples."""
        return quantile(self.samples_ms, 0.75) - quantile(self.samples_ms, 0.25)


def measure(
    network: nn.Module,
    example: Tensor,
    *,
    device: str = "cpu",
    backend: str = "eager",
    threads: int | None = None,
    settings: TimerSettings | None = None,
    label: str = "",
) -> LatencyRecord:
    """Measure how long one inference takes, from an image on the device to the result on the device.

    Args:
        network: in eval mode; not changed, and copied if it lies on another device. What is inside it is measured, so
            give the deployed network: it has normalisation and argmax in it, and BatchNorm folded.
        example: image (B, C, H, W) of the type that ``network`` takes.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        backend: a row of `segsearch.measure.backends.table.BACKENDS`.
        threads: of the processor; torch's present number when left out. Put back afterwards.
        settings: when warm-up and sampling end.
        label: a name to find the record by.

    Raises:
        InputError: a module in train mode, an example that is no batch of images, or an unknown device, backend or
            thread count.
        DeviceError: the device is not here, cannot run that backend, or has too little memory.
        MissingExtraError: the backend is not installed.
    """
    _check(network, example, threads)
    where, runner = find_device(device), _find_backend(backend)
    if where.type not in runner.devices:
        raise DeviceError(f"backend: {backend} does not run on {where.type} (available: {', '.join(runner.devices)})")
    version, settings = runner.version(), settings or TimerSettings()
    started_at, (load_average, before) = datetime.now(UTC).isoformat(timespec="seconds"), processor_load()
    with _threads(threads), _memory_errors(where):
        samples, during = _run(runner, network, example, where, settings)
        return LatencyRecord(
            label=label,
            size_hw=(example.shape[2], example.shape[3]),
            batch=example.shape[0],
            precision=_precision(network, example),
            layout=_layout(network, example),
            backend=backend,
            backend_version=version,
            device=device_name(where),
            device_kind=where.type,
            threads=torch.get_num_threads(),
            median_ms=samples.median_ms,
            p10_ms=samples.p10_ms,
            p90_ms=samples.p90_ms,
            samples_ms=samples.samples_ms,
            warmup_calls=samples.warmup_calls,
            warmup_settled=samples.warmup_settled,
            timer=settings,
            software=software(where),
            contention=Contention(
                load_average=load_average, others_percent_before=before, others_percent_during=during
            ),
            started_at=started_at,
        )


def _run(
    runner: Backend, network: nn.Module, example: Tensor, device: torch.device, settings: TimerSettings
) -> tuple[Samples, float]:
    """Prepare and sample; return the samples, and the percentage of the processor that others used meanwhile."""
    if device.type == "cpu":
        return _watched(runner, _on(network, device), example.to(device), settings, WallStopwatch())
    with torch.cuda.device(device):
        return _watched(runner, _on(network, device), example.to(device), settings, CudaStopwatch())


def _watched(
    runner: Backend, network: nn.Module, example: Tensor, settings: TimerSettings, stopwatch: Stopwatch
) -> tuple[Samples, float]:
    prepared, watch = runner.prepare(network, example), ProcessorWatch()
    return sample_latencies(prepared.run, settings=settings, stopwatch=stopwatch), watch.others_percent()


def _on(network: nn.Module, device: torch.device) -> nn.Module:
    """Return the network itself if all of it lies on ``device``, else a copy there."""
    tensors = [*network.parameters(), *network.buffers()]
    return network if all(tensor.device == device for tensor in tensors) else copy.deepcopy(network).to(device)


def _check(network: nn.Module, example: Tensor, threads: int | None) -> None:
    training = [name or type(network).__name__ for name, module in network.named_modules() if module.training]
    if training:
        raise InputError("network", f"is in train mode at {training[0]}", "eval mode everywhere")
    if example.ndim != 4 or example.numel() == 0:
        raise InputError("example", f"shape {tuple(example.shape)} is not a batch of images", "(B, C, H, W)")
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise InputError("threads", f"{threads} is too {'few' if threads < 1 else 'many'}", f"1 to {MOST_THREADS}")


def _find_backend(name: str) -> Backend:
    if name not in BACKENDS:
        raise InputError("backend", f"{name!r} is not known", BACKENDS)
    return BACKENDS[name]()


@contextlib.contextmanager
def _threads(threads: int | None) -> Iterator[None]:
    """Let torch use that many threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _memory_errors(device: torch.device) -> Iterator[None]:
    """Turn a full device into one line."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise DeviceError(f"device: {device_name(device)} has too little memory for this network and size") from error


def _precision(network: nn.Module, example: Tensor) -> str:
    types = {p.dtype for p in network.parameters() if p.is_floating_point()} or {example.dtype}
    return "+".join(sorted(str(dtype).removeprefix("torch.") for dtype in types))


def _layout(network: nn.Module, example: Tensor) -> str:
    images = [tensor for tensor in (example, *network.parameters()) if tensor.ndim == 4]
    return "channels_last" if any(map(_is_channels_last, images)) else "contiguous"


def _is_channels_last(tensor: Tensor) -> bool:
    return tensor.is_contiguous(memory_format=torch.channels_last) and not tensor.is_contiguous()
