"""A small fixed network in plain torch, timed between the blocks of every measurement: it shows the machine's drift.

Its latency is a property of the machine alone, so what moves it (clocks, heat, other programs) moves the candidate too.
It runs on as many threads as the candidate: two cores that share one for a while slow down two threads and not one; and
on the same processors (`segsearch.measure.affinity`). The pools of two libraries disturb one another (an idle thread of
torch was seen to spin for 4 ms of processor time and one of onnxruntime for 37 ms), so with more than one thread it
begins after a pause.
"""

import time
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn

from segsearch.measure.timer import Laps, Stopwatch, take

LEAD_CALLS, CALLS = 16, 30
"""A block: calls that count, and before them those that wipe out the traces of the network before: the fifth still
takes 4 to 12 % longer than the sixtieth, most after networks that fill the caches; the sixteenth 0 to 3 %."""
LEAST_CALLS, MOST_SECONDS = 4, 0.1
"""Where others slow it down, each part of a block ends with fewer calls after this time."""
PAUSE_SECONDS = 0.06
"""Before each on several threads of a processor: pools have stopped spinning after it."""
_SHAPES = {"cpu": (1, 96, 16), "cuda": (4, 512, 64)}
"""Batch, height and width of the image, and channels of the first layer: about 1 ms on a core of 2022, and on a GPU
enough for the work to hide its launching."""


def reference_block(device: torch.device, stopwatch: Stopwatch) -> Callable[[], Laps]:
    """Return what times one block of the reference network on ``device``: about `CALLS` laps in milliseconds.

    On a processor it takes as many threads as torch has when it is called.
    """
    network, image = _reference(device)

    def run() -> object:
        return network(image)

    def laps() -> Laps:
        if device.type == "cpu" and torch.get_num_threads() > 1:
            time.sleep(PAUSE_SECONDS)
        with torch.inference_mode():
            take(run, stopwatch, LEAST_CALLS, MOST_SECONDS, LEAD_CALLS)
            return take(run, stopwatch, LEAST_CALLS, MOST_SECONDS, CALLS)

    return laps


@cache
def _reference(device: torch.device) -> tuple[nn.Module, Tensor]:
    """Network and image, always of the same numbers, and in one process at the same place in memory.

    Strided, depthwise, pointwise and dense convolutions with their activations: what segmentation is made of.
    """
    batch, side, width = _SHAPES[device.type]
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        network = nn.Sequential(
            *_layer(3, width, stride=2),
            *_layer(width, width, groups=width),
            *_layer(width, 2 * width, kernel=1),
            *_layer(2 * width, 2 * width, stride=2),
            *_layer(2 * width, 2 * width, groups=2 * width),
            *_layer(2 * width, 4 * width, kernel=1),
            *_layer(4 * width, 4 * width),
        )
        image = torch.rand(batch, 3, side, side)
    return network.eval().requires_grad_(False).to(device), image.to(device)


def _layer(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups), nn.ReLU()
