"""What a study does next, from where its trials stand. Nothing here runs anything or writes anything."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from segsearch.study.config import StudyConfig
from segsearch.study.outcome import FAILURES_IN_A_ROW, End
from segsearch.study.promotion import Agreement, agreements, beaten, fronts, goes_on, promoted
from segsearch.study.trials import Begun, Trials

Merits = Callable[[Sequence[int]], Mapping[int, float]]
"""What a model expects of trials that are paused, by number: more is better; none where nothing is expected."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One stage of one trial that is to be run; ``until`` as in `segsearch.engine.executors.base.Task`."""

    trial: Begun
    stage: Literal["measure", "train"]
    until: int | None = None


class Agenda:
    """Decides from the trials alone, so that a study that was killed goes on as if it had not been.

    A study may train ``trials`` times the steps of a whole training. Without rungs these are so many networks; with
    rungs there are more, and only the good ones of them are trained to the end, beside those that a person chose.
    """

    def __init__(self, config: StudyConfig, images: int, merits: Merits | None = None) -> None:
        self._config, self._images, self._merits = config, images, merits
        self._whole = config.recipe.total_steps(images)
        self.exhausted = False
        """Whether the space has no network that was not tried."""

    def next(self, trials: Trials, steps: float = math.inf) -> Step | Literal["propose"] | End:
        """Say what is to be submitted now, or why nothing more is.

        What was measured is trained at once. Networks that wait to be measured again are not waited for where nothing
        else is left to do.

        Args:
            trials: of the study.
            steps: how many the time allows still, beside those that are under way.
        """
        if trials.failures >= FAILURES_IN_A_ROW:
            return "failing"
        if steps <= 0:
            return "time"
        paused = trials.ready("paused")
        ready = trials.ready("passed") + [t for t in paused if t.proposal.chosen]
        if fitting := [trial for trial in ready if self._to_rung(trial) <= steps]:
            return self._train(fitting[0])
        proposed, end = trials.ready("proposed"), self._end(trials, steps)
        if again := [trial for trial in proposed if trial.rejected]:
            return Step(trial=again[0], stage="measure")
        if due := [t for t in trials.ready("waiting") if end is not None or t.due <= len(trials.records)]:
            return Step(trial=due[0], stage="measure")
        if best := self._last(trials, paused, steps) if end is not None else self._best(trials, paused):
            return self._train(best)
        if end is not None:
            return end
        return Step(trial=proposed[0], stage="measure") if proposed else "propose"

    def trainings_left(self, trials: Trials) -> float:
        """Return how many whole trainings are wanted yet; what is under way or paused counts by its steps."""
        return max(0, self._left(trials)) / self._whole

    def beaten(self, trials: Trials, rung: int) -> list[Begun]:
        """Return the trials paused at a rung that will never go on."""
        there = {t.proposal.number: t for t in trials.ready("paused") if t.reached == rung and not t.proposal.chosen}
        return [there[number] for number in beaten(trials.scores.of_rung(rung), there)]

    def goes_on(self, trials: Trials, trial: Begun) -> bool:
        """Whether a training that cannot pause goes on at the rung that it was scored at last."""
        share = next(each.share for each in self.agreements(trials) if each.rung == trial.reached)
        number = trial.proposal.number
        return trial.proposal.chosen or goes_on(trials.scores.of_rung(trial.reached), number, share)

    def agreements(self, trials: Trials) -> list[Agreement]:
        """Compare the order of the networks at each rung with that at the next."""
        return agreements(trials.scores, self._config.rungs)

    def _train(self, trial: Begun) -> Step:
        """Train up to the next rung, or to the end."""
        return Step(trial=trial, stage="train", until=self._rung_after(trial))

    def _rung_after(self, trial: Begun) -> int | None:
        return next((rung for rung in self._config.rungs if rung > trial.reached), None)

    def _best(self, trials: Trials, paused: Sequence[Begun]) -> Begun | None:
        """Choose whose training goes on: of the highest rung first; None where a new network is worth more."""
        for agreement in reversed(self.agreements(trials) if paused else []):
            there = {trial.proposal.number: trial for trial in paused if trial.reached == agreement.rung}
            went_on = trials.went_on(agreement.rung, agreement.following)
            scored = trials.scores.of_rung(agreement.rung)
            number = promoted(scored, there, went_on, agreement.share) if there else None
            if number is not None:
                merits = self._merits(list(there)) if self._merits else {}
                if merits:  # those that went on have shown theirs
                    merit = {s.number: merits.get(s.number, math.inf) for s in scored}.__getitem__
                    number = promoted(scored, there, went_on, agreement.share, merit) or number
                return there[number]
        return None

    def _last(self, trials: Trials, paused: Sequence[Begun], steps: float) -> Begun | None:
        """Choose who is trained to the end with the steps that are left: low rank first, then the highest rung."""
        left = min(self._left(trials), steps)
        fits = [t for t in paused if self._whole - self._steps(t.reached) <= left]
        if not fits:
            return None
        ranks = {rung: fronts(trials.scores.of_rung(rung)) for rung in {t.reached for t in fits}}

        def place(trial: Begun) -> tuple[int, int, int]:
            number = trial.proposal.number
            rank = next(k for k, those in enumerate(ranks[trial.reached]) if number in {s.number for s in those})
            return rank, -trial.reached, number

        return min(fits, key=place)

    def _end(self, trials: Trials, steps: float) -> End | None:
        """Say why no further network is to be looked at, if that is so."""
        if self._left(trials) < self._whole:
            return "finished"
        if steps < self._whole:
            return "time"
        if trials.looked_at >= self._config.most_proposals:
            return "proposals"
        return "exhausted" if self.exhausted else None

    def _left(self, trials: Trials) -> int:
        """Return how many steps may be trained beside those that were, or are under way.

        Networks that are not known to meet the budget come on top, so that a busy machine costs no network that would
        have been found on an idle one; but no more than half as many as are wanted do, so that a study ends.
        """
        wanted, records = self._config.most_trials, trials.records.values()
        unsure = min(sum(r.trained and r.unsure for r in records), wanted // 2)
        ended = sum(self._whole if r.trained else self._steps(r.reached) for r in records)
        return (wanted + unsure) * self._whole - ended - sum(self._committed(trial) for trial in trials.counting)

    def _committed(self, trial: Begun) -> int:
        """Count the steps of a trial, those to its next rung included unless it is paused."""
        resting = trial.state == "paused" and not trial.under_way
        return self._steps(trial.reached) + (0 if resting else self._to_rung(trial))

    def _to_rung(self, trial: Begun) -> int:
        """Count the steps from where a trial is to the next rung, or to the end."""
        rung = self._rung_after(trial)
        return (self._whole if rung is None else self._steps(rung)) - self._steps(trial.reached)

    def under_way(self, trials: Trials) -> int:
        """Count the steps that are to be trained by what is under way."""
        return sum(self._to_rung(trial) for trial in trials.begun.values() if trial.under_way)

    def _steps(self, epochs: int) -> int:
        return self._config.recipe.steps_of(epochs, self._images)
