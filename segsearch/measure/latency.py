"""The act of measuring: check, prepare, wait for the device, sample beside a reference, and write down all of it."""

import contextlib
import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import Tensor, nn

from segsearch.errors import DeviceError
from segsearch.measure.affinity import Hold, Processors, held
from segsearch.measure.backends.base import Backend, Prepared
from segsearch.measure.backends.onnx_file import size_of
from segsearch.measure.backends.table import file_backend, find_backend
from segsearch.measure.careful import Again, sample_carefully
from segsearch.measure.conditions import PLAIN, Conditions
from segsearch.measure.device_lock import timing, working
from segsearch.measure.examine import Work, examine, refuse_unfit
from segsearch.measure.host import HostLatency, measure_host
from segsearch.measure.interleave import PATIENCE_SECONDS, sample_steadily
from segsearch.measure.level import level_of
from segsearch.measure.load import Contention, LoadWatch
from segsearch.measure.machine import device_name, find_device, software
from segsearch.measure.memory import MemoryWatch, memory_errors
from segsearch.measure.nvml import GpuLog
from segsearch.measure.record import LatencyRecord
from segsearch.measure.reference import reference_block, reference_run
from segsearch.measure.roofline import Peak, measured_peak, refuse_impossible
from segsearch.measure.stopwatch import CudaStopwatch, Stopwatch, WallStopwatch
from segsearch.measure.threads import check_threads, torch_threads
from segsearch.measure.timer import Samples, TimerSettings, moved_words
from segsearch.progress import Report, silent


def measure(
    network: nn.Module,
    example: Tensor,
    under: Conditions = PLAIN,
    *,
    label: str = "",
    spec_id: str = "",
    report: Report = silent,
) -> LatencyRecord:
    """Measure how long one inference takes, from an image on the device to the result on the device.

    Nothing else of ours works on the device meanwhile: see `segsearch.measure.device_lock`.

    Args:
        network: in eval mode; not changed, and copied if it lies on another device. What is inside it is measured, so
            give the deployed network: it has normalisation and argmax in it, and BatchNorm folded.
        example: image (B, C, H, W) of the type that ``network`` takes.
        under: where, by what and how carefully.
        label: a name to find the record by.
        spec_id: id of the network's spec.
        report: told of the stages and of every block.

    Raises:
        InputError: a network or example unfit for inference, or an unknown device, backend, precision or thread count.
        DeviceError: the device is not here, cannot run that backend, has too little memory, or moved (``refuse``).
        MissingExtraError: the backend is not installed.
        ProofError: the latency is below what the device can do.
    """
    refuse_unfit(network, example)
    where = find_device(under.device)
    runner = find_backend(under.backend, where.type, under.precision)

    def make() -> Ready:
        here, image = _on(network, where), example.to(where)
        return Ready(
            work=examine(here, image),
            prepared=runner.prepare(here, image, precision=under.precision),
            precision=under.precision or _precision(network, example),
            layout=_layout(network, example),
        )

    return measure_ready(make, runner, where, example.shape, under, label=label, spec_id=spec_id, report=report)


def measure_file(
    path: Path,
    under: Conditions = PLAIN,
    *,
    macs: int | None = None,
    label: str = "",
    spec_id: str = "",
    report: Report = silent,
) -> LatencyRecord:
    """Measure an ONNX file, from one image of bytes, (1, 3, H, W), to its class mask.

    Args:
        path: the file.
        under: of a backend that runs files.
        macs: multiply-adds of the network, where known, to refuse an impossible latency.
        label: as `measure`.
        spec_id: as `measure`.
        report: as `measure`.

    Raises: as `measure`, and InputError for no such file, no ONNX, or a backend that runs no files.
    """
    where = find_device(under.device)
    runner = file_backend(under.backend, where.type, under.precision)
    image = example_image(size_of(path)).to(where)

    def make() -> Ready:
        prepared = runner.open(path, image, precision=under.precision)
        return Ready(
            prepared=prepared,
            work=Work(macs=macs or 0, bytes=path.stat().st_size + image.numel() + image[0, 0].numel()),
            precision=prepared.facts.get("precision", under.precision or runner.precisions[0]),
            layout="contiguous",
        )

    return measure_ready(make, runner, where, image.shape, under, label=label, spec_id=spec_id, report=report)


