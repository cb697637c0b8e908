"""A study on disk: one folder per trial, and a trial exists if and only if its ``result.json`` does.

``proposal.json`` is written first and ``result.json`` last, each whole or not at all: a study may be killed anywhere.
"""

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from segsearch.errors import InputError
from segsearch.files import clear_parts, write_atomic
from segsearch.frozen import Frozen
from segsearch.measure.record import LatencyRecord
from segsearch.search import attempts
from segsearch.search.identity import StudyFile, check_same
from segsearch.search.record import Proposal, TrialRecord
from segsearch.space.lower import lower
from segsearch.study_files import (
    CHECKPOINT,
    PROPOSAL,
    RESULT,
    STUDY,
    TRIALS,
    WEIGHTS,
    TornError,
    read_json,
    trial_folders,
)

CONFIRMED = "confirmed.json"
"""Latency of a trial that was measured again when the trials were done."""


class StudyFolder:
    """Reads and writes the trials below one folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._place: tuple[int, int] | None = None
        """Which folder it is that lies there, from `begin` on."""
        self._running: set[int] = set()

    def trial(self, number: int) -> Path:
        """Folder of one trial."""
        return self.path / TRIALS / f"{number:04d}"

    def begin(self, study: StudyFile) -> None:
        """Write down what is searched; in a folder that has a study, only if it is the same.

        From here on the folder must stay where it is.

        Raises:
            InputError: it is another study, or the folder holds something else.
        """
        if (self.path / STUDY).exists():
            check_same(self.read_study(), study, self.path)
        elif (self.path / TRIALS).exists():
            raise InputError(self.path, f"has trials but no {STUDY}; start in another folder")
        self._place = _place(self.path)
        self._write(self.path / STUDY, study)

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

    def records(self) -> list[TrialRecord]:
        """Read all finished trials in the order of their numbers. Raises InputError where a file is damaged."""
        return [self._record(path / RESULT) for path in trial_folders(self.path) if (path / RESULT).exists()]

    def unfinished(self) -> tuple[list[Proposal], list[str]]:
        """Return the proposals without a result, and sentences on those that were damaged and are cleared away."""
        proposals: list[Proposal] = []
        notes: list[str] = []
        for path in trial_folders(self.path):
            if (path / RESULT).exists():
                continue
            try:
                proposal = Proposal.parse(read_json(path / PROPOSAL), path / PROPOSAL)
            except TornError as error:
                notes.append(f"trial {path.name} is proposed again: {error}")
                shutil.rmtree(path)
                continue
            _check_number(proposal, path / PROPOSAL)
            proposals.append(proposal)
        return proposals, notes

    def clear(self, finished: Iterable[int]) -> None:
        """Remove what a kill left lying: torn files, and what served only to finish these trials."""
        clear_parts(self.path, older_than_seconds=60)  # `pareto` writes there, too, and holds no lock
        for folder in trial_folders(self.path):
            clear_parts(folder, older_than_seconds=0)
        for number in finished:
            self._tidy(number)

    def propose(self, proposal: Proposal) -> None:
        """Write a proposal into its new folder."""
        self._write(self.trial(proposal.number) / PROPOSAL, proposal)

    def attempt(self, number: int) -> str | None:
        """Write down that a trial begins; return why it must not, see `attempts.begin`."""
        self.check()
        reason = attempts.begin(self.trial(number))
        if reason is None:
            self._running.add(number)
        return reason

    def leave(self) -> None:
        """Write down that the trials under way are stopped on purpose."""
        for number in tuple(self._running):
            attempts.leave(self.trial(number))
        self._running.clear()

    def pause(self, number: int) -> None:
        """Write down that a trial is left for a while."""
        attempts.leave(self.trial(number))
        self._running.discard(number)

    def finish(self, record: TrialRecord) -> None:
        """Write the record, which makes the trial exist, and drop what only served the way there."""
        (self.trial(record.number) / CONFIRMED).unlink(missing_ok=True)  # of an earlier result
        self._write(self.trial(record.number) / RESULT, record)
        self._running.discard(record.number)
        self._tidy(record.number)

    def keep(self, kept: Iterable[int], trials: Iterable[int]) -> None:
        """Delete the weights of these trials, but for those to be kept."""
        for number in set(trials) - set(kept):
            (self.trial(number) / WEIGHTS).unlink(missing_ok=True)

    def exportable(self, records: Iterable[TrialRecord]) -> list[TrialRecord]:
        """Return those of records whose weights are there."""
        return [record for record in records if (self.trial(record.number) / WEIGHTS).exists()]

    def _tidy(self, number: int) -> None:
        attempts.forget(self.trial(number))
        (self.trial(number) / CHECKPOINT).unlink(missing_ok=True)

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
