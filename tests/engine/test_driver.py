import errno
import json
import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segsearch.engine.driver import run_study
from segsearch.engine.executors.base import Task
from segsearch.engine.executors.site import Here
from segsearch.engine.watch import Silent
from segsearch.errors import BudgetError, InputError
from segsearch.lock import locked
from segsearch.progress import Report, silent
from segsearch.result import TrialResult
from segsearch.space.points import named_points
from segsearch.study.budget import Budget
from segsearch.study.outcome import FAILURES_IN_A_ROW
from segsearch.study.pareto import front, within_reach
from segsearch.study.store import StudyFolder
from segsearch.study_files import WEIGHTS
from tests.engine.builders import result
from tests.engine.studies import gated, made_up, points, quick, study


class Heard(Silent):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.numbers: list[int] = []

    def finished(self, record: Any) -> None:
        self.numbers.append(record.number)

    def note(self, line: str) -> None:
        self.lines.append(line)

    def closed(self, line: str) -> None:
        self.lines.append(line)


def dying(at: int, work: Any = made_up) -> Any:
    """Work that is killed in its ``at``-th trial."""
    count = 0

    def run(task: Task, report: Report) -> TrialResult:
        nonlocal count
        count += 1
        if count == at:
            raise SystemExit("killed")
        return work(task, report)

    return run


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.glob("trials/*/result.json")}


def test_a_study_trains_what_was_asked_for(tmp_path: Path) -> None:
    heard = Heard()
    outcome = run_study(study(), tmp_path / "s", progress=heard, work=made_up)
    assert outcome.end == "finished" and outcome.exit_code == 0
    assert [r.number for r in outcome.records] == heard.numbers == [1, 2, 3, 4, 5]
    assert list(StudyFolder(tmp_path / "s").records()) == list(outcome.records)
    assert heard.lines == ["finished (5 of 5 trained, 0 rejected, 0 failed)"]


def test_a_finished_study_does_nothing_more(tmp_path: Path) -> None:
    run_study(study(), tmp_path, work=made_up)
    before = contents(tmp_path)
    assert run_study(study(), tmp_path, work=dying(1)).end == "finished"
    assert contents(tmp_path) == before


def test_raising_trials_goes_on_as_one_long_study(tmp_path: Path) -> None:
    run_study(study(trials=4), tmp_path / "two", work=made_up)
    run_study(study(trials=9), tmp_path / "two", work=made_up)
    run_study(study(trials=9), tmp_path / "one", work=made_up)
    assert points(tmp_path / "two") == points(tmp_path / "one")


