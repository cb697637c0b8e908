"""Studies with rungs: who is trained how far, at what cost, and that no kill changes it."""

import json
import re
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from segsearch.engine.agenda import Agenda, Step
from segsearch.engine.driver import run_study
from segsearch.engine.watch import Silent
from segsearch.errors import BudgetError
from segsearch.result import Rung
from segsearch.space.points import named_points
from segsearch.study.config import StudyConfig
from segsearch.study.pareto import front, within_reach
from segsearch.study.pick import candidates
from segsearch.study.record import TrialRecord
from segsearch.study.store import StudyFolder
from segsearch.study.trials import Begun, Trials
from segsearch.study_files import CHECKPOINT, PAUSED, WEIGHTS
from tests.engine.builders import record, scores
from tests.engine.studies import Staged, luck, study

RUNGS = (1, 3)


def config(**changes: Any) -> StudyConfig:
    """Eight images, of which two are a step: four steps an epoch."""
    settings = {
        "recipe": {"epochs": 9, "batch_size": 2},
        "rungs": list(RUNGS),
        "trials": 5,
        "budget": {"latency_ms": 17.0},
        "sampler": "random",
    }
    return study(**(settings | changes))


def staged(**changes: Any) -> Staged:
    settings: dict[str, Any] = {"rungs": RUNGS, "limit_ms": 17.0}
    return Staged(**(settings | changes))


def summary(records: tuple[TrialRecord, ...]) -> list[tuple[Any, ...]]:
    return [(r.number, r.spec_id, r.state, r.reached, r.scores, r.seconds) for r in records]


def test_more_networks_are_looked_at_for_the_same_epochs(tmp_path: Path) -> None:
    work = staged()
    outcome = run_study(config(), tmp_path, work=work)
    states = Counter(r.state for r in outcome.records)
    assert outcome.end == "finished" and states["complete"] >= 2 and states["stopped"] > states["complete"]
    assert 9 * 5 - 9 < len(work.trained) <= 9 * 5
    assert f"{states['complete']} trained, {states['stopped']} stopped at a rung" in outcome.line
    assert max(Counter(work.trained).values()) == 1, "an epoch was trained twice"
    plain = run_study(config(rungs=[]), tmp_path / "plain", work=Staged(limit_ms=17.0))
    assert Counter(r.state for r in plain.records)["complete"] == 5


def test_who_is_trained_to_the_end_was_good_on_the_way(tmp_path: Path) -> None:
    outcome = run_study(config(trials=12, sampler="random"), tmp_path, work=staged())
    first = [r for r in outcome.records if r.reached]
    assert all([rung.epochs for rung in r.rungs] == [1, 3] for r in first if r.trained)
    best = front(r.model_copy(update={"state": "complete", "scores": scores(r.rungs[0].miou)}) for r in first)
    assert sum(r.trained for r in best) >= 0.8 * len(best), "the front of the first rung was dropped"


def test_what_is_stopped_stands_in_no_front_and_is_never_exported(tmp_path: Path) -> None:
    outcome = run_study(config(), tmp_path, work=staged())
    stopped = [r for r in outcome.records if r.state == "stopped"]
    assert stopped and all(
        r.scores is None
        and not r.trained
        and re.fullmatch(r"mIoU .*% after \d epochs?; (others were better there|then the study ended)", str(r.reason))
        for r in stopped
    )
    for found in (front(outcome.records), within_reach(outcome.records, config().budget)):
        assert found and not {r.number for r in found} & {r.number for r in stopped}
    assert all(r.trained for r in candidates(outcome.records, config().budget))
    assert {int(p.parent.name) for p in tmp_path.rglob(WEIGHTS)} <= {r.number for r in outcome.records if r.trained}
    assert all(r in StudyFolder(tmp_path).records() for r in stopped)


def test_what_a_person_chose_is_trained_to_the_end(tmp_path: Path) -> None:
    names = list(named_points())[:3]
    data = {"name": "streets", "size": [96, 192], "train": 8, "val": 2}
    outcome = run_study(config(points=names, trials=4, data=data), tmp_path, work=staged(limit_ms=99.0))
    assert [r.named for r in outcome.records if r.trained][:3] == names
    assert all([rung.epochs for rung in r.rungs] == [1, 3] for r in outcome.records[:3])


@pytest.mark.parametrize(
    ("sampler", "every"), [("tpe", 20), ("random", 5), pytest.param("random", 1, marks=pytest.mark.nightly)]
)
def test_dying_anywhere_changes_nothing(sampler: str, every: int, tmp_path: Path) -> None:
    settings, stages = config(trials=3, sampler=sampler), staged()
    whole = run_study(settings, tmp_path / "whole", work=stages)
    for die_at in range(1, len(stages.stages) + 1, every):
        folder, trained = tmp_path / str(die_at), Counter[tuple[int, int]]()
        work = staged(die_at=die_at)
        with suppress(SystemExit):
            run_study(settings, folder, work=work)
        before = {path: path.read_bytes() for path in folder.glob("trials/*/result.json")}
        again = staged()
        torn = run_study(settings, folder, work=again)
        assert all(path.read_bytes() == content for path, content in before.items())
        trained.update(work.trained + again.trained)
        assert max(trained.values()) == 1, "an epoch was trained twice"
        assert summary(torn.records) == summary(whole.records)


