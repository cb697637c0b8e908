"""Boards of made-up latencies, so that reports and orders are tried without timing anything."""

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import torch

from segsearch.count.cost import count
from segsearch.leaderboard.board import Board, board_of
from segsearch.measure.record import LatencyRecord
from segsearch.measure.timer import TimerSettings
from segsearch.models.network import build
from segsearch.space.points import named_point, named_points
from segsearch.spec.network import NetworkSpec
from segsearch.timing import LatencyProtocol, LatencyStore
from tests.engine.builders import latency

TIMER = TimerSettings(
    min_samples=3,
    min_seconds=0.01,
    warmup_block_seconds=0.01,
    warmup_block_calls=1,
    max_warmup_seconds=0.05,
    blocks=1,
    retakes=0,
)


def protocol(**changes: object) -> LatencyProtocol:
    plain = LatencyProtocol(
        size_hw=(1024, 2048),
        classes=19,
        machine="here",
        device="cpu",
        device_name="abacus",
        backend="eager",
        backend_version="0",
        torch="0",
        driver=None,
        precision="float32",
        threads=1,
        timer=TIMER,
        processes=None,
    )
    return plain.model_copy(update=changes)


@cache
def cost(spec: NetworkSpec, size_hw: tuple[int, int]) -> tuple[int, int]:
    with torch.device("meta"):
        counted = count(build(spec), size_hw)
    return counted.params, counted.macs


def measured(name: str, median_ms: float) -> LatencyRecord:
    """Of a named point, with a made-up latency."""
    return latency(median_ms, name).model_copy(update={"params": 1000, "macs": 10**6})


def board(folder: Path, milliseconds: Mapping[str, float], **changes: object) -> Board:
    """A board of named points with these latencies."""
    store, under = LatencyStore(folder / "measured.jsonl"), protocol(**changes)
    for name, median_ms in milliseconds.items():
        store.add(under, named_point(name).spec.id, measured(name, median_ms))
    return board_of(store, under, [named_point(name) for name in milliseconds])


def every_point(folder: Path, **changes: object) -> Board:
    """All named points; a network's latency is its parameters' and its name's, which is made up but steady."""
    return board(folder, {name: _milliseconds(name) for name in named_points()}, **changes)


def _milliseconds(name: str) -> float:
    expected = named_point(name).expected
    luck = int(hashlib.sha256(name.encode()).hexdigest()[:4], 16) / 16**4
    return (expected.macs / 1e9 if expected else 20.0) * (0.5 + luck) + 3