def test_equal_seeds_give_equal_studies_and_others_do_not(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run_study(study(trials=8, seed=seed), tmp_path / name, work=gated(15.0))
    assert points(tmp_path / "a") == points(tmp_path / "b") != points(tmp_path / "c")


@settings(max_examples=6)
@given(deaths=st.lists(st.integers(1, 4), max_size=4), sampler=st.sampled_from(["tpe", "random"]))
def test_dying_anywhere_changes_nothing(
    deaths: list[int], sampler: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, config = tmp_path_factory.mktemp("s"), study(trials=7, sampler=sampler)
    run_study(config, folder / "whole", work=gated(16.0))
    for at in deaths:
        with suppress(SystemExit):
            run_study(config, folder / "torn", work=dying(at, gated(16.0)))
    run_study(config, folder / "torn", work=gated(16.0))
    assert points(folder / "torn") == points(folder / "whole")


def test_no_network_is_tried_twice(tmp_path: Path) -> None:
    outcome = run_study(quick(trials=14), tmp_path, work=gated(12.0))
    ids = [record.spec_id for record in outcome.records]
    assert len(set(ids)) == len(ids) > 8


def test_an_exhausted_space_says_so(tmp_path: Path) -> None:
    outcome = run_study(quick(trials=40, proposals=100), tmp_path, work=made_up)
    assert outcome.end == "exhausted" and outcome.exit_code == 0
    assert "space exhausted" in outcome.line and "of 40 trained" in outcome.line


def test_the_bound_of_proposals_holds(tmp_path: Path) -> None:
    outcome = run_study(study(trials=9, proposals=6), tmp_path, work=gated(14.0))
    states = [record.state for record in outcome.records]
    assert outcome.end == "proposals" and len(states) == 6 and {"rejected", "complete"} == set(states)
    assert "raise `proposals`" in outcome.line
    more = run_study(study(trials=9, proposals=8), tmp_path, work=gated(14.0))
    assert len(more.records) == 8


def test_a_budget_that_nothing_meets_names_the_nearest(tmp_path: Path) -> None:
    config = study(trials=3, proposals=5, budget={"fps": 5000})
    heard = Heard()
    with pytest.raises(BudgetError) as caught:
        run_study(config, tmp_path, progress=heard, work=gated(0.2))
    records = StudyFolder(tmp_path).records()
    nearest = min(records, key=lambda r: r.latency_ms)
    line = str(caught.value)
    assert "none of 5 networks meets the budget of 5000 FPS (0.20 ms)" in line
    assert nearest.spec_id in line and f"{nearest.latency_ms:.2f} ms" in line and "\n" not in line
    assert [r.state for r in records] == ["rejected"] * 5
    assert not any(line in said for said in heard.lines), "whoever catches the error says it"


def test_failures_are_not_called_a_budget_that_nothing_meets(tmp_path: Path) -> None:
    """Half of them met it, and then something else was wrong."""

    def work(task: Task, report: Report) -> TrialResult:
        bad: dict[str, Any] = (
            {"state": "failed", "reason": "DivergedError: at step 3"} if task.proposal.number % 2 else {}
        )
        return result(task.proposal.point, latency_ms=5.0, **{"reason": "5.00 ms, allowed 4.00 ms", **bad})

    outcome = run_study(study(trials=3, proposals=4, budget={"fps": 250}), tmp_path, work=work)
    assert (outcome.end, outcome.exit_code) == ("proposals", 1)
    assert outcome.line.endswith("2 rejected, 2 failed); the last failure: DivergedError: at step 3")


def test_named_points_come_first_even_outside_of_the_space(tmp_path: Path) -> None:
    names = list(named_points())[:2]
    config = study(points=names, trials=4, narrow={"encoder": "fpe", "fusion": "up"}, data=_data(96))
    outcome = run_study(config, tmp_path, work=made_up)
    assert [r.named for r in outcome.records] == [*names, None, None]
    assert all(r.point["fusion"] == "up" for r in outcome.records[2:])


def test_named_points_too_large_for_the_images_are_left_out_aloud(tmp_path: Path) -> None:
    heard, name = Heard(), next(iter(named_points()))
    run_study(study(points=[name], trials=1, data=_data(16)), tmp_path, progress=heard, work=made_up)
    assert any(line.startswith(f"{name} is left out") for line in heard.lines)


def _data(height: int) -> dict[str, Any]:
    return {"name": "streets", "size": [height, 2 * height], "train": 4, "val": 2}


def failing(task: Task, report: Report) -> TrialResult:
    return result(task.proposal.point, state="failed", reason="RuntimeError: broken")


def test_a_failure_is_recorded_and_the_study_goes_on(tmp_path: Path) -> None:
    outcome = run_study(
        study(), tmp_path, work=lambda t, report: (failing if t.proposal.number % 2 else made_up)(t, report)
    )
    assert outcome.end == "finished"
    assert sum(r.state == "failed" for r in outcome.records) >= 4
    assert {r.reason for r in outcome.records if r.state == "failed"} == {"RuntimeError: broken"}


def test_failures_in_a_row_end_the_study(tmp_path: Path) -> None:
    outcome = run_study(study(), tmp_path, work=failing)
    assert outcome.end == "failing" and outcome.exit_code == 1 and len(outcome.records) == FAILURES_IN_A_ROW
    assert "RuntimeError: broken" in outcome.line
    assert run_study(study(), tmp_path, work=made_up).end == "finished"


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"recipe": {"iterations": 5, "batch_size": 2}}, "recipe.iterations 4, not 5"),
        ({"data": {"name": "streets", "size": [32, 64], "train": 8, "val": 3}}, "data.size [32, 48], not [32, 64]"),
        ({"narrow": {"encoder": "fpe"}}, "space "),
        ({"timer": {"min_samples": 4}}, "timer.min_samples 3, not 4"),
        ({"backend": "onnxruntime"}, 'backend "eager", not "onnxruntime"'),
        ({"threads": 2}, "threads 1, not 2; choose another folder (--out DIR) or write threads: 1 into its file"),
    ],
)
def test_another_study_in_the_same_folder_is_refused(changes: dict[str, Any], key: str, tmp_path: Path) -> None:
    run_study(study(), tmp_path, work=made_up)
    before = contents(tmp_path)
    with pytest.raises(InputError) as caught:
        run_study(study(**changes), tmp_path, work=made_up)
    line = str(caught.value)
    assert key in line and "--out DIR" in line and "\n" not in line
    assert contents(tmp_path) == before


