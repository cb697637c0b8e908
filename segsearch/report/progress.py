"""Where a running study stands: bars on a terminal, plain lines anywhere else."""

import time
from collections.abc import Callable
from contextlib import suppress

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from segsearch.engine.watch import StudyProgress
from segsearch.report.words import duration, outcome, percent
from segsearch.study.outcome import of_wanted
from segsearch.study.record import Proposal, TrialRecord


def study_progress(console: Console | None = None) -> StudyProgress:
    """Return bars if ``console`` (standard error without one) is a terminal, else lines."""
    console = console or _Tolerant(stderr=True)
    return Bars(console) if console.is_terminal else Lines(console)


class _Tolerant(Console):
    """Falls silent when its reader has gone: a study does not end because nobody looks at its log."""

    def on_broken_pipe(self) -> None:
        """Print nothing more; rich itself would end the program."""
        self.quiet = True


class Tally:
    """Counts what a study has, and guesses how long the rest takes from how long this run's trials took."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self.wanted = 0
        self._states: dict[int, str] = {}
        self._shares: dict[int, float] = {}
        self.best: float | None = None
        self._spent_before = 0.0

    def open(self, wanted: int, records: list[TrialRecord]) -> None:
        """Start with the trials of earlier runs."""
        self.wanted = wanted
        for record in records:
            self.add(record)
        self._spent_before, self._began = self.spent, self._clock()

    def add(self, record: TrialRecord) -> None:
        """Count one finished trial; one that is run again counts once."""
        self._states[record.number] = record.state
        self._shares[record.number] = record.share
        if record.trained:
            self.best = max(record.miou, self.best or 0.0)

    @property
    def trained(self) -> int:
        """Trials that were trained."""
        return self._ended("complete")

    @property
    def spent(self) -> float:
        """Whole trainings; what was stopped at a rung is a part of one."""
        return round(sum(self._shares.values()), 1)

    @property
    def counts(self) -> str:
        """Write how much of what is wanted is trained: ``12/40``."""
        return f"{self.spent:g}/{max(self.spent, self.wanted):g}"

    def _ended(self, state: str) -> int:
        return sum(other == state for other in self._states.values())

    @property
    def seconds_left(self) -> float | None:
        """Guess of the time to the last wanted trial; None before this run has trained one."""
        done = self.spent - self._spent_before
        if done <= 0:
            return None
        return (self._clock() - self._began) / done * max(0, self.wanted - self.spent)

    def __str__(self) -> str:
        """Write the counts: ``best mIoU 51.2 %, 3 rejected, 1 failed, 4 min left``."""
        left = self.seconds_left
        parts = [
            f"best mIoU {percent(self.best)}" if self.best is not None else "",
            f"{stopped} stopped" if (stopped := self._ended("stopped")) else "",
            f"{rejected} rejected" if (rejected := self._ended("rejected")) else "",
            f"{failed} failed" if (failed := self._ended("failed")) else "",
            f"{duration(left)} left" if left else "",
        ]
        return ", ".join(part for part in parts if part)


class Lines:
    """One line per event, for logs and pipes."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._tally = console, Tally(clock)

    def opened(self, name: str, wanted: int, records: list[TrialRecord]) -> None:
        """Say where the study stands."""
        self._tally.open(wanted, records)
        self._say(f"study {name}: {of_wanted(self._tally.trained, wanted)}")

    def started(self, proposal: Proposal) -> None:
        """Name the trial."""
        self._say(f"trial {proposal.number}: {proposal.name}")

    def stage(self, number: int, what: str, done: int, total: int) -> None:
        """Say nothing: a log wants results."""

    def stage_ended(self, number: int) -> None:
        """Say nothing."""

    def finished(self, record: TrialRecord) -> None:
        """Give the result, and where the study stands now."""
        self._tally.add(record)
        self._say(f"trial {record.number}: {outcome(record)}  [{self._tally.counts}] {self._tally}")

    def note(self, line: str) -> None:
        """Pass it on."""
        self._say(f"note: {line}")

    def closed(self, line: str) -> None:
        """Pass it on."""
        self._say(line)

    def _say(self, line: str) -> None:
        with suppress(OSError):  # a full disk behind a log, or a terminal that is gone
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class Bars:
    """Bars at the foot of a terminal, of the study and of each trial under way; finished ones scroll above them."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._lines, self._tally = Lines(console, clock), Tally(clock)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self._bars = Progress(
            *columns, TextColumn("{task.fields[more]}", markup=False), console=console, transient=True
        )
        self._study = self._bars.add_task("trained", total=None, more="")
        self._names: dict[int, str] = {}
        self._stages: dict[int, TaskID] = {}

    def opened(self, name: str, wanted: int, records: list[TrialRecord]) -> None:
        """Show the bars."""
        self._tally.open(wanted, records)
        self._lines.opened(name, wanted, records)
        self._show()
        self._bars.start()

    def started(self, proposal: Proposal) -> None:
        """Remember the trial's name for its bar."""
        self._names[proposal.number] = f"{proposal.number}: {proposal.name}"

    def stage(self, number: int, what: str, done: int, total: int) -> None:
        """Move the trial's bar."""
        if number not in self._stages:
            self._stages[number] = self._bars.add_task(what, more=self._names.get(number, str(number)))
        self._bars.update(self._stages[number], description=what, completed=done, total=total)

    def stage_ended(self, number: int) -> None:
        """Take the trial's bar away."""
        if (bar := self._stages.pop(number, None)) is not None:
            self._bars.remove_task(bar)

    def finished(self, record: TrialRecord) -> None:
        """Print the result above the bars."""
        self.stage_ended(record.number)
        self._tally.add(record)
        self._lines.finished(record)
        self._show()

    def note(self, line: str) -> None:
        """Print it above the bars."""
        self._lines.note(line)

    def closed(self, line: str) -> None:
        """Take the bars away."""
        self._bars.stop()
        self._lines.closed(line)

    def _show(self) -> None:
        spent, wanted = self._tally.spent, self._tally.wanted
        self._bars.update(self._study, completed=spent, total=max(spent, wanted), more=str(self._tally))
