"""What `segsearch train` and `segsearch evaluate` print."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.table import Table

from segsearch.report.words import duration, percent
from segsearch.space.points import Published, named_points

if TYPE_CHECKING:  # these load torch, which a command's help does without
    from segsearch.run.course import Check
    from segsearch.run.folder import RunFile, RunResult
    from segsearch.run.train import Ready, Run
    from segsearch.training.evaluate import Evaluation
    from segsearch.training.rehearse import Rehearsal
    from segsearch.training.scores import Scores


def scores_table(scores: "Scores") -> Table:
    """Give a row for each class: its IoU, and the share of the labelled pixels that it has."""
    table = Table(title="IoU per class", title_justify="left")
    table.add_column("class", overflow="fold")
    for heading in ("IoU", "labelled pixels"):
        table.add_column(heading, justify="right")
    pixels = [sum(row) for row in scores.confusion]
    for (name, iou), count in zip(scores.iou.items(), pixels, strict=True):
        table.add_row(name, percent(iou, "absent"), percent(count / sum(pixels)))
    return table


def scored(scores: "Scores", where: str, size_hw: tuple[int, int]) -> str:
    """Say mIoU and pixel accuracy, of which images, and the size that the network saw."""
    error = "" if scores.standard_error is None else f" (standard error {percent(scores.standard_error)})"
    seen = f"{scores.images} images of {where}, seen at {_by(size_hw)}"
    return f"mIoU {percent(scores.miou)}{error}, pixel accuracy {percent(scores.pixel_accuracy)}: {seen}"


def viewed(settings: "Evaluation") -> str:
    """Say how images were seen, where it was not whole, once and as they are."""
    words = [f"through windows of {_by(settings.window)}"] if settings.window else []
    words += [f"at scales {', '.join(f'{scale:g}' for scale in settings.scales)}"] if settings.scales != (1.0,) else []
    return "".join(f", {word}" for word in [*words, *(["mirrored, too"] if settings.flip else [])])


def checked(check: "Check") -> str:
    """Say where a training stands, for a log."""
    loss = "" if check.loss is None else f"loss {check.loss:.3f}, "
    stands = f"step {check.step} of {check.total}: {loss}mIoU {percent(check.miou)}"
    return f"{stands}, {duration(check.seconds_left)} left"


def planned(ready: "Ready", taken: "Rehearsal") -> str:
    """Say how long a training would be, and what it needs."""
    file, images = ready.file, len(ready.splits.train)
    memory = "" if taken.mib is None else f", {taken.mib:,.0f} MiB of memory"
    return (
        f"{file.name} on {images} images of {ready.splits.train.name} by {file.recipe_name}: {ready.steps} steps"
        f" ({ready.epochs:.4g} epochs), about {duration(ready.steps * taken.seconds_per_step)} without scoring"
        f" on {file.hardware}{memory}; nothing was written" + "".join(f"\nnote: {note}" for note in taken.notes)
    )


def finished(run: "Run") -> Iterator[str]:
    """Say what was trained, how it scores, what the paper prints of it, and which files there are."""
    yield from told(run.file, run.result)
    files = ("weights.safetensors", "result.json", "metrics.jsonl")
    there = [file for file in files if (run.folder / file).is_file()]
    yield f"{run.folder}: {', '.join([*there, 'curves.png'])}"


def told(file: "RunFile", result: "RunResult") -> Iterator[str]:
    """Say what was trained, how it scores, and what the paper prints of it."""
    row = printed(file)
    how = f"by {file.recipe_name}, seed {file.seed}: {result.steps} steps in {duration(result.seconds)}"
    yield f"{file.name} (id {file.spec.id}) on {file.data.title} {how} on {file.hardware}"
    yield scored(result.scores, f"{file.data.title}/val", file.data.size)
    if result.report_scores is not None:
        yield scored(result.report_scores, f"{file.data.title}/report", file.data.size)
    if result.best is not None and result.best.step < result.steps:
        better = f"{percent(result.best.miou)} after step {result.best.step}: best.safetensors (evaluate --best)"
        yield f"best of the checks on the way: mIoU {better}; chosen by these very images, it is not what is reported"
    yield from (f"note: {line}" for line in result.notes)
    if row is not None:
        yield from beside(result.scores, file, row)


def beside(scores: "Scores", file: "RunFile", row: Published) -> Iterator[str]:
    """Set our mIoU beside a printed one, and say where the images differ."""
    place = ", ".join(word for word in (file.name, row.where, row.split) if word)
    yield f"ours {percent(scores.miou)}, printed {row.printed} % ({place})"
    if (row.split, row.size) != ("val", file.data.size):
        learnt = ", which it learnt from, too" if getattr(file.data, "split", "") == "trainval" else ""
        ours = f"{scores.images} images of val{learnt}, seen at {_by(file.data.size)}"
        size = f" at {_by(row.size)}" if row.size else ""
        yield f"note: ours is of {ours}; the printed one is of {row.split or 'a split that is not named'}{size}"
    if row.note:
        yield f"note: {row.note}"


def printed(file: "RunFile") -> Published | None:
    """Return the mIoU that a paper prints for a run's network and data: of its size, then of val, if several."""
    point, data = named_points().get(file.name), file.data
    if point is None or point.choices != file.point:
        return None
    rows = [row for row in point.published if row.metric == "miou" and _word(row.dataset) == data.name]
    return max(rows, key=lambda row: (row.size == data.size, row.split == "val"), default=None)


def as_plain(run: "Run") -> dict[str, Any]:
    """Everything as plain data: where it lies, what was asked for, what came of it, and the printed figure."""
    row = printed(run.file)
    return {
        "folder": str(run.folder),
        "run": run.file.model_dump(mode="json"),
        "result": run.result.model_dump(mode="json"),
        "printed": row and row.model_dump(mode="json", exclude_none=True),
    }


def _by(size_hw: tuple[int, int]) -> str:
    return f"{size_hw[0]}x{size_hw[1]}"


def _word(dataset: str | None) -> str:
    """Write a data set as studies do: ``Pascal Context`` is pascal_context."""
    return (dataset or "").lower().replace(" ", "_")
