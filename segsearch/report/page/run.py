"""The page of one training: its scores, its curves, its classes, and what its paper prints."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from segsearch.errors import InputError
from segsearch.report.page import blocks
from segsearch.report.page.html import Block, Page, Section
from segsearch.report.page.origin import run_origin
from segsearch.report.run import printed, told
from segsearch.report.words import duration, percent
from segsearch.run.folder import METRICS, RunFile, RunResult, read_result, read_run
from segsearch.run.metrics import read_metrics
from segsearch.training.scores import Scores

MOST_CONFUSED = 40
"""Classes of a confusion matrix that is shown."""


def run_page(folder: Path, pictures: Sequence[Block]) -> Page:
    """Gather what a run's page shows; of one that is not finished, how far it is.

    Raises:
        InputError: no run, or a damaged file.
    """
    file, result, lines = read_run(folder), read_result(folder), read_metrics(folder / METRICS)
    if result is None and not lines:
        raise InputError(folder, "has no result and no metrics yet: the command that began it goes on with it")
    shown = () if result is None else (_tiles(file, result), blocks.words(*told(file, result)))
    sections = (
        Section(title="Scores", blocks=shown),
        Section(title="Training", blocks=tuple(_curves(lines, file))),
        Section(title="IoU per class", blocks=() if result is None else tuple(_classes(result))),
        Section(title="Predictions", blocks=tuple(pictures)),
        Section(title="Where the figures are from", blocks=tuple(run_origin(file))),
    )
    state = "" if result is not None else "; not finished"
    size = f"{file.data.size[0]}x{file.data.size[1]}"
    subtitle = f"{file.data.title} at {size} pixels, by {file.recipe_name}, seed {file.seed}, on {file.hardware}{state}"
    return Page(title=file.name, subtitle=subtitle, sections=sections)


def _tiles(file: RunFile, result: RunResult) -> Block:
    scores, row = result.scores, printed(file)
    error = "" if scores.standard_error is None else f"standard error {percent(scores.standard_error)}"
    figures = [("mIoU", percent(scores.miou), error or f"of {scores.images} images")]
    if row is not None:
        place = ", ".join(word for word in (row.where, row.split) if word)
        figures.append(("printed mIoU", f"{row.printed} %", place))
    if result.report_scores is not None:
        figures.append(("mIoU of report", percent(result.report_scores.miou), "images that are only reported on"))
    figures.append(("pixel accuracy", percent(scores.pixel_accuracy), f"of {scores.images} images"))
    figures.append(("steps", f"{result.steps:,}", f"in {duration(result.seconds)}"))
    return blocks.tiles(figures)


def _curves(lines: Sequence[dict[str, Any]], file: RunFile) -> Iterator[Block]:
    row = printed(file)
    rule = None if row is None else (f"printed: {row.printed} %", row.value / 100)
    for key, caption in (("miou", "mIoU of val"), ("loss", "loss"), ("rate", "learning rate")):
        there = [line for line in lines if line.get(key) is not None]
        series = [(key, [line["epoch"] for line in there], [line[key] for line in there])]
        scored = key == "miou"
        curve = blocks.lines(caption, "epochs", caption, series, percent=scored, rule=rule if scored else None)
        if curve["series"]:
            yield curve


def _classes(result: RunResult) -> Iterator[Block]:
    scores = result.scores
    if not scores.iou:
        return
    rows = [(name, [iou]) for name, iou in scores.iou.items()]
    yield blocks.bars("IoU of each class on val", ["IoU"], sorted(rows, key=lambda row: -(row[1][0] or 0)))
    if len(scores.iou) <= MOST_CONFUSED:
        yield _confusion(scores)


def _confusion(scores: Scores) -> Block:
    """Write each row as shares of the pixels that its label has."""
    names = list(scores.iou)
    shares = [[count / sum(row) if sum(row) else None for count in row] for row in scores.confusion]
    caption = "what each label's pixels are taken for: the row is the label, the column the prediction"
    return blocks.matrix(caption, names, zip(names, shares, strict=True))
