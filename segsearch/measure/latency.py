"""The act of measuring: check, prepare, wait for the device, sample beside the reference, and write down all of it."""

import contextlib
import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import Tensor, nn

from segsearch.errors import InputError
from segsearch.measure.affinity import pinned
from segsearch.measure.backends.base import Backend, Prepared
from segsearch.measure.backends.onnx_file import face_of
from segsearch.measure.backends.table import file_backend, find_backend
from segsearch.measure.conditions import PLAIN, Conditions, check_threads, torch_threads
from segsearch.measure.device_lock import timing, working
from segsearch.measure.host import measure_host
from segsearch.measure.load import GpuLog, LoadWatch
from segsearch.measure.machine import device_name, find_device, software
from segsearch.measure.memory import MemoryWatch, memory_errors
from segsearch.measure.record import LatencyRecord, unsteady_words
from segsearch.measure.reference import reference_block
from segsearch.measure.roofline import Workload, examine, measured_peak, refuse_impossible
from segsearch.measure.timer import quantile, sample_beside, stopwatch_of
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
        under: where, by what and how long.
        label: a name to find the record by.
        spec_id: id of the network's spec.
        report: told of the stages and of every block.

    Raises:
        InputError: a network or example unfit for inference, or an unknown device, backend, precision or thread count.
        DeviceError: the device is not here, cannot run that backend, or has too little memory.
        MissingExtraError: the backend is not installed.
        ProofError: the latency is below what the device can do.
    """
    refuse_unfit(network, example)
    where = find_device(under.device)
    runner = find_backend(under.backend, where.type, under.precision)

    def make() -> Ready:
        tensors = [*network.parameters(), *network.buffers()]
        here = network if all(tensor.device == where for tensor in tensors) else copy.deepcopy(network).to(where)
        image = example.to(where)
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
    """`measure` an ONNX file, from one image (1, 3, H, W) to its class mask.

    ``macs``: multiply-adds of the network, where known, to refuse an impossible latency.

    Raises: as `measure`, and InputError for no such file, no ONNX, or a backend that runs no files.
    """
    where = find_device(under.device)
    runner = file_backend(under.backend, where.type, under.precision)
    image = example_of(path).to(where)

    def make() -> Ready:
        prepared = runner.open(path, image, precision=under.precision)
        return Ready(
            prepared=prepared,
            work=Workload(macs=macs or 0, bytes=path.stat().st_size + image.numel() + image[0, 0].numel()),
            precision=prepared.facts.get("precision", under.precision or runner.precisions[0]),
            layout="contiguous",
        )

    return measure_ready(make, runner, where, image.shape, under, label=label, spec_id=spec_id, report=report)


def example_image(size_hw: tuple[int, int]) -> Tensor:
    """Noise, uint8 (1, 3, H, W), always the same.

    An even image would flatter: a warp then reads neighbouring places only, and hardware saves power on equal numbers.
    """
    return torch.randint(0, 256, (1, 3, *size_hw), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def example_of(path: Path) -> Tensor:
    """Noise of the shape and type that an ONNX file takes; numbers other than bytes are about normalised.

    Raises: as `segsearch.measure.backends.onnx_file.face_of`.
    """
    size_hw, kind = face_of(path)
    image = example_image(size_hw)
    return image if kind == torch.uint8 else ((image.float() - 127.5) / 58).to(kind)


def refuse_unfit(network: nn.Module, example: Tensor) -> None:
    """Refuse what is no inference, without running it.

    Raises:
        InputError: a module in train mode, or an example that is no batch of images or asks for gradients.
    """
    training = [name or type(network).__name__ for name, module in network.named_modules() if module.training]
    if training:
        raise InputError("network", f"is in train mode at {training[0]}", "eval mode everywhere")
    if example.ndim != 4 or example.numel() == 0:
        raise InputError("example", f"shape {tuple(example.shape)} is not a batch of images", "(B, C, H, W)")
    if example.requires_grad:
        raise InputError("example", "asks for gradients", "a tensor without requires_grad")


@dataclass(frozen=True, kw_only=True)
class Ready:
    """What is about to be timed: from a network or from a file."""

    prepared: Prepared
    work: Workload
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
    version, timer, size_hw = runner.version(), under.timer.on(where.type), (shape[2], shape[3])
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    with (
        torch_threads(under.threads),
        memory_errors(where),
        torch.cuda.device(where) if where.type == "cuda" else contextlib.nullcontext(),
        # now, as OpenVINO's threads go where they could when they were prepared; with a GPU they only launch
        pinned(torch.get_num_threads() if where.type == "cpu" else 0) as (processors, hold),
    ):
        memory, stopwatch = MemoryWatch(where), stopwatch_of(where)
        report("prepare", 0, 1)
        with working(where):
            ready = make()
        run = ready.prepared.run
        report("wait", 0, 1)
        with timing(where):
            report("first run", 0, 1)
            hold()
            watch = LoadWatch(where)
            memory_mib = memory.running_mib(run)
            before = watch.gpu.state() if watch.gpu else None
            watch.begin()
            reference = reference_block(where, stopwatch)
            samples = sample_beside(run, reference, settings=timer, stopwatch=stopwatch, report=report)
            contention = watch.contention()
            gpu = GpuLog(before=before, after=watch.gpu.state()) if watch.gpu and before else None
            peak = measured_peak(where, torch.get_num_threads(), stopwatch)
            host = measure_host(ready.prepared.mask, size_hw, timer) if under.host else None
        unsteady = unsteady_words(samples.reference_drift, timer.reference_tolerance, contention)
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
            p10_ms=quantile(samples.samples_ms, 0.1),
            p90_ms=quantile(samples.samples_ms, 0.9),
            steady=unsteady is None,
            unsteady=unsteady,
            macs=ready.work.macs,
            floor_ms=refuse_impossible(samples.median_ms, ready.work, peak, ready.precision),
            memory_mib=memory_mib,
            host=host,
            timer=timer,
            software=software(where),
            contention=contention,
            gpu=gpu,
            started_at=started_at,
            **vars(samples),
        )


def _precision(network: nn.Module, example: Tensor) -> str:
    types = {p.dtype for p in network.parameters() if p.is_floating_point()} or {example.dtype}
    return "+".join(sorted(str(dtype).removeprefix("torch.") for dtype in types))


def _layout(network: nn.Module, example: Tensor) -> str:
    images = [tensor for tensor in (example, *network.parameters()) if tensor.ndim == 4]
    last = [t.is_contiguous(memory_format=torch.channels_last) and not t.is_contiguous() for t in images]
    return "channels_last" if any(last) else "contiguous"
