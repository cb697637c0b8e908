"""What is written when a trial ends: its record first, then everything that follows from it."""

from datetime import UTC, datetime

from segsearch.engine.live import LiveView
from segsearch.engine.prepare import Study
from segsearch.engine.watch import StudyProgress
from segsearch.provenance import commit, versions
from segsearch.result import TrialResult
from segsearch.study.pareto import within_reach
from segsearch.study.record import TrialRecord
from segsearch.study.store import StudyFolder
from segsearch.study.trials import Begun, Trials


def now() -> str:
    """Time of day in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Ledger:
    """Keeps the records of one study: on disk, in ``trials``, and in the live view."""

    def __init__(self, study: Study, store: StudyFolder, trials: Trials, progress: StudyProgress) -> None:
        self._study, self._config, self._store, self._trials = study, study.config, store, trials
        self._progress = progress
        self._live = LiveView(store.path, study.config.name, study.space, study.config.budget, progress.note)
        self._weighty = {record.number for record in trials.all if record.trained}
        """Trials whose weights may be there."""
        self.show()

    def show(self) -> None:
        """Bring the live view up to date: what a killed run left in training is shown so where it will go on."""
        begun = self._trials.begun.values()
        self._live.show(self._trials.all, [trial for trial in begun if trial.state in ("passed", "paused")])

    def training(self, trial: Begun) -> None:
        """Tell of a trial whose training begins, or that was scored at a rung."""
        self._live.running(trial)

    def finish(self, trial: Begun, result: TrialResult, *, seed: int, resumable: bool = False) -> TrialRecord:
        """Write the record of a trial, then tell everybody; ``resumable`` keeps a stopped one's checkpoint."""
        record = TrialRecord.of(
            trial.proposal,
            result,
            recipe_id=self._config.recipe.id,
            recipe=self._config.recipe,
            seed=seed,
            device=self._study.file.device,
            commit=commit(),
            versions=versions(),
            started_at=trial.started_at or now(),
            finished_at=now(),
        )
        self._store.finish(record, resumable=resumable)
        self._trials.finish(record)
        self._live.add(record)
        if record.trained:
            self._keep_weights(record)
        self._progress.finished(record)
        for note in _notes(record):
            self._progress.note(note)
        return record

    def _keep_weights(self, record: TrialRecord) -> None:
        """Delete the weights that no front needs any more, as the study's file asks."""
        self._weighty.add(record.number)
        if self._config.keep != "all":
            records = self._trials.records.values()
            near = within_reach(records, self._config.budget) if self._config.keep == "front" else []
            beaten = self._weighty - {record.number for record in near}
            self._store.drop_weights(beaten)
            self._weighty -= beaten


def _notes(record: TrialRecord) -> list[str]:
    """Say what a person should know of a trial."""
    notes = [f"trial {record.number} {note}" for note in record.notes]
    if record.trained and record.recipe.pretrained is not None and record.pretrained is None:
        notes.append(f"{record.name} began with fresh weights: recipe.pretrained has none for its encoder")
    if record.latency is not None and not record.latency.steady:
        notes.append(f"trial {record.number} has an unsteady latency: {record.latency.unsteady}")
    return notes