def example_image(size_hw: tuple[int, int]) -> Tensor:
    """Noise, uint8 (1, 3, H, W), always the same.

    An even image would flatter: a warp then reads neighbouring places only, and hardware saves power on equal numbers.
    """
    return torch.randint(0, 256, (1, 3, *size_hw), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@dataclass(frozen=True, kw_only=True)
class Ready:
    """What is about to be timed: from a network or from a file."""

    prepared: Prepared
    work: Work
    precision: str
    layout: str


def measure_ready(
    make: Callable[[], Ready],
    runner: Backend,
    where: torch.device,
    shape: Sequence[int],
    under: Conditions,
    *,
    label: str = "",
    spec_id: str = "",
    report: Report = silent,
) -> LatencyRecord:
    """Do what `measure` does with whatever ``make`` makes ready under ``runner``, for images of shape (B, C, H, W).

    ``make`` is called beside others that work on the device, with the number of threads set. What ``under`` says of
    device, backend and precision has been followed when it is made. Other arguments and errors: as `measure`.
    """
    check_threads(under.threads)
    version, under = runner.version(), replace(under, timer=under.timer.on(where.type))
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    size_hw = (shape[2], shape[3])
    with (
        torch_threads(under.threads),
        memory_errors(where),
        _current(where),
        _held(where) as (processors, hold),  # now, as OpenVINO's threads go where they could when they were prepared
    ):
        taken = _take(make, where, size_hw, under, hold, report)
        samples, ready = taken.samples, taken.ready
        if not samples.steady and under.unsteady == "refuse":
            raise DeviceError(_moved(samples, under.timer, label or "the network", device_name(where)))
        return LatencyRecord(
            label=label,
            spec_id=spec_id,
            size_hw=size_hw,
            batch=shape[0],
            precision=ready.precision,
            layout=ready.layout,
            backend=runner.name,
            backend_version=version,
            facts=dict(ready.prepared.facts),
            device=device_name(where),
            device_kind=where.type,
            threads=torch.get_num_threads(),
            processors=processors,
            median_ms=samples.median_ms,
            p10_ms=samples.p10_ms,
            p90_ms=samples.p90_ms,
            samples_ms=samples.samples_ms,
            warmup_calls=samples.warmup_calls,
            warmup_settled=samples.warmup_settled,
            reference_ms=samples.reference_ms,
            reference_drift=samples.drift,
            steady=samples.steady,
            retakes=samples.retakes,
            slower=samples.slower,
            quiet_share=samples.quiet_share,
            macs=ready.work.macs,
            floor_ms=refuse_impossible(samples.timed_ms, ready.work, taken.peak, ready.precision),
            memory_mib=taken.memory_mib,
            host=taken.host,
            timer=under.timer,
            software=software(where),
            contention=taken.contention,
            gpu=taken.gpu,
            started_at=started_at,
        )


@dataclass(frozen=True, kw_only=True)
class _Taken:
    """All that was seen while the network ran."""

    ready: Ready
    samples: Samples
    peak: Peak
    memory_mib: float | None
    host: HostLatency | None
    contention: Contention
    gpu: GpuLog | None


def _take(
    make: Callable[[], Ready],
    device: torch.device,
    size_hw: tuple[int, int],
    under: Conditions,
    hold: Hold,
    report: Report,
) -> _Taken:
    """Prepare beside others that work, then sample alone."""
    memory, stopwatch = MemoryWatch(device), _stopwatch(device)
    report("prepare", 0, 1)
    with working(device):
        ready = make()
        prepared = ready.prepared
    report("wait", 0, 1)
    with timing(device):
        hold()
        watch = LoadWatch(device)
        memory_mib = memory.running_mib(prepared.run)
        before = watch.gpu.state() if watch.gpu else None
        watch.begin()
        samples = _sampled(prepared, device, stopwatch, under, hold, report)
        contention = watch.contention()
        gpu = GpuLog(before=before, after=watch.gpu.state()) if watch.gpu and before else None
        return _Taken(
            ready=ready,
            samples=samples,
            peak=measured_peak(device, torch.get_num_threads(), stopwatch),
            memory_mib=memory_mib,
            host=measure_host(prepared.mask, size_hw, under.timer) if under.host else None,
            contention=contention,
            gpu=gpu,
        )


def _held(device: torch.device) -> contextlib.AbstractContextManager[tuple[Processors | None, Hold]]:
    """Hold this process to as many processors as it has threads; with a GPU they only launch."""
    return held(torch.get_num_threads() if device.type == "cpu" else 0)


def _sampled(
    prepared: Prepared, device: torch.device, stopwatch: Stopwatch, under: Conditions, hold: Hold, report: Report
) -> Samples:
    """Sample beside the reference: with care if that is asked for, in blocks if not."""
    careful = under.timer.spare_seconds > 0
    reference = (reference_run if careful else reference_block)(device, stopwatch)
    level = level_of(device, "short runs" if careful else "blocks")
    if careful:
        samples = sample_carefully(
            prepared.run,
            reference,
            settings=under.timer,
            stopwatch=stopwatch,
            again=_again(prepared, hold),
            known_ms=level.remembered_ms,
            report=report,
        )
    else:
        samples = sample_steadily(
            prepared.run,
            reference,
            settings=under.timer,
            stopwatch=stopwatch,
            known_ms=level.known_ms(reference),
            patience_seconds=PATIENCE_SECONDS if under.unsteady == "refuse" else 0.0,
            report=report,
        )
    if samples.steady and samples.level_ms:
        level.learn(samples.level_ms)
    return samples


def _again(prepared: Prepared, hold: Hold) -> Again | None:
    """Prepare anew what runs, and hold the threads that it starts to the same processors."""
    again = prepared.again
    if again is None:
        return None

    def anew() -> Callable[[], object]:
        run = again().run
        hold()
        return run

    return anew


def _moved(samples: Samples, settings: TimerSettings, what: str, device: str) -> str:
    moved = moved_words(settings, samples.drift, samples.slower, samples.quiet_share)
    allowed = f"{100 * settings.reference_tolerance:g} %"
    if samples.quiet_share is not None:
        allowed += f" beside {100 * settings.least_quiet:g} % of the runs or more"
        allowed += f", at most {100 * settings.most_slower:g} % longer"
    return (
        f"device: {moved} while {what} was measured on {device}: the machine is busy"
        f" (allowed: {allowed}; wait, or --allow-busy)"
    )


def _on(network: nn.Module, device: torch.device) -> nn.Module:
    """Return the network itself if all of it lies on ``device``, else a copy there."""
    tensors = [*network.parameters(), *network.buffers()]
    return network if all(tensor.device == device for tensor in tensors) else copy.deepcopy(network).to(device)


def _stopwatch(device: torch.device) -> Stopwatch:
    return CudaStopwatch() if device.type == "cuda" else WallStopwatch()


def _current(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Make a GPU the one that streams and events belong to."""
    return torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()


def _precision(network: nn.Module, example: Tensor) -> str:
    types = {p.dtype for p in network.parameters() if p.is_floating_point()} or {example.dtype}
    return "+".join(sorted(str(dtype).removeprefix("torch.") for dtype in types))


def _layout(network: nn.Module, example: Tensor) -> str:
    images = [tensor for tensor in (example, *network.parameters()) if tensor.ndim == 4]
    return "channels_last" if any(map(_is_channels_last, images)) else "contiguous"


def _is_channels_last(tensor: Tensor) -> bool:
    return tensor.is_contiguous(memory_format=torch.channels_last) and not tensor.is_contiguous()