def test_a_finished_study_does_nothing_more_and_one_that_is_to_train_more_takes_up_what_was_stopped(
    tmp_path: Path,
) -> None:
    first, work = run_study(config(trials=4), tmp_path, work=staged()), staged()
    before = {path: path.read_bytes() for path in tmp_path.glob("trials/*/result.json")}
    again = run_study(config(trials=4), tmp_path, work=work)
    assert work.stages == [] and again.records == first.records
    assert {path: path.read_bytes() for path in tmp_path.glob("trials/*/result.json")} == before
    more = run_study(config(trials=9), tmp_path, work=work)
    stopped = {r.number for r in first.records if r.state == "stopped"}
    went_on = {r.number: r for r in more.records if r.number in stopped and (r.trained or r.reached > 1)}
    assert went_on and {1} < {epoch for _, epoch in work.trained}
    assert not [(n, epoch) for n, epoch in work.trained if n in stopped and epoch == 1], "an epoch was trained twice"


def test_checkpoints_are_kept_of_what_may_go_on_alone(tmp_path: Path) -> None:
    most = 0

    class Watch(Silent):
        def note(self, line: str) -> None:
            nonlocal most
            most = max(most, len(list(tmp_path.rglob(CHECKPOINT))))

    outcome = run_study(config(trials=20, rungs=[1]), tmp_path, work=staged(rungs=(1,)), progress=Watch())
    looked_at = sum(r.reached > 0 for r in outcome.records)
    assert looked_at > 40 and most < 0.5 * looked_at
    assert not list(tmp_path.rglob(PAUSED))
    kept = {int(path.parent.name) for path in tmp_path.rglob(CHECKPOINT)}
    assert kept == {r.number for r in outcome.records if r.state == "stopped" and "ended" in str(r.reason)}


def test_where_a_rung_says_little_more_go_on(tmp_path: Path) -> None:
    def share(noise: float) -> float:
        settings = config(trials=15, rungs=[1], sampler="random")
        records = run_study(settings, tmp_path / str(noise), work=staged(rungs=(1,), noise=noise)).records
        trained = sum(r.trained for r in records)
        return trained / sum(r.reached > 0 for r in records)

    assert share(noise=1.0) > share(noise=0.0)


def test_rungs_may_change_between_two_runs(tmp_path: Path) -> None:
    run_study(config(trials=3), tmp_path, work=staged())
    outcome = run_study(config(trials=6, rungs=[2]), tmp_path, work=staged(rungs=(1, 2, 3)))
    assert outcome.end == "finished" and sum(r.trained for r in outcome.records) >= 2
    plain = run_study(config(trials=9, rungs=[]), tmp_path, work=staged())
    assert plain.end == "finished" and all(r.reached < 9 for r in plain.records if r.state == "stopped")
    new = [r for r in plain.records if r.number > len(outcome.records) and r.state != "rejected"]
    assert new and all(r.trained for r in new)


def test_a_study_whose_networks_all_miss_the_budget_says_so(tmp_path: Path) -> None:
    with pytest.raises(BudgetError):
        run_study(config(trials=2, proposals=4, budget={"latency_ms": 0.5}), tmp_path, work=staged(limit_ms=0.5))


def test_an_interrupt_leaves_what_is_paused_and_it_goes_on(tmp_path: Path) -> None:
    class Impatient(Silent):
        def __init__(self) -> None:
            self.paused = 0

        def note(self, line: str) -> None:
            self.paused += " is paused, mIoU " in line

        def stage(self, number: int, what: str, done: int, total: int) -> None:
            if self.paused == 3:
                raise KeyboardInterrupt

    whole = run_study(config(), tmp_path / "whole", work=staged())
    assert run_study(config(), tmp_path / "s", work=staged(), progress=Impatient()).end == "interrupted"
    paused = list((tmp_path / "s").rglob(PAUSED))
    assert len(paused) >= 2 and all(json.loads(path.read_text())["state"] == "paused" for path in paused)
    assert summary(run_study(config(), tmp_path / "s", work=staged()).records) == summary(whole.records)


def test_the_decision_is_one_of_the_trials_alone() -> None:
    """The same in whatever order they are known."""

    def paused(number: int) -> Begun:
        rungs = (Rung(steps=4, epochs=1, miou=luck(str(number))),)
        found = record(number, miou=None, latency_ms=float(number), rungs=rungs)
        return Begun(proposal=found.proposal, state="paused", result=found.result)

    records = [record(n, miou=0.1 * n, latency_ms=9.0 - n) for n in (1, 2)]
    begun, agenda = [paused(number) for number in range(3, 9)], Agenda(config(trials=9), images=8)
    step = agenda.next(Trials(records, begun))
    assert isinstance(step, Step) and step.until == 3
    assert step == agenda.next(Trials(records[::-1], begun[::-1]))