def test_another_device_is_refused(tmp_path: Path) -> None:
    run_study(study(), tmp_path, work=made_up)
    file = tmp_path / "study.json"
    stored = json.loads(file.read_text())
    file.write_text(json.dumps(stored | {"device": "another machine"}))
    with pytest.raises(InputError, match='device "another machine", not'):
        run_study(study(), tmp_path, work=made_up)


def test_trials_without_a_study_are_refused(tmp_path: Path) -> None:
    (tmp_path / "trials").mkdir()
    with pytest.raises(InputError, match=r"has trials but no study\.json"):
        run_study(study(), tmp_path, work=made_up)


def test_two_processes_cannot_drive_one_study(tmp_path: Path) -> None:
    with (
        locked(tmp_path),
        pytest.raises(InputError, match=rf"another process {os.getpid()} \(.*\) is running this study"),
    ):
        run_study(study(), tmp_path, work=made_up)
    assert run_study(study(), tmp_path, work=made_up).end == "finished"


def test_a_torn_proposal_is_made_again(tmp_path: Path) -> None:
    run_study(study(), tmp_path / "whole", work=made_up)
    with pytest.raises(SystemExit):
        run_study(study(), tmp_path / "torn", work=dying(3))
    file = tmp_path / "torn/trials/0003/proposal.json"
    file.write_text(file.read_text()[:40])
    (file.parent / "checkpoint.pt").write_bytes(b"left over")
    heard = Heard()
    run_study(study(), tmp_path / "torn", progress=heard, work=made_up)
    assert points(tmp_path / "torn") == points(tmp_path / "whole")
    assert heard.lines[0].startswith("trial 0003 is proposed again") and not (file.parent / "checkpoint.pt").exists()


def test_a_torn_result_is_named_and_can_be_run_again(tmp_path: Path) -> None:
    run_study(study(), tmp_path, work=made_up)
    wanted = points(tmp_path)
    file = tmp_path / "trials/0002/result.json"
    file.write_text(file.read_text()[:100])
    with pytest.raises(InputError, match=r"0002/result\.json: is not whole JSON; delete this file"):
        run_study(study(), tmp_path, work=made_up)
    file.unlink()
    run_study(study(), tmp_path, work=made_up)
    assert points(tmp_path) == wanted


def test_what_a_kill_leaves_lying_is_no_trial(tmp_path: Path) -> None:
    run_study(study(trials=3), tmp_path / "a", work=made_up)
    (tmp_path / "a/trials/0004").mkdir()
    (tmp_path / "a/trials/0004/.proposal.json.xyz.part").write_text("{")
    (tmp_path / "a/trials/0001/checkpoint.pt").write_bytes(b"killed before it was removed")
    run_study(study(trials=5), tmp_path / "a", work=made_up)
    run_study(study(trials=5), tmp_path / "b", work=made_up)
    assert points(tmp_path / "a") == points(tmp_path / "b")
    assert not (tmp_path / "a/trials/0001/checkpoint.pt").exists()


