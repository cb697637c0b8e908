"""Final figures of a study as a table, sentences, and plain data."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from segsearch.report.latency import marked
from segsearch.report.words import count_of, duration, percent
from segsearch.study.final import FinalFile, Finalist

if TYPE_CHECKING:  # these load torch
    from segsearch.engine.finalize import Finals
    from segsearch.run.train import Ready
    from segsearch.study.record import TrialRecord
    from segsearch.training.rehearse import Rehearsal


def final_table(file: FinalFile, title: str) -> Table:
    """Give a row for each network that is trained in full, in the order of mIoU: search beside final figures.

    ``s.d.`` is the standard deviation over the seeds, ``s.e.`` the standard error of the mean.
    """
    table = Table(title=f"{title}: final figures by {file.recipe_name}", title_justify="left")
    table.add_column("trial", justify="right")
    table.add_column("network", no_wrap=True)
    for heading in ("search", "its ms", "mIoU", "s.d.", "s.e.", "report", "seeds", "ms", "FPS"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    for finalist in sorted(file.finalists, key=lambda f: (-(f.miou or 0), f.trial)):
        table.add_row(*_row(finalist), _told(file, finalist), style="bold" if finalist.trial == file.winner else None)
    return table


def _row(finalist: Finalist) -> tuple[str, ...]:
    timed = finalist.latency
    return (
        str(finalist.trial),
        finalist.name,
        percent(finalist.search_miou),
        f"{finalist.search_latency_ms:.2f}",
        percent(finalist.miou, ""),
        percent(finalist.deviation, ""),
        percent(finalist.standard_error, ""),
        percent(finalist.report_miou, ""),
        str(len(finalist.trainings)),
        marked(timed) if timed else "",
        f"{timed.fps:.1f}" if timed else "",
    )


def _told(file: FinalFile, finalist: Finalist) -> str:
    words = ["winner"] if finalist.trial == file.winner else []
    words += ["tied"] if finalist.trial in file.tied and finalist.trial != file.winner else []
    words += [f"not timed: {finalist.untimed}"] if finalist.untimed else []
    words += [f"seed {t.seed}: {t.failure}" for t in finalist.trainings if t.failure]
    return "; ".join(words)


def final_lines(file: FinalFile, study: object) -> Iterator[str]:
    """Say who wins and why, how far the search's order holds, and what to do next."""
    winner = None if file.winner is None else file.of(file.winner)
    if winner is None:
        yield f"unfinished; `segsearch finalize {study}` goes on"
    elif file.tied:
        others = ", ".join(f.name for f in file.finalists if f.trial in file.tied and f is not winner)
        yield (
            f"tied within one standard error: {winner.name} and {others}; the fastest of them wins,"
            f" {winner.name} at {winner.latency_ms:.2f} ms"
        )
    else:
        yield f"{winner.name} wins: mIoU {percent(winner.miou)} at {winner.latency_ms:.2f} ms"
    if file.seeds == 1:
        yield "one seed each: standard errors are over the images and say nothing of the seeds (--seeds 3)"
    if (tau := file.tau) is not None:
        yield f"rank correlation search -> final: tau {tau:.2f} of {len(file.scored)} networks"
    if winner is not None:
        middle = winner.middle
        assert middle is not None
        yield f"`segsearch export {study}` takes it with the weights of seed {middle.seed}, the nearest to the mean"


def final_plain(file: FinalFile) -> dict[str, Any]:
    """Everything as plain data, with the rank correlation between search and final mIoU."""
    return file.model_dump(mode="json") | {"tau": file.tau}


def planned_table(
    finals: "Finals", rehearsed: "Sequence[tuple[TrialRecord, Ready, Rehearsal]]"
) -> Iterator[Table | str]:
    """Say what would be trained, and about how long it would take."""
    file = finals.file
    table = Table(title=f"{finals.config.name}: would be trained in full by {file.recipe_name}", title_justify="left")
    for heading in ("trial", "network", "search mIoU", "search ms", "steps", "time of one seed"):
        table.add_column(heading, justify="left" if heading == "network" else "right")
    left = [record.number for record, _ in finals.left()]
    total = 0.0
    for record, ready, taken in rehearsed:
        seconds = ready.steps * taken.seconds_per_step
        total += seconds * left.count(record.number)
        speed = f"{record.latency_ms:.2f}"
        table.add_row(str(record.number), record.name, percent(record.miou), speed, str(ready.steps), duration(seconds))
    yield table
    trainings, seeds = count_of(len(left), "training"), count_of(file.seeds, "seed")
    yield (
        f"{trainings} to do, {seeds} of each network: about {duration(total)} without scoring and timing;"
        " nothing was written"
    )
