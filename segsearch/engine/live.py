"""A study's trials, ended and in training, as an Optuna storage, ``optuna.journal``, for optuna-dashboard and Optuna.

The trials' folders are the truth, and nothing is read back from the view: it is brought up to date when the study is
started, whatever state it is in, and what cannot be written is told once and made up for later. A journal, not SQLite:
a trial is a few lines added to a file (for what they cost see ``benchmarks/live_view.py``), a torn end can be cut off,
and optuna-dashboard takes the path as it stands. What a killed study leaves as running goes on, or ends, with the next
start.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import FrozenTrial

from segsearch.engine.optuna_trials import frozen, leads_to, scored, unfinished
from segsearch.errors import one_line
from segsearch.files import write_atomic
from segsearch.samplers.sampler import experimental
from segsearch.space.nodes import Space
from segsearch.study.budget import Budget
from segsearch.study.record import TrialRecord
from segsearch.study.trials import Begun

JOURNAL = "optuna.journal"


class LiveView:
    """Keeps the view of one running study; no call of it ever fails."""

    def __init__(
        self,
        folder: Path,
        name: str,
        space: Space,
        budget: Budget,
        note: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._path, self._name, self._space, self._budget, self._note = folder / JOURNAL, name, space, budget, note
        self._records: dict[int, TrialRecord] = {}
        self._running: dict[int, FrozenTrial] = {}
        self._log: _Log | None = None
        """None while the file is behind."""
        self._told = False

    def show(self, records: Iterable[TrialRecord], running: Iterable[Begun] = ()) -> None:
        """Make the view one of exactly these records, and of trials in training."""
        self._records = {record.number: record for record in records}
        self._running = {}
        for trial in running:
            if trial.proposal.number not in self._records:
                self._running[trial.proposal.number] = unfinished(trial, self._space, self._budget)
        with self._harmless():
            self._log = None
            self._log = self._synced()

    def running(self, trial: Begun) -> None:
        """Show that a trial is in training, and what it was scored at rungs since it began.

        One that was stopped in an earlier run is shown as it was then, until it ends again.
        """
        number, result = trial.proposal.number, trial.result
        if number not in self._records and result is not None:
            before = self._running.get(number)
            shown = unfinished(trial, self._space, self._budget) if before is None else scored(before, result.rungs)
            self._running[number] = shown
            self._put(shown)

    def add(self, record: TrialRecord) -> None:
        """Add a trial that has ended."""
        again = record.number in self._records
        self._records[record.number] = record
        self._running.pop(record.number, None)
        self._put(frozen(record, self._space, self._budget), anew=again)

    def _put(self, trial: FrozenTrial, *, anew: bool = False) -> None:
        with self._harmless():
            log, self._log = self._log, None
            if anew or log is None or not log.put(trial):
                log = self._synced()
            self._log = log

    @contextmanager
    def _harmless(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever it is, the study is not to suffer
            if not self._told:
                self._told = True
                self._note(f"{self._path.name} is behind until it can be written: {one_line(error)}")

    def _synced(self) -> "_Log":
        """Add what the file lacks; where it shows something else, begin the study in it anew; else write all of it."""
        ended = {number: frozen(record, self._space, self._budget) for number, record in self._records.items()}
        wanted = [trial for _, trial in sorted((ended | self._running).items())]
        try:
            log = _Log(self._path, self._name, self._budget)
            log.update(wanted)
        except Exception:  # damaged, or nothing that Optuna reads
            write_atomic(self._path, b"")
            log = _Log(self._path, self._name, self._budget)
            log.update(wanted)
        return log


class _Log:
    """The journal's file and the one study in it. It only adds lines: whoever reads the file meanwhile can go on."""

    def __init__(self, path: Path, name: str, budget: Budget) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._path, self._name, self._budget = path, name, budget
        _cut_torn(path)
        self._size = path.stat().st_size if path.exists() else 0
        self._lines = _Lines(path)
        self._storage = JournalStorage(self._lines)
        self._ids: dict[int, int] = {}
        """Optuna's ids of the trials that run, by their numbers in the study."""
        self.study = self._open()

    def update(self, wanted: Sequence[FrozenTrial]) -> None:
        """Bring the study to hold exactly these trials."""
        there = {trial.user_attrs.get("trial", 0): trial for trial in self.study.get_trials(deepcopy=False)}
        numbers = {trial.user_attrs["trial"]: trial for trial in wanted}
        other = self.study.metric_names != list(self._budget.objectives)
        if other or any(
            number not in numbers or not leads_to(trial, numbers[number]) for number, trial in there.items()
        ):
            optuna.delete_study(study_name=self._name, storage=self._storage)
            self.study, there = self._open(), {}
        self._ids = {number: trial._trial_id for number, trial in there.items() if not trial.state.is_finished()}
        for number, trial in numbers.items():
            if number not in there or number in self._ids:
                self._tell(trial)
        self._flush()

    def put(self, trial: FrozenTrial) -> bool:
        """Add a trial, or what is new of one that runs.

        Returns False where it is another than it was, or the file is gone, shorter than it was, or torn.
        """
        known = self._ids.get(trial.user_attrs["trial"])
        if known is not None and not leads_to(self._storage.get_trial(known), trial):
            return False
        self._tell(trial)
        return self._path.exists() and self._flush()

    def _tell(self, trial: FrozenTrial) -> None:
        number, storage = trial.user_attrs["trial"], self._storage
        trial_id = self._ids.pop(number, None)
        if trial_id is None:
            trial_id = storage.create_new_trial(self.study._study_id, template_trial=trial)
        else:
            known = storage.get_trial(trial_id)
            for step in trial.intermediate_values.keys() - known.intermediate_values.keys():
                storage.set_trial_intermediate_value(trial_id, step, trial.intermediate_values[step])
            for key in trial.user_attrs.keys() - known.user_attrs.keys():
                storage.set_trial_user_attr(trial_id, key, trial.user_attrs[key])
            if trial.state.is_finished():
                storage.set_trial_state_values(trial_id, trial.state, trial.values)
        if not trial.state.is_finished():
            self._ids[number] = trial_id

    def _flush(self) -> bool:
        """Write what is new in one piece; nothing, and return False, where the file has lost its end."""
        written = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in self._lines.new).encode()
        handle = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            size = os.fstat(handle).st_size
            if size < self._size or (size and os.pread(handle, 1, size - 1) != b"\n"):
                return False
            if os.write(handle, written) != len(written):
                raise OSError(f"{self._path.name} could not be written whole")
        finally:
            os.close(handle)
        self._size = size + len(written)
        self._lines.new.clear()
        return True

    def _open(self) -> optuna.Study:
        if self._name in optuna.get_all_study_names(self._storage):  # asked to make it anew, Optuna adds a line
            return optuna.load_study(study_name=self._name, storage=self._storage)
        study = optuna.create_study(study_name=self._name, storage=self._storage, directions=self._budget.directions)
        with experimental():
            study.set_metric_names(list(self._budget.objectives))
        return study


class _Lines(BaseJournalBackend):
    """The lines of a journal in memory, and those that are not in its file yet."""

    def __init__(self, path: Path) -> None:
        written = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self._all = [json.loads(line) for line in written]
        self.new: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        return self._all[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self._all += logs
        self.new += logs


def _cut_torn(path: Path) -> None:
    """Cut off a last line that is not whole, which readers leave out anyway."""
    if not path.exists():
        return
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)
