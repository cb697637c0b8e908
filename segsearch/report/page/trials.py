"""A study's trials as rows for its chart and its table, and what a limit of latency would pick of them."""

from collections.abc import Sequence
from typing import Any

from segsearch.report.page.html import Block
from segsearch.study.budget import Budget
from segsearch.study.final import FinalFile
from segsearch.study.overview import Overview
from segsearch.study.pareto import front
from segsearch.study.record import TrialRecord

COLUMNS = (
    *("number", "name", "paper", "origin", "state", "reason", "miou", "error", "ms", "p10", "p90", "doubt"),
    *("params", "macs", "least", "fits", "front", "final", "choices"),
)
"""Of a row. ``least`` is the latency that a limit is held against, ``fits`` whether other limits are kept, ``front``
whether it lies on the front of networks of any latency, ``choices`` an index into each list of the values. Figures are
not rounded: the page picks a winner by them, and must pick the one that `segsearch export` does."""
FINAL = ("miou", "deviation", "error", "seeds", "ms", "least", "settled")


def front_block(studies: Sequence[tuple[str, Overview, FinalFile | None]]) -> Block:
    """Draw the front of one or two studies: names, what lies there, and full trainings where there are some."""
    return {
        "kind": "front",
        "columns": COLUMNS,
        "final": FINAL,
        "studies": [_study(name, found, final) for name, found, final in studies],
    }


def trials_block() -> Block:
    """List the trials of the chart above."""
    return {"kind": "trials"}


def _study(name: str, found: Overview, final: FinalFile | None) -> dict[str, Any]:
    budget = found.file.config.budget
    values = {key: list[Any]() for key in dict.fromkeys(key for r in found.records if r.trained for key in r.point)}
    any_ms = {r.number for r in front(found.records, budget.model_copy(update={"fps": None, "latency_ms": None}))}
    inside = {r.number for r in found.front}
    rows = []
    for record in found.records:
        state = _state(record, budget, on_front=record.number in inside)
        rows.append(
            [
                *_told(record, state),
                *_figures(record),
                record.least_ms or 0,
                all(over <= 0 for over in budget.excess(**record.quoted_costs | {"latency_ms": None}).values()),
                record.number in any_ms,
                _final(record, final),
                [_index(held, record.point.get(key)) for key, held in values.items()] if record.trained else None,
            ]
        )
    return {
        "name": name,
        "folder": str(found.folder),
        "limit": budget.limit_ms,
        "stepped": budget.compared == ("latency_ms",),
        "decided": final is not None and final.winner is not None,
        "choices": list(values.items()),
        "rows": rows,
    }


def _state(record: TrialRecord, budget: Budget, *, on_front: bool) -> str:
    if not record.trained:
        return record.state
    if on_front:
        return "on the front"
    return "trained" if record.meets(budget) else "over the budget"


def _told(record: TrialRecord, state: str) -> list[Any]:
    return [record.number, record.name, record.named is not None, record.origin, state, record.reason]


def _figures(record: TrialRecord) -> list[Any]:
    """Give mIoU with its standard error over images, latency with its spread, and size."""
    scores, timed = record.counted if record.trained else None, record.quoted
    miou = [scores and scores.miou, scores and scores.standard_error]
    ms = [timed.median_ms, timed.p10_ms, timed.p90_ms] if timed else [None] * 3
    return [*miou, *ms, record.doubt, record.params, record.macs]


def _final(record: TrialRecord, file: FinalFile | None) -> list[Any] | None:
    finalist = None if file is None else file.of(record.number)
    if file is None or finalist is None or finalist.miou is None:
        return None
    again = record.model_copy(update={"confirmed": finalist.latency or record.confirmed})
    return [
        finalist.miou,
        finalist.deviation,
        finalist.standard_error,
        len(finalist.trainings),
        again.latency_ms,
        again.least_ms or 0,
        finalist.settled(file.seeds),
    ]


def _index(held: list[Any], value: object) -> int | None:
    """Find a value among those of its choice, added if it is new; None where the choice does not exist."""
    if value is None:
        return None
    for index, known in enumerate(held):
        if known == value and type(known) is type(value):
            return index
    held.append(value)
    return len(held) - 1
