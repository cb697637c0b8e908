"""A study on disk: one folder per trial, and a trial exists if and only if its ``result.json`` does.

``proposal.json`` is written first and ``result.json`` last, each whole or not at all: a study may be killed anywhere.
"""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from segsearch.errors import InputError
from segsearch.files import clear_parts, write_atomic
from segsearch.frozen import Frozen
from segsearch.search.identity import StudyFile, check_same
from segsearch.search.record import Proposal, TrialRecord
from segsearch.study_files import PROPOSAL, RESULT, STUDY, TRIALS, TornError, read_json, trial_folders
from segsearch.trial import CHECKPOINT


class StudyFolder:
    """Reads and writes the trials below one folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def trial(self, number: int) -> Path:
        """Folder of one trial."""
        return self.path / TRIALS / f"{number:04d}"

    def begin(self, study: StudyFile) -> None:
        """Write down what is searched; in a folder that has a study, only if it is the same.

        Raises:
            InputError: it is another study, or the folder holds something else.
        """
        if (self.path / STUDY).exists():
            check_same(self.read_study(), study, self.path)
        elif (self.path / TRIALS).exists():
            raise InputError(self.path, f"has trials but no {STUDY}; start in another folder")
        _write(self.path / STUDY, study)

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
                proposals.append(Proposal.parse(read_json(path / PROPOSAL), path / PROPOSAL))
            except TornError as error:
                notes.append(f"trial {path.name} is proposed again: {error}")
                shutil.rmtree(path)
        return proposals, notes

    def clear(self, finished: Iterable[int]) -> None:
        """Remove what a kill left lying: torn files, and what served only to finish these trials."""
        for folder in (self.path, *trial_folders(self.path)):
            clear_parts(folder)
        for number in finished:
            (self.trial(number) / CHECKPOINT).unlink(missing_ok=True)

    def propose(self, proposal: Proposal) -> None:
        """Write a proposal into its new folder."""
        _write(self.trial(proposal.number) / PROPOSAL, proposal)

    def finish(self, record: TrialRecord) -> None:
        """Write the record, which makes the trial exist, and drop what only served the way there."""
        folder = self.trial(record.number)
        _write(folder / RESULT, record)
        (folder / CHECKPOINT).unlink(missing_ok=True)

    def _record(self, path: Path) -> TrialRecord:
        try:
            return TrialRecord.parse(read_json(path), path)
        except InputError as error:
            raise InputError(error.place, f"{error.problem}; delete this file to run its trial again") from error


def _write(path: Path, value: Frozen) -> None:
    """Write as JSON with one line per field, for people and for diff."""
    fields = value.model_dump(mode="json").items()
    lines = [f"  {json.dumps(name)}: {json.dumps(field, ensure_ascii=False)}" for name, field in fields]
    write_atomic(path, "{\n" + ",\n".join(lines) + "\n}\n")
