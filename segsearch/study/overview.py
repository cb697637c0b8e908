"""Studies from outside: which there are, how far each one is, and what it takes on the disk."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from segsearch.errors import InputError
from segsearch.lock import in_use
from segsearch.study.config import StudyConfig
from segsearch.study.final import FOLDER
from segsearch.study.identity import StudyFile
from segsearch.study.pareto import front
from segsearch.study.record import TrialRecord
from segsearch.study.store import StudyFolder
from segsearch.study_files import CHECKPOINT, STUDY, WEIGHTS, trial_folders

State = Literal["running", "finished", "unfinished"]


@dataclass(frozen=True, kw_only=True)
class Overview:
    """One study as it lies there."""

    folder: Path
    file: StudyFile
    records: tuple[TrialRecord, ...]
    begun: int
    """Trials without a result."""
    state: State
    """``running``: a process has it. ``finished``: it has its trained trials."""

    @property
    def counts(self) -> dict[str, int]:
        """How many trials ended how, in the order in which they first did; ``begun`` of those that have not ended."""
        counts = dict(Counter(record.state for record in self.records))
        return {"complete": 0, **counts} | ({"begun": self.begun} if self.begun else {})

    @property
    def front(self) -> list[TrialRecord]:
        """The Pareto front within the budget, fastest first."""
        return front(self.records, self.file.config.budget)

    @property
    def best(self) -> TrialRecord | None:
        """The best mIoU within the budget."""
        return max(self.front, key=lambda record: record.miou, default=None)

    @property
    def next_command(self) -> str:
        """What a person would type to go on."""
        if self.state == "running":
            return f"segsearch pareto {self.folder}"
        return f"segsearch {'export' if self.state == 'finished' else 'search'} {self.folder}" + (
            " --out winner" if self.state == "finished" else ""
        )

    def as_plain(self) -> dict[str, Any]:
        """Plain data, for programs."""
        config = self.file.config
        return {
            "folder": str(self.folder),
            "name": config.name,
            "state": self.state,
            "trials": self.counts,
            "wanted": config.trials,
            "minutes": config.minutes,
            "best": None if self.best is None else _plain(self.best),
            "budget": config.budget.model_dump(mode="json", exclude_none=True),
            "space": config.space,
            "data": config.data.name,
            "recipe_id": config.recipe.id,
            "device": self.file.device,
            "backend": config.backend,
            "precision": config.precision,
            "threads": self.file.threads,
        }


def _plain(record: TrialRecord) -> dict[str, object]:
    return {"trial": record.number, "name": record.name, "miou": record.miou, "latency_ms": record.latency_ms}


def overview(folder: Path) -> Overview:
    """Look at one study. Raises InputError where there is none, or a file of it is damaged."""
    store = StudyFolder(folder)
    file, records = store.read_study(), store.records()
    return Overview(
        folder=folder,
        file=file,
        records=tuple(records),
        begun=len(trial_folders(folder)) - len(records),
        state="running"
        if in_use(folder)
        else "finished"
        if _enough(file.config, records, store.spent())
        else "unfinished",
    )


def _enough(config: StudyConfig, records: Sequence[TrialRecord], spent: float) -> bool:
    """Whether as much is trained as is wanted, stopped networks by their share, or no time is left for another one."""
    trained = [record for record in records if record.trained]
    slowest = max((sum(record.seconds.values()) for record in trained), default=0.0)
    if config.minutes is not None and 60 * config.minutes - spent < slowest:
        return True
    unsure = min(sum(record.unsure for record in trained), config.most_trials // 2)
    return config.most_trials + unsure - sum(record.share for record in records) < 1


def studies_in(folder: Path) -> dict[Path, Overview | InputError]:
    """Look at all studies in a folder, itself included, by their folders; what is damaged is told instead.

    Raises:
        InputError: there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(folder, "is not a folder", "one that holds studies; default: runs")
    found = dict[Path, Overview | InputError]()
    for path in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        if (path / STUDY).is_file():
            try:
                found[path] = overview(path)
            except InputError as error:
                found[path] = error
    return found


def disk_use(folder: Path) -> dict[str, int]:
    """Return bytes per kind of file: weights and checkpoints of the search, final trainings, all else."""
    use = {"weights": 0, "checkpoints": 0, "final trainings": 0, "all else": 0}
    kinds = {WEIGHTS: "weights", CHECKPOINT: "checkpoints"}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            final = path.relative_to(folder).parts[0] == FOLDER
            use["final trainings" if final else kinds.get(path.name, "all else")] += path.stat().st_size
    return use
