"""Rejected networks that a looser budget takes up again, in studies that are stopped and killed on the way."""

import shutil
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from segsearch.engine.driver import run_study
from segsearch.engine.executors.base import Task
from segsearch.engine.watch import Silent
from segsearch.progress import Report
from segsearch.result import TrialResult
from segsearch.study.config import StudyConfig
from segsearch.study.record import TrialRecord
from segsearch.study.store import StudyFolder
from segsearch.study_files import CHECKPOINT, PAUSED, REJECTED
from tests.engine.studies import Staged, study
from tests.engine.test_driver import Killed, run_killed

TIGHT, LOOSE = 8.0, 18.0


def config(limit_ms: float, **changes: Any) -> StudyConfig:
    settings = {"recipe": {"epochs": 9, "batch_size": 2}, "trials": 3, "sampler": "random"}
    return study(**(settings | changes | {"budget": {"latency_ms": limit_ms}}))


def tight(folder: Path, **changes: Any) -> set[int]:
    """Run a study to its end; return the numbers of the networks that a looser budget takes up again."""
    rungs = tuple(changes.get("rungs", ()))
    records = run_study(config(TIGHT, **changes), folder, work=Staged(rungs=rungs, limit_ms=TIGHT)).records
    found = {r.number for r in records if r.state == "rejected" and (r.latency_ms or 0) <= LOOSE}
    assert len(found) > 2, "the limits are badly chosen"
    return found


class KilledAt(Staged):
    """Is killed in one stage of one trial: at the beginning of a measurement, or once an epoch is in the checkpoint."""

    def __init__(self, number: int, epoch: int = 0, **facts: Any) -> None:
        super().__init__(**facts)
        self.at = number, epoch

    def __call__(self, task: Task, report: Report) -> TrialResult:
        if task.stage == "measure" and (task.proposal.number, 0) == self.at:
            raise Killed
        return super().__call__(task, report)

    def learnt(self, task: Task, epoch: int) -> None:
        super().learnt(task, epoch)
        if (task.proposal.number, epoch) == self.at:
            raise Killed


def outline(records: tuple[TrialRecord, ...]) -> list[tuple[Any, ...]]:
    return [(r.number, r.state, r.reached, r.scores, r.trained_iterations) for r in records]


def test_a_training_that_was_killed_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    again = tight(tmp_path / "s")
    number = min(again)
    work = KilledAt(number, 5, limit_ms=LOOSE)
    assert run_killed(config(LOOSE), tmp_path / "s", work) is None
    assert (tmp_path / f"s/trials/{number:04d}" / CHECKPOINT).exists()
    later = Staged(limit_ms=LOOSE)
    records = run_study(config(LOOSE), tmp_path / "s", work=later).records
    assert max(Counter(work.trained + later.trained).values()) == 1, "an epoch was trained twice"
    assert again <= {r.number for r in records if r.trained}, "also those that were not begun"
    assert not list(tmp_path.rglob(REJECTED))


@pytest.mark.parametrize("epoch", [0, 5])
def test_what_kills_its_process_fails_the_second_time(epoch: int, tmp_path: Path) -> None:
    number = min(tight(tmp_path / "s"))

    class Deadly(KilledAt):
        """Also where it goes on from the checkpoint."""

        def __call__(self, task: Task, report: Report) -> TrialResult:
            if task.stage == "train" and (task.folder / CHECKPOINT).exists():
                raise Killed
            return super().__call__(task, report)

    deaths = 0
    while (outcome := run_killed(config(LOOSE), tmp_path / "s", Deadly(number, epoch, limit_ms=LOOSE))) is None:
        deaths += 1
        assert deaths < 5, "it kills the study for ever"
    record = next(r for r in outcome.records if r.number == number)
    assert record.state == "failed" and "the process was killed 2 times" in str(record.reason)


def test_its_old_record_stands_while_it_runs_again_and_returns_with_the_old_budget(tmp_path: Path) -> None:
    number = min(tight(tmp_path / "s"))
    before = StudyFolder(tmp_path / "s").records()

    class Impatient(Silent):
        def stage(self, number: int, what: str, done: int, total: int) -> None:
            if done == 4:
                raise KeyboardInterrupt

    outcome = run_study(config(LOOSE), tmp_path / "s", work=Staged(limit_ms=LOOSE), progress=Impatient())
    assert outcome.end == "interrupted" and [r.state for r in outcome.records] == [r.state for r in before]
    assert (tmp_path / f"s/trials/{number:04d}" / REJECTED).exists()
    again = run_study(config(TIGHT), tmp_path / "s", work=Staged(limit_ms=TIGHT))
    assert outline(again.records) == outline(tuple(before)) and not list(tmp_path.rglob(REJECTED))
    assert not list(tmp_path.rglob(CHECKPOINT))


RUNGS = {"rungs": [1, 3], "trials": 2}


@pytest.mark.nightly
def test_with_rungs_dying_anywhere_changes_nothing(tmp_path: Path) -> None:
    """Steps are counted of those that others beat at a rung, and nothing is trained twice."""
    tight(tmp_path / "tight", **RUNGS)
    settings, facts = config(LOOSE, **(RUNGS | {"trials": 4})), dict[str, Any](rungs=(1, 3), limit_ms=LOOSE)
    shutil.copytree(tmp_path / "tight", tmp_path / "whole")
    stages = Staged(**facts)
    whole = run_study(settings, tmp_path / "whole", work=stages)
    assert whole.end == "finished" and max(Counter(stages.trained).values()) == 1
    begun = {r.number for r in whole.records if r.reached or r.trained} & {n for n, _ in stages.trained}
    assert any(r.state == "stopped" for r in whole.records if r.number in begun)
    more = Staged(**facts)
    assert run_study(settings, tmp_path / "whole", work=more).end == "finished" and not more.stages
    for die_at in range(1, len(stages.stages) + 1, 4):
        folder = tmp_path / str(die_at)
        shutil.copytree(tmp_path / "tight", folder)
        work, again = Staged(**facts, die_at=die_at), Staged(**facts)
        with suppress(SystemExit):
            run_study(settings, folder, work=work)
        torn = run_study(settings, folder, work=again)
        assert max(Counter(work.trained + again.trained).values()) == 1, "an epoch was trained twice"
        assert outline(torn.records) == outline(whole.records), die_at
        assert not list(folder.rglob(REJECTED)) and not list(folder.rglob(PAUSED))
