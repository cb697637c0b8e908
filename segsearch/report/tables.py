"""A study as tables for the terminal."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from segsearch.report.words import duration, percent
from segsearch.search.budget import Budget, short
from segsearch.search.pareto import front
from segsearch.search.record import TrialRecord


def study_table(records: Sequence[TrialRecord], *, title: str, budget: Budget | None = None) -> RenderableType:
    """Return the Pareto front, fastest first, and beneath it how many trials ended how."""
    return Group(front_table(records, title=title, budget=budget), Text(summary(records, budget)))


def front_table(records: Sequence[TrialRecord], *, title: str, budget: Budget | None = None) -> Table:
    """Return the networks within a budget that no other such beats in both mIoU and latency, fastest first."""
    table = _table(f"{title}: Pareto front")
    for record in front(records, budget):
        table.add_row(*_row(record))
    return table


def trials_table(
    records: Sequence[TrialRecord],
    *,
    title: str,
    budget: Budget | None = None,
    exportable: Sequence[TrialRecord] | None = None,
) -> Table:
    """Return every trial in the order of numbers, and what became of it.

    Args:
        records: all trials.
        title: name of the study.
        budget: networks over it are not on the front.
        exportable: those whose weights are there; default all trained ones.
    """
    weights = {record.number for record in (records if exportable is None else exportable)}
    best = {record.number for record in front(records, budget)}
    table = _table(f"{title}: all trials")
    table.add_column("state", overflow="fold")
    for record in records:
        state = record.state if record.trained else f"{record.state}: {record.reason}"
        if record.number in best:
            state = "on the front"
        elif record.trained and budget is not None and not record.meets(budget):
            state = "over the budget"
        if record.trained and record.number not in weights:
            state += ", weights deleted"
        table.add_row(*_row(record), state, style=None if record.trained else "dim")
    return table


def summary(records: Sequence[TrialRecord], budget: Budget | None = None) -> str:
    """Say in one line how many trials ended how, and how long they took."""
    states = Counter(record.state for record in records)
    over = sum(record.trained and not record.meets(budget) for record in records) if budget else 0
    trained = f"{states['complete']} trained" + (f" ({over} of them over the budget)" if over else "")
    counts = f"{trained}, {states['rejected']} rejected before training, {states['failed']} failed"
    seconds = sum(sum(record.seconds.values()) for record in records)
    limit = f"; budget: {budget}" if budget and str(budget) != "no limit" else ""
    return f"{counts}; {duration(seconds)} in all{limit}"


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("trial", justify="right")
    table.add_column("network", no_wrap=True)
    for heading in ("mIoU", "ms", "p10-p90", "FPS", "timing", "params", "MACs"):
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _row(record: TrialRecord) -> tuple[str, ...]:
    latency = record.quoted
    speed: tuple[str, ...] = ("", "", "", "")
    if latency is not None:
        spread = f"{latency.p10_ms:.2f}-{latency.p90_ms:.2f}"
        speed = (f"{latency.median_ms:.2f}", spread, f"{record.fps:.1f}", record.doubt or "")
    miou = percent(record.miou) if record.trained else ""
    counted = [short(count) if count is not None else "" for count in (record.params, record.macs)]
    return (str(record.number), record.name, miou, *speed, *counted)
