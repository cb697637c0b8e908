"""The course of a run, a JSON object a line: losses about once a second, scores at the check points."""

import json
import time
from contextlib import suppress
from pathlib import Path
from statistics import fmean
from typing import Any

from segsearch.errors import InputError
from segsearch.files import write_atomic
from segsearch.train.scores import Scores
from segsearch.train.session import Step

PAUSE_SECONDS = 1.0


class Metrics:
    """Appends to a run's file. After a restart, the lines of steps that are done again are dropped first."""

    def __init__(self, path: Path, epochs_per_step: float) -> None:
        self._path, self._epochs_per_step = path, epochs_per_step
        self._steps: list[Step] = []
        self._begun = time.perf_counter()
        self._written = -PAUSE_SECONDS
        self._before: float | None = None
        """Seconds of earlier sessions, known from the first line on."""

    def step(self, step: Step) -> None:
        """Note a step.

        A line has the step's own learning rate, and means over all steps since the line before it: of the loss, and of
        the share of a step that waited for data.
        """
        self._steps.append(step)
        seconds = time.perf_counter() - self._begun
        if seconds - self._written >= PAUSE_SECONDS or step.done == step.total:
            loss, waited = (fmean(values) for values in zip(*((s.loss, s.waited) for s in self._steps), strict=True))
            self._write(step.done, step.done, {"loss": loss, "rate": step.learning_rate, "waited": round(waited, 4)})
            self._steps.clear()
            self._written = seconds

    def check(self, step: int, scores: Scores) -> None:
        """Note what the weights after so many steps score on the validation images."""
        self._write(step, step + 1, {"miou": scores.miou, "pixel_accuracy": scores.pixel_accuracy})

    def _write(self, step: int, first: int, values: dict[str, float]) -> None:
        if self._before is None:
            self._before = self._cut(first)
        seconds = self._before + time.perf_counter() - self._begun
        epoch = round(step * self._epochs_per_step, 4)
        line = {"step": step, "epoch": epoch, **values, "seconds": round(seconds, 3)}
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise InputError(self._path, f"cannot be written: {error.strerror}") from error

    def _cut(self, first: int) -> float:
        """Drop the lines from step ``first`` on; return the seconds of the last one that is kept."""
        kept = [line for line in read_metrics(self._path) if line["step"] < first]
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
