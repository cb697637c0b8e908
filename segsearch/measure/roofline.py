"""The least time that a device needs for a network, from what the device was seen to do at best.

A latency below it means that the work was not done, or not waited for. So the peak has to be one that nothing passes:
the best single call of several shapes and kernels, of every number format that a runtime may fall back to, doubled for
clocks that rise and for convolutions that save multiplications (Winograd).
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segsearch.count.cost import macs_of, noted_calls
from segsearch.errors import InputError, ProofError
from segsearch.measure.conditions import torch_threads
from segsearch.measure.timer import Stopwatch

MARGIN = 2.0
"""Real peak over the one that was seen, at most."""
INT8_GAIN = 4.0
"""Multiply-adds of bytes over those of the fastest floating format, at most."""
CALLS, SLOW_MS = 8, 100.0

_SIDES = {"cpu": (384, 32), "cuda": (4096, 128)}
"""Side of the square matrices, and of the 64-channel (cuda: 256) image under a 3 x 3 convolution."""
_BYTES = {"cpu": (2**16, 2**20, 2**25), "cuda": (2**22, 2**25, 2**27)}
"""Sizes of the copies: in each cache, and beyond."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What no way of running a network on one example can avoid."""

    macs: int
    """Multiply-adds of convolutions and linear layers, of the very modules that are measured."""
    bytes: int
    """Parameters once, the image in and the result out."""


def examine(network: nn.Module, example: Tensor) -> Workload:
    """Run ``network`` once in inference mode, where both lie, and count.

    Raises:
        InputError: the network turns gradients on inside, so that every run would build a graph.
    """
    with noted_calls(network) as calls, torch.inference_mode():
        outputs = _tensors(network(example))
    if any(output.requires_grad for output in outputs):
        raise InputError("network", "builds an autograd graph in inference mode", "no enable_grad inside forward")
    moved = [*network.parameters(), example, *outputs]
    return Workload(
        macs=sum(macs_of(call) for call in calls), bytes=sum(tensor.numel() * tensor.element_size() for tensor in moved)
    )


def _tensors(output: object) -> list[Tensor]:
    """All tensors in an output, however it is wrapped."""
    if isinstance(output, Tensor):
        return [output]
    inside = output.values() if isinstance(output, dict) else output if isinstance(output, list | tuple) else ()
    return [tensor for part in inside for tensor in _tensors(part)]


@dataclass(frozen=True, kw_only=True)
class Peak:
    """What a device was seen to do at best, per second."""

    macs_per_second: float
    bytes_per_second: float
    """Read and written."""

    def floor_ms(self, work: Workload, precision: str) -> float:
        """Milliseconds below which ``work`` cannot be done."""
        macs_per_second = self.macs_per_second * (INT8_GAIN if precision == "int8" else 1.0)
        seconds = max(work.macs / macs_per_second, work.bytes / self.bytes_per_second)
        return 1000 * seconds / MARGIN


def refuse_impossible(latency_ms: float, work: Workload, peak: Peak, precision: str) -> float:
    """Return the floor in milliseconds.

    Raises:
        ProofError: the latency lies below it.
    """
    floor_ms = peak.floor_ms(work, precision)
    if latency_ms < floor_ms:
        raise ProofError(
            f"measured {latency_ms:.4g} ms for {work.macs:,} MACs and {work.bytes:,} bytes, which this device cannot do"
            f" in less than {floor_ms:.4g} ms: the network did not run, or was not waited for"
        )
    return floor_ms


_peaks: dict[torch.device, Peak] = {}


def measured_peak(device: torch.device, threads: int, stopwatch: Stopwatch) -> Peak:
    """Measure once per process and device; takes a fraction of a second.

    Of a processor one thread is measured and taken times ``threads``: more threads at best do as much more, and a busy
    neighbour disturbs one thread least.
    """
    if device not in _peaks:
        with torch_threads(1), torch.inference_mode():
            _peaks[device] = Peak(
                macs_per_second=_best(_multiplications(device), stopwatch),
                bytes_per_second=_best(_copies(device), stopwatch),
            )
    one, times = _peaks[device], threads if device.type == "cpu" else 1
    return Peak(macs_per_second=times * one.macs_per_second, bytes_per_second=times * one.bytes_per_second)


def _best(amounts: Iterator[tuple[int, Callable[[], object]]], stopwatch: Stopwatch) -> float:
    """Largest amount per second over all calls; a number format that the device does not know counts for nothing."""
    best = 0.0
    for amount, call in amounts:
        with contextlib.suppress(RuntimeError):
            first_ms = stopwatch.lap_ms(call)
            calls = CALLS if first_ms < SLOW_MS else 1  # a format that is emulated and slow is tried once
            best_ms = min(stopwatch.lap_ms(call) for _ in range(calls))
            best = max(best, amount / max(best_ms / 1000, 1e-9))
    assert best > 0, "float32 runs everywhere"
    return best


def _multiplications(device: torch.device) -> Iterator[tuple[int, Callable[[], Tensor]]]:
    """Multiply-adds of a call, and the call."""
    side, image_side = _SIDES[device.type]
    channels = 64 if device.type == "cpu" else 256
    formats = (torch.float32, torch.bfloat16) + ((torch.float16,) if device.type == "cuda" else ())
    for dtype in formats:
        matrix = torch.ones(side, side, device=device, dtype=dtype)
        yield side**3, lambda matrix=matrix: matrix @ matrix  # type: ignore[misc]
        image = torch.ones(1, channels, image_side, image_side, device=device, dtype=dtype)
        weight = torch.ones(channels, channels, 3, 3, device=device, dtype=dtype)
        macs = channels * channels * 9 * image_side**2
        yield macs, lambda image=image, weight=weight: F.conv2d(image, weight, padding=1)  # type: ignore[misc]


def _copies(device: torch.device) -> Iterator[tuple[int, Callable[[], Tensor]]]:
    """Bytes read and written by a call, and the call."""
    for size in _BYTES[device.type]:
        source = torch.ones(size, device=device, dtype=torch.uint8)
        target = torch.empty_like(source)
        yield 2 * size, lambda target=target, source=source: target.copy_(source)  # type: ignore[misc]