@pytest.mark.parametrize("full_at", range(1, 8))
def test_a_full_disk_ends_the_study_in_one_line_and_loses_nothing(
    full_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_study(study(trials=3), tmp_path / "whole", work=made_up)
    real, count = os.fsync, 0

    def full(handle: int) -> None:
        nonlocal count
        count += 1
        if count == full_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    with monkeypatch.context() as patch, pytest.raises(InputError, match="cannot be written: No space left on device"):
        patch.setattr(os, "fsync", full)
        run_study(study(trials=3), tmp_path / "full", work=made_up)
    assert not list((tmp_path / "full").rglob("*.part"))
    before = contents(tmp_path / "full")
    run_study(study(trials=3), tmp_path / "full", work=made_up)
    assert points(tmp_path / "full") == points(tmp_path / "whole")
    assert contents(tmp_path / "full").items() >= before.items()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        run_study(study(), tmp_path / "file" / "s", work=made_up)


def test_the_search_finds_a_front(tmp_path: Path) -> None:
    outcome = run_study(study(trials=12), tmp_path, work=made_up)
    best = front(outcome.records)
    assert 1 <= len(best) < 12 and best[-1].miou == max(r.miou for r in outcome.records)


def test_a_folder_moved_away_while_its_study_runs_is_not_made_again(tmp_path: Path) -> None:
    def moving(task: Task, report: Report) -> TrialResult:
        if task.proposal.number == 3:
            (tmp_path / "s").rename(tmp_path / "elsewhere")
        return made_up(task)

    with pytest.raises(InputError, match=r"/s: was moved or deleted while its study ran: start again with the folder"):
        run_study(study(), tmp_path / "s", work=moving)
    assert not (tmp_path / "s").exists() and len(points(tmp_path / "elsewhere")) == 2
    run_study(study(), tmp_path / "elsewhere", work=made_up)
    run_study(study(), tmp_path / "whole", work=made_up)
    assert points(tmp_path / "elsewhere") == points(tmp_path / "whole")


@pytest.mark.parametrize("again", [False, True])
def test_a_folder_moved_away_stops_a_trial_at_its_next_report(again: bool, tmp_path: Path) -> None:
    """Also where another study has begun in the old place."""

    def moving(task: Task, report: Report) -> TrialResult:
        (tmp_path / "s").rename(tmp_path / "elsewhere")
        if again:
            run_study(study(trials=1), tmp_path / "s", work=made_up)
        report("train", 1, 4)
        raise AssertionError("it went on")

    with pytest.raises(InputError, match="was moved or deleted while its study ran"):
        run_study(study(), tmp_path / "s", work=moving)
    assert len(points(tmp_path / "s")) == again and points(tmp_path / "elsewhere") == {}


@pytest.mark.parametrize("stage", ["measure", "train", "evaluate"])
def test_a_real_trial_writes_nothing_where_its_folder_was(stage: str, tmp_path: Path) -> None:
    class Moving(Silent):
        def stage(self, number: int, what: str, done: int, total: int) -> None:
            if what == stage:
                (tmp_path / "s").rename(tmp_path / "elsewhere")

    with pytest.raises(InputError, match="s: was moved or deleted while its study ran"):
        run_study(quick(trials=1), tmp_path / "s", progress=Moving())
    assert not (tmp_path / "s").exists()


def killed(*numbers: int) -> Any:
    """Work whose process is killed in these trials: nothing of ours runs any more."""

    def run(task: Task, report: Report) -> TrialResult:
        if task.proposal.number in numbers:
            raise Killed
        return made_up(task)

    return run


class Killed(BaseException):
    """Stands for a SIGKILL; `run_killed` undoes what was written on the way out."""


def run_killed(config: Any, folder: Path, work: Any) -> Any:
    """Run a study; where its work is killed, put the folder back as it was at that moment."""
    saved = folder.with_name("at the kill")

    def snapshot(task: Task, report: Report) -> TrialResult:
        try:
            return work(task, report)
        except Killed:
            shutil.rmtree(saved, ignore_errors=True)
            shutil.copytree(folder, saved)
            raise

    try:
        return run_study(config, folder, work=snapshot)
    except Killed:
        shutil.rmtree(folder)
        saved.rename(folder)
        return None


def test_a_trial_that_kills_its_process_fails_the_second_time_and_the_study_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    assert [run_killed(study(), folder, killed(2)) for _ in range(2)] == [None, None]
    outcome = run_killed(study(), folder, killed(2))
    assert outcome.end == "finished" and [r.number for r in outcome.records if r.trained] == [1, 3, 4, 5, 6]
    failed = outcome.records[1]
    assert failed.state == "failed" and "killed 2 times" in str(failed.reason) and "out of memory" in str(failed.reason)
    assert not (folder / "trials/0002/attempt.json").exists()
    (folder / "trials/0002/result.json").unlink()  # as the reason says
    assert run_study(study(trials=6), folder, work=made_up).records[1].trained


def test_stops_on_purpose_and_errors_are_no_kills(tmp_path: Path) -> None:
    errors = iter([KeyboardInterrupt(), InputError("disk", "is full"), SystemExit(1), KeyboardInterrupt()] * 2)

    def stopping(task: Task, report: Report) -> TrialResult:
        raise next(errors)

    for _ in range(8):
        with suppress(InputError, SystemExit):
            run_study(study(), tmp_path, work=stopping)
    outcome = run_study(study(), tmp_path, work=made_up)
    assert all(record.trained for record in outcome.records)


def test_a_kill_soon_after_a_request_to_stop_is_no_death(tmp_path: Path) -> None:
    """As process managers do it: SIGTERM, and SIGKILL for who takes long."""

    def slow(task: Task, report: Report) -> TrialResult:
        os.kill(os.getpid(), signal.SIGTERM)
        raise Killed

    for _ in range(4):
        run_killed(study(), tmp_path / "s", slow)
    assert all(record.trained for record in run_study(study(), tmp_path / "s", work=made_up).records)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["point"].pop("encoder"),
        lambda data: data["point"].update(finest="P99"),
        lambda data: data.update(spec_id="abcdefabcdef"),
        lambda data: data["point"].update(fusion_width=[1]),
        lambda data: data.pop("name"),
    ],
)
def test_a_proposal_that_cannot_be_is_refused_by_name(change: Any, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        run_study(study(), tmp_path, work=dying(2))
    file = tmp_path / "trials/0002/proposal.json"
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))
    with pytest.raises(InputError, match="trials/0002") as caught:
        run_study(study(), tmp_path, work=made_up)
    assert "\n" not in str(caught.value)


