"""A small fixed network in plain torch, timed between the blocks of every measurement: it shows the machine's drift.

Its latency is a property of the machine alone, so what moves it (clocks, heat, other programs) moves the candidate too.
It runs on as many threads as the candidate: two cores that share one for a while slow down two threads and not one; and
on the same processors (`segsearch.measure.affinity`). The pools of two libraries disturb one another (an idle thread of
torch was seen to spin for 4 ms of processor time and one of onnxruntime for 37 ms), so with more than one thread it
begins after a pause.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor, nn

from segsearch.measure.stopwatch import Stopwatch
from segsearch.measure.timer import quantile

LEAD_CALLS, CALLS = 16, 30
"""A block: calls that count, and before them those that wipe out the traces of the network before: the fifth still
takes 4 to 12 % longer than the sixtieth, most after networks that fill the caches; the sixteenth 0 to 3 %."""
RUN_CALLS = 5
"""As many count in a short run, which is over before others on shared hardware come or go."""
PAUSE_SECONDS = 0.06
"""Before each on several threads of a processor: pools have stopped spinning after it."""

_Shape = tuple[int, int, int]
"""Batch, height and width of the image, and channels of the first layer."""
_SHAPES: dict[str, _Shape] = {"cpu": (1, 96, 16), "cuda": (4, 512, 64)}
"""About 1 ms on a core of 2022, and on a GPU enough for the work to hide its launching."""
_RUN_SHAPES = _SHAPES | {"cpu": (1, 64, 16)}
"""All of it fits into a second-level cache of 1 MiB, so that the first calls warm it whatever ran before."""


def reference_block(device: torch.device, stopwatch: Stopwatch) -> Callable[[], float]:
    """Return what times one block of the reference network on ``device`` and gives its latency in milliseconds.

    On a processor it takes as many threads as torch has when it is called.
    """
    laps = _laps(device, stopwatch, _SHAPES[device.type], CALLS)
    return lambda: level_ms(laps())


def reference_run(device: torch.device, stopwatch: Stopwatch) -> Callable[[], float]:
    """Do as `reference_block`, in some milliseconds, with a smaller network.

    Its latency is the lower quartile of few calls: an interrupt falls into one, and who shares a core slows them all.
    """
    laps = _laps(device, stopwatch, _RUN_SHAPES[device.type], RUN_CALLS)
    return lambda: quantile(laps(), 0.25)


def _laps(device: torch.device, stopwatch: Stopwatch, shape: _Shape, count: int) -> Callable[[], list[float]]:
    network, image = _reference(device, shape)

    def run() -> object:
        return network(image)

    def laps() -> list[float]:
        if device.type == "cpu" and torch.get_num_threads() > 1:
            time.sleep(PAUSE_SECONDS)
        with torch.inference_mode():
            return [stopwatch.lap_ms(run) for _ in range(LEAD_CALLS + count)][LEAD_CALLS:]

    return laps


def level_ms(laps: Sequence[float]) -> float:
    """Mean of all laps but the slowest tenth.

    Where two programs share a core in turns of some milliseconds, most laps of one millisecond are as quick as ever and
    the median does not move; the mean doubles. The tenth is for the interrupts of a quiet machine.
    """
    kept = sorted(laps)[: len(laps) - len(laps) // 10]
    return statistics.fmean(kept)


@cache
def _reference(device: torch.device, shape: _Shape) -> tuple[nn.Module, Tensor]:
    """Network and image, always of the same numbers, and in one process at the same place in memory."""
    batch, side, width = shape
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        network, image = _network(width).eval().requires_grad_(False), torch.rand(batch, 3, side, side)
    return network.to(device), image.to(device)


def _network(width: int) -> nn.Module:
    """Strided, depthwise, pointwise and dense convolutions with their activations: what segmentation is made of."""
    return nn.Sequential(
        *_layer(3, width, stride=2),
        *_layer(width, width, groups=width),
        *_layer(width, 2 * width, kernel=1),
        *_layer(2 * width, 2 * width, stride=2),
        *_layer(2 * width, 2 * width, groups=2 * width),
        *_layer(2 * width, 4 * width, kernel=1),
        *_layer(4 * width, 4 * width),
    )


def _layer(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups), nn.ReLU()
