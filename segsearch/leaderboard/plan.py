"""A dry run: which networks would be timed, and about how long that would take. Nothing is written."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from segsearch.count.cost import count
from segsearch.leaderboard.run import Candidate
from segsearch.measure.backends.table import FILE_BACKENDS
from segsearch.measure.machine import find_device
from segsearch.models.network import build
from segsearch.progress import Report, silent
from segsearch.timing import LatencyProtocol, LatencyStore

CONVOLUTION = (64, 64, 128)
"""Channels, height and width of the map whose 3x3 convolution stands for the device when nothing is measured yet."""
SHARE = 0.3
"""Of that convolution's rate of multiply-adds, which whole networks reach; a rough guess."""
EXPORTING_SECONDS = 4.0
"""Of a network into the file that most backends run, once."""
PROCESS_SECONDS = 2.5
"""Loading libraries and the network, and the reference network between the samples, in each process."""


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One network that would be timed."""

    name: str
    macs: int
    seconds: float
    """Guess of how long it takes, warm-up included."""


@dataclass(frozen=True, kw_only=True)
class TimingPlan:
    """What a leaderboard is about to do under one protocol."""

    protocol: LatencyProtocol
    wanted: int
    """Networks in all, measured ones included."""
    missing: tuple[Planned, ...]

    @property
    def seconds(self) -> float:
        """Guess for all that is missing."""
        return sum(planned.seconds for planned in self.missing)


def plan(
    store: LatencyStore,
    protocol: LatencyProtocol,
    candidates: Sequence[Candidate],
    *,
    exporting: bool = True,
    report: Report = silent,
) -> TimingPlan:
    """Count what is missing, and guess its time from what is measured or, before that, from one convolution.

    ``exporting``: whether a file must be exported for it; an earlier protocol's file serves, too.
    """
    found = {c.spec.id: record for c in candidates if (record := store.get(protocol, c.spec.id)) is not None}
    missing = [c for c in candidates if c.spec.id not in found]
    rates = [1000 * record.macs / record.median_ms for record in found.values() if record.macs]
    rate = statistics.median(rates) if rates else SHARE * _convolution_rate(protocol) if missing else 0.0
    planned, exported = [], exporting and protocol.backend in FILE_BACKENDS
    for done, candidate in enumerate(missing, start=1):
        macs = _macs(candidate, protocol)
        seconds = _seconds(macs / rate, protocol) + (EXPORTING_SECONDS if exported else 0.0)
        planned.append(Planned(name=candidate.name, macs=macs, seconds=seconds))
        report("count", done, len(missing))
    return TimingPlan(protocol=protocol, wanted=len(candidates), missing=tuple(planned))


def _macs(candidate: Candidate, protocol: LatencyProtocol) -> int:
    with torch.device("meta"):
        network = build(candidate.spec, protocol.classes)
    return count(network, protocol.size_hw).macs


def _convolution_rate(protocol: LatencyProtocol) -> float:
    """Multiply-adds per second of one convolution on the protocol's device: the best of a few calls."""
    device, (width, *side) = find_device(protocol.device), CONVOLUTION
    layer, image = nn.Conv2d(width, width, 3, padding=1).to(device), torch.rand(1, width, *side, device=device)
    best = float("inf")
    with torch.inference_mode():
        for _ in range(10):
            start = time.perf_counter()
            layer(image)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            best = min(best, time.perf_counter() - start)
    return 9 * width * width * side[0] * side[1] / best


def _seconds(latency_seconds: float, protocol: LatencyProtocol) -> float:
    timer, processes = protocol.timer, protocol.processes or 1
    block = max(timer.warmup_block_seconds, timer.warmup_block_calls * latency_seconds)
    warmup = max(latency_seconds, min(timer.max_warmup_seconds, 2 * block))
    sampling = max(timer.min_seconds, timer.min_samples * latency_seconds) + timer.blocks * latency_seconds
    return processes * (warmup + sampling + PROCESS_SECONDS)
