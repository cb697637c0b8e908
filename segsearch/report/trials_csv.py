"""A study as one CSV file, one row per trial, for pandas, a spreadsheet, or a colleague."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from segsearch.files import write_atomic
from segsearch.study.budget import Budget
from segsearch.study.final import FinalFile, Finalist
from segsearch.study.pareto import front
from segsearch.study.record import TrialRecord

if TYPE_CHECKING:
    import pandas as pd

NAME = "trials.csv"


PLAIN = (
    *("number", "name", "origin", "state", "reason", "on_front"),
    *("miou", "float32_miou", "pixel_accuracy", "report_miou"),
    *("latency_ms", "latency_p10_ms", "latency_p90_ms", "fps", "steady", "unsure", "measurements", "search_latency_ms"),
    *("params", "macs", "memory_mib", "spec_id", "recipe_id", "seed"),
    *("pretrained", "trained_iterations", "final_loss", "device", "backend", "precision", "threads", "commit"),
    *("started_at", "finished_at"),
)
"""Columns of any study, of one without trials too."""


FINAL = (
    "final_miou",
    "final_deviation",
    "final_standard_error",
    "final_report_miou",
    "final_seeds",
    "final_latency_ms",
)
"""Columns of a study whose networks were trained in full."""


def write_csv(
    records: Sequence[TrialRecord], path: Path, budget: Budget | None = None, final: FinalFile | None = None
) -> None:
    """Write ``path``; ``pandas.read_csv`` reads it back.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    write_atomic(path, trials_frame(records, budget, final).to_csv(index=False, lineterminator="\n"))


def trials_frame(
    records: Sequence[TrialRecord], budget: Budget | None = None, final: FinalFile | None = None
) -> "pd.DataFrame":
    """Return one row per trial: what it was, what it cost, what it scored, and ``point.*``, ``iou.*``, ``seconds.*``.

    ``miou``, ``pixel_accuracy`` and ``iou.*`` are in the precision that the study ships; ``float32_miou`` is beside it.
    ``on_front`` is of the networks within ``budget``.
    ``latency_*``, ``fps`` and ``steady`` are of the measurement at the end where there was one, of the search else.
    ``final_*`` are there where ``final`` is: means over the seeds, see `segsearch.study.final.Finalist`.
    A choice that does not exist on a trial's path, and a figure that was not measured, is left empty.
    """
    import pandas as pd

    best = {record.number for record in front(records, budget)}
    rows = [_row(record) | {"on_front": record.number in best} for record in records]
    if final is not None:
        rows = [row | _final(final.of(record.number)) for row, record in zip(rows, records, strict=True)]
    frame = pd.DataFrame(rows, columns=_columns(rows))
    # empty cells would turn whole numbers into floats
    return frame.astype({name: "Int64" for name in _columns(rows) if _is_whole(row.get(name) for row in rows)})


def _is_whole(values: Iterable[object]) -> bool:
    """Whether all that is there is whole numbers, and something is."""
    kinds = {type(value) for value in values if value is not None}
    return kinds == {int}


def _row(record: TrialRecord) -> dict[str, object]:
    latency, scores, report = record.quoted, record.counted, record.report_scores
    return {
        "number": record.number,
        "name": record.name,
        "origin": record.origin,
        "state": record.state,
        "reason": record.reason,
        "on_front": False,
        "miou": scores and scores.miou,
        "float32_miou": record.scores and record.scores.miou,
        "pixel_accuracy": scores and scores.pixel_accuracy,
        "report_miou": report and report.miou,
        "latency_ms": latency and latency.median_ms,
        "latency_p10_ms": latency and latency.p10_ms,
        "latency_p90_ms": latency and latency.p90_ms,
        "fps": latency and latency.fps,
        "steady": latency and latency.steady,
        "unsure": record.unsure,
        "measurements": record.measurements,
        "search_latency_ms": record.latency and record.latency.median_ms,
        "params": record.params,
        "macs": record.macs,
        "memory_mib": record.costs["memory_mib"],
        "spec_id": record.spec_id,
        "recipe_id": record.recipe_id,
        "seed": record.seed,
        "pretrained": record.pretrained,
        "trained_iterations": record.trained_iterations,
        "final_loss": record.final_loss,
        "device": record.device,
        "backend": latency and latency.backend,
        "precision": latency and latency.precision,
        "threads": latency and latency.threads,
        "commit": record.commit,
        "started_at": record.started_at,
        "finished_at": record.finished_at,
        **{f"seconds.{stage}": seconds for stage, seconds in record.seconds.items()},
        **{f"iou.{name}": iou for name, iou in (scores.iou if scores else {}).items()},
        **{f"point.{name}": value for name, value in record.point.items()},
    }


def _final(finalist: Finalist | None) -> dict[str, object]:
    if finalist is None:
        return dict.fromkeys(FINAL)
    latency_ms = finalist.latency and finalist.latency.median_ms
    figures = (finalist.miou, finalist.deviation, finalist.standard_error, finalist.report_miou)
    return dict(zip(FINAL, (*figures, len(finalist.trainings), latency_ms), strict=True))


def _columns(rows: Sequence[dict[str, object]]) -> list[str]:
    """All columns of all rows: the plain ones first, then each dotted group in the order in which its names turn up."""
    names = list(dict.fromkeys([*PLAIN, *(name for row in rows for name in row)]))
    groups = ("seconds.", "iou.", "point.")
    plain = [name for name in names if not name.startswith(groups)]
    return plain + [name for group in groups for name in names if name.startswith(group)]
