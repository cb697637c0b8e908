"""Networks measured before one of them becomes a trial: what is predicted ranks them, what is measured decides.

Every measurement is kept in the study's folder under the number of the trial that it was made for. A study that is
taken up again measures nothing twice, and proposes what it would have proposed.
"""

import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from segsearch.files import make_folder
from segsearch.frozen import Frozen
from segsearch.measure.record import LatencyRecord
from segsearch.result import State, TrialResult, costs_of
from segsearch.space.lower import lower
from segsearch.space.nodes import Scalar
from segsearch.spec.network import NetworkSpec
from segsearch.study.budget import Budget
from segsearch.study.record import Proposal
from segsearch.timing.store import append_line, read_lines

SHORTLIST = "shortlist.jsonl"
"""In a study's folder."""
SHORTLISTED = "shortlist"
"""Folder beside it, of the network that is measured: a death of the process, or a lack of memory, is known there."""
SHARE = 0.25
"""Of the time of a training that measuring for one proposal may take, at most; all trainings that run wait for it."""

Measure = Callable[[Proposal, NetworkSpec, Path], TrialResult]
"""Counts and measures a network in a folder, which is deleted once that has come to an end."""


class Measured(Frozen):
    """One network of a shortlist."""

    number: int
    """The trial that it was measured for."""
    point: dict[str, Scalar]
    spec_id: str
    latency: LatencyRecord | None
    """None where the network cannot be measured, or was not, as its counts are over the budget of its time."""
    seconds: float
    state: State | None = None
    """What became of it, see `segsearch.result.TrialResult`; None in lines older than this field and the counts."""
    params: int | None = None
    macs: int | None = None

    @property
    def costs(self) -> dict[str, float | None]:
        """What the network costs, see `segsearch.result.costs_of`."""
        latency = self.latency
        params, macs = (self.params, self.macs) if latency is None else (latency.params, latency.macs)
        return costs_of(params, macs, latency)

    def keeps_away(self, budget: Budget) -> bool:
        """Whether the network need not be proposed: it cannot be measured, or its counts are over the budget.

        Lines older than the counts do not say which of the two it was: then it may be tried again.
        """
        return self.latency is None and (self.state == "failed" or budget.refusal(**self.costs) is not None)


@dataclass
class Shortlist:
    """Measures up to ``size`` networks for each proposal, as long as that takes little beside a training."""

    size: int
    measure: Measure
    folder: Path
    """Of the study."""
    note: Callable[[str], None]
    """Told what a person should know."""
    trainings: Callable[[], int] = lambda: 1
    """How many trainings run at once."""

    def __post_init__(self) -> None:
        self._lines = list(self._read())
        self._took: dict[int, tuple[float | None, float | None]] = {}
        """Seconds of training and of measuring by trial, as a sampler that begins anew hears of all once more."""
        self._said: int | None = None

    def _read(self) -> Sequence[Measured]:
        path = self.folder / SHORTLIST
        return [Measured.parse(line, f"{path}:{number}") for number, line in enumerate(read_lines(path), start=1)]

    def trained(self, number: int, training: float | None, measuring: float | None) -> None:
        """Learn how many seconds a trial took to train and to measure; None of what is not known."""
        self._took[number] = training, measuring

    def before(self, number: int) -> list[Measured]:
        """Return what was measured for the trials before one, in the order of their numbers."""
        return sorted((line for line in self._lines if line.number < number), key=lambda line: line.number)

    def worth(self, number: int) -> int:
        """Return how many networks are to be measured for a trial; 0 where one alone could be."""
        trainings = [training for training, _ in self._took.values() if training]
        if not trainings:
            return 0
        took = [measuring for _, measuring in self._took.values() if measuring]
        took += [line.seconds for line in self.before(number)]
        seconds = SHARE * statistics.median(trainings) / self.trainings()
        most = int(seconds / statistics.median(took)) if took else self.size
        found = min(self.size, most)
        if found < self.size and found != self._said:
            told = f"{found} networks are" if found > 1 else "only the chosen network is"
            self.note(f"{told} measured before a training, not {self.size}: trainings are too short for more")
        self._said = found
        return found if found > 1 else 0

    def known(self, number: int, spec_id: str) -> LatencyRecord | None:
        """Return how a network was measured for a trial; None where it was not."""
        found = self._line(number, spec_id)
        return found.latency if found else None

    def _line(self, number: int, spec_id: str) -> Measured | None:
        return next((line for line in self._lines if (line.number, line.spec_id) == (number, spec_id)), None)

    def latency(self, proposal: Proposal) -> LatencyRecord | None:
        """Measure a network, unless it was for this trial; None where it cannot be. Raises what measuring raises."""
        known = self._line(proposal.number, proposal.spec_id)
        if known is None:
            start = time.perf_counter()
            folder = self.folder / SHORTLISTED / proposal.spec_id
            make_folder(folder)
            result = self.measure(proposal, lower(proposal.point), folder)
            known = Measured(
                number=proposal.number,
                point=proposal.point,
                spec_id=proposal.spec_id,
                latency=result.latency,
                state=result.state,
                params=result.params,
                macs=result.macs,
                seconds=time.perf_counter() - start,
            )
            append_line(self.folder / SHORTLIST, known.model_dump(mode="json"))
            self._lines.append(known)
            shutil.rmtree(self.folder / SHORTLISTED)
            if result.state == "failed":
                self.note(f"{proposal.name} is left out: {result.reason}")
        return known.latency
