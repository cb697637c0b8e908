"""A study on disk: one folder per trial, and a trial exists if and only if its ``result.json`` does.

``proposal.json`` is written first and ``result.json`` last, each whole or not at all: a study may be killed anywhere.
"""

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Literal

from pydantic import Field

from segsearch.errors import InputError
from segsearch.files import clear_parts, write_atomic
from segsearch.frozen import Frozen
from segsearch.measure.record import LatencyRecord
from segsearch.result import TrialResult
from segsearch.space.lower import lower
from segsearch.study import attempts
from segsearch.study.budget import Budget
from segsearch.study.identity import StudyFile, check_same
from segsearch.study.record import Proposal, TrialRecord
from segsearch.study.trials import Begun, Trials
from segsearch.study_files import (
    CHECKPOINT,
    PAUSED,
    PROPOSAL,
    REJECTED,
    RESULT,
    SPENT,
    STUDY,
    TRIALS,
    WEIGHTS,
    TornError,
    read_json,
    trial_folders,
)

CONFIRMED = "confirmed.json"
"""Latency of a trial that was measured again when the trials were done."""


class Spent(Frozen):
    """Time that a study has taken, all its runs together: ``spent.json``."""

    seconds: float = Field(ge=0)


class StudyFolder:
    """Reads and writes the trials below one folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._place: tuple[int, int] | None = None
        """Which folder it is that lies there, from `begin` on."""
        self._running: set[Path] = set()
        """Folders in which a stage runs, of which the network may kill the process."""

    def trial(self, number: int) -> Path:
        """Folder of one trial."""
        return self.path / TRIALS / f"{number:04d}"

    def begin(self, study: StudyFile) -> None:
        """Write down what is searched; in a folder that has a study, only if it is the same.

        From here on the folder must stay where it is.

        Raises:
            InputError: it is another study, or the folder holds something else.
        """
        if self.begun:
            check_same(self.read_study(), study, self.path)
        elif (self.path / TRIALS).exists():
            raise InputError(self.path, f"has trials but no {STUDY}; start in another folder")
        self._place = _place(self.path)
        self._write(self.path / STUDY, study)

    @property
    def begun(self) -> bool:
        """Whether there is a study already."""
        return (self.path / STUDY).exists()

    def check(self) -> None:
        """Raise InputError once the folder was moved away: writing would make half a study in its old place."""
        if self._place is not None and _place(self.path) != self._place:
            raise InputError(
                self.path, "was moved or deleted while its study ran: start again with the folder where it lies now"
            )

    def read_study(self) -> StudyFile:
        """Read what was decided. Raises InputError where there is no study."""
        path = self.path / STUDY
        if not path.is_file():
            raise InputError(self.path, f"is not the folder of a study: it has no {STUDY}")
        return StudyFile.parse(read_json(path), path)

    def spent(self) -> float:
        """Read how many seconds the study has taken by now; 0 where that is not known."""
        with suppress(TornError):
            return Spent.parse(read_json(self.path / SPENT), self.path / SPENT).seconds
        return 0.0

    def spend(self, seconds: float) -> None:
        """Write down how many seconds the study has taken by now."""
        self._write(self.path / SPENT, Spent(seconds=seconds))

    def records(self) -> list[TrialRecord]:
        """Read all finished trials in the order of their numbers. Raises InputError where a file is damaged."""
        return [self._record(path / RESULT) for path in trial_folders(self.path) if (path / RESULT).exists()]

    def unfinished(self, *, clear: bool = True) -> tuple[list[Begun], list[str]]:
        """Return the trials without a record, and sentences on those that are damaged, which ``clear`` removes."""
        begun: list[Begun] = []
        notes: list[str] = []
        for path in trial_folders(self.path):
            if (path / RESULT).exists():
                continue
            try:
                proposal = Proposal.parse(read_json(path / PROPOSAL), path / PROPOSAL)
            except TornError as error:
                notes.append(f"trial {path.name} is proposed again: {error}")
                if clear:
                    shutil.rmtree(path)
                continue
            _check_number(proposal, path / PROPOSAL)
            paused = _paused(path / PAUSED, proposal)
            rejected = self._record(path / REJECTED) if (path / REJECTED).exists() else None
            state: Literal["paused", "proposed"] = "paused" if paused else "proposed"
            begun.append(Begun(proposal=proposal, state=state, result=paused, rejected=rejected))
        return begun, notes

    def stand(self, budget: Budget, *, clear: bool = True) -> tuple[Trials, list[str]]:
        """Return where all trials stand as a study goes on by a budget, and what a person should know of that.

        ``clear``: remove what a kill left lying.
        """
        records = self.records()
        if clear:
            self.clear(records)
        begun, notes = self.unfinished(clear=clear)
        trials = Trials(records, begun, budget)
        trials.unstop(self.resumable(records))
        if again := trials.reopen(budget, trials.rest_ms):
            notes.append(f"{again} rejected networks may meet the budget after all and are tried again")
        return trials, notes

    def clear(self, records: Iterable[TrialRecord]) -> None:
        """Remove what a kill left lying: torn files, and what served only to finish these trials."""
        clear_parts(self.path, older_than_seconds=60)  # `pareto` writes there, too, and holds no lock
        for folder in trial_folders(self.path):
            clear_parts(folder, older_than_seconds=0)
        for record in records:
            self._tidy(record, resumable=record.state == "stopped")

    def propose(self, proposal: Proposal) -> None:
        """Write a proposal into its new folder."""
        self._write(self.trial(proposal.number) / PROPOSAL, proposal)

    def attempt(self, folder: Path) -> str | None:
        """Write down that a stage begins in a folder, a trial's or another; return why not, see `attempts.begin`."""
        self.check()
        reason = attempts.begin(folder)
        if reason is None:
            self._running.add(folder)
        return reason

    def ended(self, folder: Path) -> None:
        """Write down that the stage in a folder has ended."""
        attempts.leave(folder)
        self._running.discard(folder)

    def leave(self) -> None:
        """Write down that the stages under way are stopped on purpose."""
        for folder in tuple(self._running):
            self.ended(folder)

    def hold(self, number: int, result: TrialResult) -> None:
        """Write down that a stage of a trial has ended, and how far it was trained where it is paused."""
        self.ended(self.trial(number))  # first: a death from here on is not one in the training
        if result.state == "paused":
            self._write(self.trial(number) / PAUSED, result)

    def resumable(self, records: Iterable[TrialRecord]) -> list[int]:
        """Return the numbers of the stopped trials whose training can go on."""
        return [r.number for r in records if r.state == "stopped" and (self.trial(r.number) / CHECKPOINT).exists()]

    def resume(self, record: TrialRecord) -> None:
        """Make a stopped trial one that is paused."""
        self._write(self.trial(record.number) / PAUSED, record.result.model_copy(update={"state": "paused"}))
        (self.trial(record.number) / RESULT).unlink()

    def reopen(self, number: int) -> None:
        """Make a rejected trial one that has not ended, and keep its record beside it."""
        self.check()
        with suppress(FileNotFoundError):  # it was, in an earlier run or stage
            (self.trial(number) / RESULT).rename(self.trial(number) / REJECTED)

    def finish(self, record: TrialRecord, *, resumable: bool = False) -> None:
        """Write the record, which makes the trial exist, and drop what only served the way there.

        ``resumable`` keeps the checkpoint of a trial that is stopped.
        """
        (self.trial(record.number) / CONFIRMED).unlink(missing_ok=True)  # of an earlier result
        self._write(self.trial(record.number) / RESULT, record)
        self._running.discard(self.trial(record.number))
        self._tidy(record, resumable=resumable)

    def drop_checkpoint(self, number: int) -> None:
        """Delete a stopped trial's checkpoint: its training cannot go on."""
        (self.trial(number) / CHECKPOINT).unlink(missing_ok=True)

    def drop_weights(self, numbers: Iterable[int]) -> None:
        """Delete the weights of these trials."""
        for number in numbers:
            (self.trial(number) / WEIGHTS).unlink(missing_ok=True)

    def exportable(self, records: Iterable[TrialRecord]) -> list[TrialRecord]:
        """Return those of records whose weights are there."""
        return [record for record in records if (self.trial(record.number) / WEIGHTS).exists()]

    def _tidy(self, record: TrialRecord, *, resumable: bool) -> None:
        folder = self.trial(record.number)
        attempts.forget(folder)
        for name in (PAUSED, REJECTED) if resumable else (PAUSED, REJECTED, CHECKPOINT):
            (folder / name).unlink(missing_ok=True)

    def _write(self, path: Path, value: Frozen) -> None:
        """Write in the folder that this study began in."""
        self.check()
        write_atomic(path, value.lines())

    def confirm(self, number: int, latency: LatencyRecord) -> None:
        """Write the latency of a finished trial that was measured again at the end."""
        self._write(self.trial(number) / CONFIRMED, latency)

    def _record(self, path: Path) -> TrialRecord:
        try:
            record = _read_record(path)
            _check_number(record, path)
            _check_point(record, path)
        except InputError as error:
            raise InputError(error.place, f"{error.problem}; delete this file to run its trial again") from error
        again = path.with_name(CONFIRMED)
        with suppress(TornError):  # not measured again, or stopped while it was written
            return record.model_copy(update={"confirmed": LatencyRecord.parse(read_json(again), again)})
        return record


def _paused(path: Path, proposal: Proposal) -> TrialResult | None:
    """Read how far a trial was trained; None where it was not, or where that cannot be told any more."""
    with suppress(TornError):
        result = TrialResult.parse(read_json(path), path)
        return result if result.spec_id == proposal.spec_id else None
    return None


def _read_record(path: Path) -> TrialRecord:
    """Read in one pass, as there may be thousands; a second one finds out what is wrong."""
    try:
        return TrialRecord.model_validate_json(path.read_bytes())
    except (OSError, ValueError):  # pydantic's own refusals among them
        return TrialRecord.parse(read_json(path), path)


def _check_point(record: TrialRecord, path: Path) -> None:
    """Raise InputError where the point is another network's; that of an older version may not be complete any more."""
    try:
        found = lower(record.point)
    except InputError:
        return
    if found != record.spec:
        raise InputError(f"{path}.point", f"stands for the network {found.id}, not for spec_id {record.spec_id}")


def _check_number(trial: Proposal | TrialRecord, path: Path) -> None:
    """Raise InputError for a file of another trial's folder."""
    if trial.number != int(path.parent.name):
        raise InputError(f"{path}.number", f"is {trial.number}, in the folder of trial {int(path.parent.name)}")


def _place(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
