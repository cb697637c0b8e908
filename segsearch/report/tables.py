"""A study as tables for the terminal."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from segsearch.report.words import aims, duration, percent
from segsearch.study.budget import Budget, short
from segsearch.study.pareto import front
from segsearch.study.promotion import Scores, agreements
from segsearch.study.record import TrialRecord


def study_table(records: Sequence[TrialRecord], *, title: str, budget: Budget | None = None) -> RenderableType:
    """Return the Pareto front, fastest first, and beneath it how many trials ended how, and what the rungs said."""
    table, lines = front_table(records, title=title, budget=budget), [summary(records, budget), *rung_lines(records)]
    return Group(table, *map(Text, lines))


def rung_lines(records: Sequence[TrialRecord]) -> list[str]:
    """Say how far the order of the networks at each rung was their order at the next."""
    rungs = sorted({rung.epochs for record in records for rung in record.rungs if rung.epochs})
    return [f"rank correlation {agreement}" for agreement in agreements(Scores.of(records), rungs)]


def front_table(records: Sequence[TrialRecord], *, title: str, budget: Budget | None = None) -> Table:
    """Return the networks within a budget that no other such beats in all objectives, fastest first."""
    table = _table(f"{title}: Pareto front{aims(budget)}", budget)
    for record in front(records, budget):
        table.add_row(*_row(record, budget))
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
    table = _table(f"{title}: all trials", budget)
    table.add_column("state", overflow="fold")
    for record in records:
        state = record.state if record.trained else f"{record.state}: {record.reason}"
        if record.number in best:
            state = "on the front"
        elif record.trained and budget is not None and not record.meets(budget):
            state = "over the budget"
        if record.trained and record.number not in weights:
            state += ", weights deleted"
        table.add_row(*_row(record, budget), state, style=None if record.trained else "dim")
    return table


def summary(records: Sequence[TrialRecord], budget: Budget | None = None) -> str:
    """Say in one line how many trials ended how, and how long they took."""
    states = Counter(record.state for record in records)
    over = sum(record.trained and not record.meets(budget) for record in records) if budget else 0
    trained = f"{states['complete']} trained" + (f" ({over} of them over the budget)" if over else "")
    stopped = f"{states['stopped']} stopped at a rung, " if states["stopped"] else ""
    counts = f"{trained}, {stopped}{states['rejected']} rejected before training, {states['failed']} failed"
    seconds = sum(sum(record.seconds.values()) for record in records)
    limit = f"; budget: {budget}" if budget and str(budget) != "no limit" else ""
    return f"{counts}; {duration(seconds)} in all{limit}"


def _with_memory(budget: Budget | None) -> bool:
    """Whether a study cares for memory."""
    return budget is not None and "memory_mib" in {*budget.compared, *budget.limits}


def _table(title: str, budget: Budget | None) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("trial", justify="right")
    table.add_column("network", no_wrap=True)
    memory = ("MiB",) if _with_memory(budget) else ()
    for heading in ("mIoU", "ms", "p10-p90", "FPS", "timing", "params", "MACs", *memory):
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _row(record: TrialRecord, budget: Budget | None) -> tuple[str, ...]:
    latency = record.quoted
    speed: tuple[str, ...] = ("", "", "", "")
    if latency is not None:
        spread = f"{latency.p10_ms:.2f}-{latency.p90_ms:.2f}"
        speed = (f"{latency.median_ms:.2f}", spread, f"{record.fps:.1f}", record.doubt or "")
    miou = percent(record.miou) if record.trained else ""
    counted = [short(count) if count is not None else "" for count in (record.params, record.macs)]
    mib = record.costs["memory_mib"]
    memory = ("" if mib is None else f"{mib:.4g}",) if _with_memory(budget) else ()
    return (str(record.number), record.name, miou, *speed, *counted, *memory)
