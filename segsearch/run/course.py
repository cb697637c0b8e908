"""The course of a run while it is trained: its metrics, where it stands, and its best weights so far."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from segsearch.data.dataset import Dataset
from segsearch.errors import InputError
from segsearch.progress import Report
from segsearch.run.folder import Best, RunFile
from segsearch.run.metrics import Metrics
from segsearch.training.evaluate import evaluate
from segsearch.training.scores import Scores
from segsearch.training.session import Step
from segsearch.training.weights import WeightFacts, read_weights, save_weights

MUCH_WAITING = 0.05
"""From this share of a step on, it is told how long steps wait for data."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """Where a run stands when it is scored."""

    step: int
    total: int
    loss: float | None
    """Mean of the last steps'; None before the first one of this session."""
    miou: float
    seconds_left: float


class BestWeights:
    """Keeps the file of those weights that scored best, the earlier ones of equals, with step and score in it."""

    def __init__(self, path: Path, facts: WeightFacts) -> None:
        """Go on with the file that an earlier session left, if it did; ``facts`` are put beside the weights."""
        self._path, self._facts = path, facts
        self._best: Best | None = None
        if path.exists():
            with suppress(InputError):  # a damaged one is written anew
                _, told = read_weights(path)
                if told.step is not None and told.miou is not None:
                    self._best = Best(step=told.step, miou=told.miou)

    def take(self, step: int, miou: float, network: nn.Module) -> Best:
        """Keep the weights of ``network`` if they are better, or if the step is done again; return which are kept."""
        now = Best(step=step, miou=miou)
        if self._best is None or miou > self._best.miou or (step == self._best.step and now != self._best):
            save_weights(network, self._path, self._facts.model_copy(update={"step": step, "miou": miou}))
            self._best = now
        return self._best


class Course:
    """Follows a training: notes its metrics, tells where it stands, and ends it where that was asked for."""

    def __init__(
        self,
        file: RunFile,
        val: Dataset,
        steps: int,
        metrics: Metrics,
        best: BestWeights,
        report: Report,
        checked: Callable[[Check], None],
    ) -> None:
        self.stop: Callable[[], bool] = bool  # nobody has asked yet
        self._file, self._val, self._total, self._metrics, self._best = file, val, steps, metrics, best
        self._report, self._checked = report, checked
        self._begun, self._steps, self._miou = time.perf_counter(), 0, ""
        self._loss: float | None = None
        self._waited = 0.0

    def step(self, step: Step) -> None:
        """Take a finished step."""
        self._steps += 1
        self._loss = step.loss if self._loss is None else 0.9 * self._loss + 0.1 * step.loss
        self._waited = 0.9 * self._waited + 0.1 * step.waited
        waits = f", {100 * self._waited:.0f} % of the time waiting for data" if self._waited > MUCH_WAITING else ""
        self._metrics.step(step)
        self._report(f"loss {self._loss:.3f}{self._miou}{waits}", step.done, step.total)
        self.end_if_asked()

    def score(self, step: int, network: nn.Module) -> float:
        """Score the weights that would be delivered now; return their mIoU."""
        scores = evaluate(network, self._val, device=self._file.device, report=self.end_if_asked)
        self.take(step, network, scores)
        self._miou = f", mIoU {100 * scores.miou:.1f} %"
        left, total = self._total - step, self._total
        seconds = (time.perf_counter() - self._begun) / max(1, self._steps) * left
        self._checked(Check(step=step, total=total, loss=self._loss, miou=scores.miou, seconds_left=seconds))
        return scores.miou

    def take(self, step: int, network: nn.Module, scores: Scores) -> Best:
        """Note what the weights after so many steps score; return which are the best so far."""
        self._metrics.check(step, scores)
        return self._best.take(step, scores.miou, network)

    def end_if_asked(self, *_: object) -> None:
        """Raise KeyboardInterrupt where somebody has asked for the end."""
        if self.stop():
            raise KeyboardInterrupt  # the loop saves first
