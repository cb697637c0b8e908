"""The course of a run in lines of JSON, losses about once a second and scores at check points; and for TensorBoard."""

import json
import time
from contextlib import suppress
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from segsearch.errors import InputError, MissingExtraError
from segsearch.files import write_atomic
from segsearch.training.scores import Scores
from segsearch.training.session import Step

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

PAUSE_SECONDS = 1.0
BOARD = "tensorboard"
"""Folder of a run with TensorBoard's event files."""


class Board:
    """TensorBoard's scalars: loss, learning rate and waiting of every step, the loss of every epoch, all scores.

    After a restart TensorBoard passes over what was written of steps that are done again.
    """

    def __init__(self, folder: Path) -> None:
        """Write into ``folder``. Raises MissingExtraError where tensorboard is not installed."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtraError("tensorboard", "tensorboard") from error
        self._make, self._folder = SummaryWriter, folder
        self._writer: SummaryWriter | None = None
        self._losses: list[float] = []
        self._last = 0

    def step(self, step: Step, ends_epoch: bool) -> None:
        """Note a step, and at the end of an epoch the mean loss of its steps, or of those of this session."""
        writer = self._open(step.done)
        for name, value in {"loss": step.loss, "learning rate": step.learning_rate, "waited": step.waited}.items():
            writer.add_scalar(f"train/{name}", value, step.done)
        self._losses.append(step.loss)
        if ends_epoch:
            writer.add_scalar("train/loss of the epoch", fmean(self._losses), step.done)
            self._losses.clear()

    def check(self, step: int, scores: Scores) -> None:
        """Note what the weights after so many steps score."""
        writer = self._open(step)
        known = {f"IoU/{name}": iou for name, iou in scores.iou.items() if iou is not None}
        for name, value in {"mIoU": scores.miou, "pixel accuracy": scores.pixels_right, **known}.items():
            writer.add_scalar(f"val/{name}", value, step)

    def close(self) -> None:
        """Write all that was noted."""
        if self._writer is not None:
            self._writer.close()

    def _open(self, step: int) -> "SummaryWriter":
        if step < self._last:  # the training went back: TensorBoard drops what a new writer says is done again
            self.close()
            self._writer = None
            self._losses.clear()
        self._last = step
        if self._writer is None:
            self._writer = self._make(str(self._folder), purge_step=step, flush_secs=10)
        return self._writer


class Metrics:
    """Appends to a run's file. The lines of steps that are done again, after a restart or a way back, are dropped."""

    def __init__(self, path: Path, epochs_per_step: float, board: Board | None = None) -> None:
        """Append to ``path``, and write to TensorBoard's ``board``, if there is one."""
        self._path, self._epochs_per_step, self._board = path, epochs_per_step, board
        self._steps: list[Step] = []
        self._begun = time.perf_counter()
        self._written = -PAUSE_SECONDS
        self._before: float | None = None
        """Seconds of earlier sessions, known from the first line on."""
        self._last = 0
        """Step of the line before."""

    def step(self, step: Step) -> None:
        """Note a step.

        A line has the step's own learning rate, and means over all steps since the line before it: of the loss, and of
        the share of a step that waited for data.
        """
        if self._steps and step.done <= self._steps[-1].done:
            self._steps.clear()
        self._steps.append(step)
        if self._board is not None:
            before, after = (int(done * self._epochs_per_step + 1e-9) for done in (step.done - 1, step.done))
            self._board.step(step, ends_epoch=after > before or step.done == step.total)
        seconds = time.perf_counter() - self._begun
        if seconds - self._written >= PAUSE_SECONDS or step.done == step.total:
            loss, waited = (fmean(values) for values in zip(*((s.loss, s.waited) for s in self._steps), strict=True))
            self._write(step.done, {"loss": loss, "rate": step.learning_rate, "waited": round(waited, 4)})
            self._steps.clear()
            self._written = seconds

    def check(self, step: int, scores: Scores) -> None:
        """Note what the weights after so many steps score on the validation images."""
        if self._board is not None:
            self._board.check(step, scores)
        self._write(step, {"miou": scores.miou, "pixel_accuracy": scores.pixels_right})

    def close(self) -> None:
        """Let TensorBoard have all that was noted; lines are in the file at once."""
        if self._board is not None:
            self._board.close()

    def _write(self, step: int, values: dict[str, float]) -> None:
        if self._before is None:
            self._before = self._cut(step, next(iter(values)))
        elif step < self._last:  # the training went back
            self._cut(step, next(iter(values)))
        self._last = step
        seconds = self._before + time.perf_counter() - self._begun
        epoch = round(step * self._epochs_per_step, 4)
        line = {"step": step, "epoch": epoch, **values, "seconds": round(seconds, 3)}
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise InputError(self._path, f"cannot be written: {error.strerror}") from error

    def _cut(self, step: int, key: str) -> float:
        """Drop lines of ``key`` from ``step`` on, and all after it; return the seconds of the last one that is kept."""
        lines = read_metrics(self._path)
        kept = [line for line in lines if line["step"] < step or (line["step"] == step and key not in line)]
        write_atomic(self._path, "".join(json.dumps(line) + "\n" for line in kept))
        return float(kept[-1]["seconds"]) if kept else 0.0


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read the lines of a run; none where it has not begun. A line that a crash has torn is left out.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        written = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from error
    lines: list[dict[str, Any]] = []
    for text in written:
        with suppress(ValueError):
            line = json.loads(text)
            if isinstance(line, dict) and {"step", "epoch", "seconds"} <= line.keys():
                lines.append(line)
    return lines
