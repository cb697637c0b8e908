"""Small spaces and records to try the search on without training anything."""

import random
from functools import cache
from typing import Any

from segsearch.measure.load import Contention
from segsearch.measure.machine import Software
from segsearch.measure.record import LatencyRecord
from segsearch.measure.timer import TimerSettings
from segsearch.result import TrialResult
from segsearch.samplers.proposals import network_name
from segsearch.space.load import load_space, narrow
from segsearch.space.lower import lower
from segsearch.space.nodes import Point, Space
from segsearch.space.walk import sample
from segsearch.study.record import Proposal, TrialRecord
from segsearch.training.recipe import Recipe
from segsearch.training.scores import Scores

RECIPE = Recipe(iterations=10)
SMALL = {
    "input_scale": [1.0],
    "finest": ["P2", "P3"],
    "coarsest": ["P3"],
    "encoder_width": [0.25, 0.5],
    "encoder": ["fpe"],
    "encoder.fpe.p": [2],
    "encoder.fpe.q": [2, 3],
    "encoder.fpe.expansion": [1],
    "encoder.fpe.dilations": ["1"],
    "encoder.fpe.cascade": [False],
    "encoder.fpe.long_skip": [False],
    "context": ["none"],
    "fusion_width": [16],
    "fusion": ["fpn", "up"],
    "fusion.fpn.style": ["sfnet"],
    "fusion.up.widths": ["constant"],
    "smooth": [False],
    "head": ["plain"],
    "pool": ["avg"],
}
"""Narrows the unified space to 16 points, each of which trains in a moment."""


@cache
def unified() -> Space:
    return load_space("unified")


@cache
def small() -> Space:
    return narrow(unified(), {name: list(values) for name, values in SMALL.items()})


def some_point(seed: int = 0, space: Space | None = None) -> Point:
    return sample(space or unified(), random.Random(seed))


def latency(median_ms: float, label: str = "") -> LatencyRecord:
    return LatencyRecord(
        label=label,
        size_hw=(32, 48),
        batch=1,
        precision="float32",
        layout="contiguous",
        backend="eager",
        backend_version="0",
        device="abacus",
        device_kind="cpu",
        threads=1,
        median_ms=median_ms,
        p10_ms=0.9 * median_ms,
        p90_ms=1.2 * median_ms,
        samples_ms=(median_ms,),
        warmup_calls=1,
        warmup_settled=True,
        timer=TimerSettings(),
        software=Software(torch="0", python="0", os="none"),
        contention=Contention(load_average=0.0, others_percent_before=0.0, others_percent_during=0.0),
        started_at="2026-01-01T00:00:00+00:00",
    )


def scores(miou: float) -> Scores:
    return Scores(miou=miou, iou={"road": miou, "sky": None}, pixel_accuracy=miou, images=2, confusion=((1, 0), (0, 1)))


def result(point: Point, *, miou: float | None = None, latency_ms: float | None = 5.0, **facts: Any) -> TrialResult:
    spec = lower(point)
    state = "complete" if miou is not None else "rejected"
    known: dict[str, Any] = {
        "spec": spec,
        "spec_id": spec.id,
        "params": 1000,
        "macs": 10**6,
        "latency": latency(latency_ms, spec.id) if latency_ms is not None else None,
        "scores": scores(miou) if miou is not None else None,
        "trained_iterations": 10 if miou is not None else 0,
        "final_loss": 1.0 if miou is not None else None,
        "seconds": {"build": 0.5, "train": 2.0},
        "state": state,
        "reason": None if miou is not None else "over the budget",
    }
    return TrialResult(**(known | facts))


def record(
    number: int,
    point: Point | None = None,
    *,
    miou: float | None = None,
    latency_ms: float | None = 5.0,
    origin: str = "sampler",
    **facts: Any,
) -> TrialRecord:
    """A trained trial if it has a ``miou``, else a rejected one."""
    point = point or some_point(number)
    outcome = result(point, miou=miou, latency_ms=latency_ms, **facts)
    name = origin.removeprefix("named:") if origin.startswith("named:") else network_name(point, outcome.spec_id)
    proposal = Proposal(number=number, origin=origin, name=name, point=point, spec_id=outcome.spec_id)
    return TrialRecord.of(
        proposal,
        outcome,
        recipe_id=RECIPE.id,
        recipe=RECIPE,
        seed=number,
        device="abacus",
        commit="unknown",
        versions={"segsearch": "0"},
        started_at="2026-01-01T00:00:00+00:00",
        finished_at="2026-01-01T00:01:00+00:00",
    )