def weighty(task: Task, report: Report) -> TrialResult:
    """As `made_up`, with a file of weights."""
    task.folder.joinpath(WEIGHTS).write_bytes(b"w")
    return made_up(task)


@pytest.mark.parametrize("keep", ["front", "all", "none"])
def test_weights_stay_where_the_studys_file_says(keep: str, tmp_path: Path) -> None:
    outcome = run_study(quick(trials=10, keep=keep), tmp_path, work=weighty)
    near = {record.number for record in within_reach(outcome.records, Budget())}
    assert near >= {r.number for r in front(outcome.records)} and len(near) < 10
    wanted = {"front": near, "all": set(range(1, 11)), "none": set()}[keep]
    assert {int(path.parent.name) for path in tmp_path.glob(f"trials/*/{WEIGHTS}")} == wanted


class Jumbled:
    """Three trials under way at once, which end in the order of their ids."""

    slots = 3
    measures_here = False

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.most = 0

    def submit(self, task: Task) -> None:
        self.tasks.append(task)
        self.most = max(self.most, len(self.tasks))

    def apart(self, task: Task) -> bool:
        return False

    def measure(self, task: Task) -> TrialResult:
        return gated(18.0)(task, silent)

    def collect(self) -> tuple[Task, TrialResult]:
        task = min(self.tasks, key=lambda task: task.spec.id)
        self.tasks.remove(task)
        return task, gated(18.0)(task, silent)

    def close(self) -> None:
        self.tasks.clear()


def test_three_trials_under_way_end_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executor, site = Jumbled(), Here()
    monkeypatch.setattr(site, "executor", lambda *_: executor)
    outcome = run_study(quick(trials=6), tmp_path, site=site)
    numbers = [record.number for record in outcome.records]
    assert outcome.end == "finished" and executor.most == 3 and numbers == list(range(1, len(numbers) + 1))
    assert len({record.spec_id for record in outcome.records}) == len(numbers)
    assert 6 <= sum(record.trained for record in outcome.records) <= 8, "those under way are not thrown away"


class Measuring(Jumbled):
    """Measures before networks become trials; a stop is asked for while it does that, and others are under way."""

    measures_here = True

    def measure(self, task: Task) -> TrialResult:
        if self.tasks:
            signal.raise_signal(signal.SIGINT)
            raise KeyboardInterrupt
        return super().measure(task)


def test_a_stop_in_a_shortlist_waits_for_what_is_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executor, site = Measuring(), Here()
    monkeypatch.setattr(site, "executor", lambda *_: executor)
    monkeypatch.setattr("segsearch.samplers.shortlist.SHARE", 1e9)
    outcome = run_study(quick(trials=12, sampler="pareto", shortlist=3, startup=2), tmp_path, site=site)
    begun = {int(path.name) for path in (tmp_path / "trials").iterdir()}
    assert outcome.end == "interrupted" and not executor.tasks and executor.most > 1
    assert {record.number for record in outcome.records} == begun, "all that had begun came to its end"
