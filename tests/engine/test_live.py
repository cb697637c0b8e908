"""``optuna.journal``: what Optuna and its dashboard see of a study, and what becomes of it when it is damaged."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from segsearch.engine.driver import run_study
from segsearch.engine.executors.base import Task
from segsearch.engine.live import JOURNAL, LiveView
from segsearch.engine.optuna_trials import compared
from segsearch.progress import Report
from segsearch.result import Rung, TrialResult
from segsearch.space.points import named_point
from segsearch.study.budget import Budget
from segsearch.study.record import TrialRecord
from segsearch.study.store import StudyFolder
from segsearch.study.trials import Begun
from tests.engine.builders import latency, record, some_point, unified
from tests.engine.studies import Staged, gated, quick
from tests.test_full_disk import room_for

BUDGET = Budget(latency_ms=10)


def some() -> list[TrialRecord]:
    """One trial of each kind; the third has been measured again, the last lies outside the space."""
    rungs = (Rung(steps=10, epochs=2, miou=0.1), Rung(steps=30, epochs=6, miou=0.3))
    again = record(3, miou=0.4, latency_ms=8.0).model_copy(update={"confirmed": latency(7.0)})
    outside = dict(some_point(6)) | {"fusion_width": 17}
    return [
        record(1, miou=0.5, latency_ms=5.0, rungs=rungs),
        record(2, latency_ms=30.0),
        again,
        record(4, latency_ms=None, state="failed", reason="out of memory"),
        record(5, latency_ms=6.0, state="stopped", reason="beaten at 2 epochs", rungs=rungs[:1]),
        record(6, outside, miou=0.3, latency_ms=4.0),
    ]


def view(folder: Path, told: list[str] | None = None) -> LiveView:
    return LiveView(folder, "mine", unified(), BUDGET, (told if told is not None else []).append)


def loaded(folder: Path, name: str = "mine") -> list[optuna.trial.FrozenTrial]:
    """What anybody reads from the file."""
    storage = JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
    return optuna.load_study(study_name=name, storage=storage).trials


def numbers(folder: Path) -> list[int]:
    return [trial.user_attrs["trial"] for trial in loaded(folder)]


def test_optuna_sees_values_states_rungs_and_attributes(tmp_path: Path) -> None:
    shown = view(tmp_path)
    shown.show([])
    for each in some():
        shown.add(each)
    trials = loaded(tmp_path)
    assert [t.state.name for t in trials] == ["COMPLETE", "PRUNED", "COMPLETE", "FAIL", "PRUNED", "COMPLETE"]
    assert [t.values for t in trials] == [[0.5, 5.0], None, [0.4, 7.0], None, None, [0.3, 4.0]]
    assert trials[0].intermediate_values == {2: 0.1, 6: 0.3} and trials[4].intermediate_values == {2: 0.1}
    assert trials[1].constraints == {"latency_ms": 2.0} and trials[1].user_attrs["reason"] == "over the budget"
    first = some()[0]
    attributes = trials[0].user_attrs
    assert (attributes["name"], attributes["spec_id"], attributes["origin"]) == (first.name, first.spec_id, "sampler")
    assert (attributes["latency_p10_ms"], attributes["latency_p90_ms"]) == (4.5, 6.0)
    assert {k.removeprefix("point."): v for k, v in attributes.items() if k.startswith("point.")} == first.point
    assert trials[0].params and trials[5].params == {} and trials[5].user_attrs["point.fusion_width"] == 17


def test_parameters_are_those_that_the_sampler_learns_from(tmp_path: Path) -> None:
    named = record(1, dict(named_point("fpenet").choices), miou=0.5, origin="named:fpenet")
    view(tmp_path).show([named])
    (trial,) = loaded(tmp_path)
    assert trial.params["encoder"] == "fpe" and trial.user_attrs["name"] == "fpenet"
    assert trial.params["encoder_width"] == 5 and trial.user_attrs["point.encoder_width"] == 1.0, "by its place"


def begun(record: TrialRecord, rungs: int = 0) -> Begun:
    """The same trial before it ended, scored at so many rungs."""
    result = record.result.model_copy(update={"state": "passed", "scores": None, "rungs": record.rungs[:rungs]})
    return Begun(proposal=record.proposal, state="passed", result=result, started_at=record.started_at)


def test_a_trial_in_training_runs_until_it_ends(tmp_path: Path) -> None:
    shown, (trained, _, _, failed, stopped, _) = view(tmp_path), some()
    shown.show([])
    for each in (trained, failed, stopped):
        shown.running(begun(each))
    path = tmp_path / JOURNAL
    before = path.read_bytes()
    assert [t.state for t in loaded(tmp_path)] == [TrialState.RUNNING] * 3
    assert loaded(tmp_path)[0].params and loaded(tmp_path)[0].user_attrs["latency_ms"] == 5.0
    for rungs in (1, 2):
        shown.running(begun(trained, rungs))
        assert len(loaded(tmp_path)[0].intermediate_values) == rungs
    shown.running(begun(stopped, 1))
    for each in (failed, stopped, trained):
        shown.add(each)
    assert path.read_bytes().startswith(before), "it was only added to"
    (tmp_path / "whole").mkdir()
    view(tmp_path / "whole").show([trained, failed, stopped])
    pairs = list(zip(loaded(tmp_path), loaded(tmp_path / "whole"), strict=True))
    assert all(compared(one) == compared(other) for one, other in pairs)


def test_the_next_start_settles_what_a_killed_one_left_running(tmp_path: Path) -> None:
    shown, (trained, _, third, _, stopped, last) = view(tmp_path), some()
    shown.show([])
    for each in (trained, third, stopped, last):
        shown.running(begun(each))
    view(tmp_path).show([trained, stopped], [begun(third), begun(last)])
    states = {t.user_attrs["trial"]: t.state.name for t in loaded(tmp_path)}
    assert states == {1: "COMPLETE", 3: "RUNNING", 5: "PRUNED", 6: "RUNNING"}
    again = view(tmp_path)
    again.show([trained, stopped], [begun(third)])  # somebody deleted the folder of the last
    again.add(third)
    assert [t.state.name for t in loaded(tmp_path)] == ["COMPLETE", "COMPLETE", "PRUNED"]


def test_a_torn_end_is_mended_while_trials_run(tmp_path: Path) -> None:
    shown = view(tmp_path)
    shown.show(some()[:2])
    shown.running(begun(some()[2]))
    path = tmp_path / JOURNAL
    path.write_bytes(path.read_bytes()[:-40])
    shown.running(begun(some()[4]))
    shown.add(some()[2])
    assert {t.user_attrs["trial"]: t.state.name for t in loaded(tmp_path)} == {
        1: "COMPLETE", 2: "PRUNED", 3: "COMPLETE", 5: "RUNNING"
    }  # fmt: skip


def test_a_study_shows_what_it_trains_and_goes_on_with_it(tmp_path: Path) -> None:
    seen, stages = list[tuple[str, int]](), Staged(rungs=(1, 3))

    def work(task: Task, report: Report) -> TrialResult:
        if task.stage == "train":
            (trial,) = [t for t in loaded(tmp_path, "tiny") if t.user_attrs["trial"] == task.proposal.number]
            seen.append((trial.state.name, len(trial.intermediate_values)))
            if len(seen) == 3:
                raise KeyboardInterrupt
        return stages(task, report)

    config = quick(trials=2, rungs=[1, 3], recipe={"epochs": 9, "batch_size": 2})
    assert run_study(config, tmp_path, work=work).end == "interrupted"
    states = [t.state.name for t in loaded(tmp_path, "tiny")]
    assert states and set(states) == {"RUNNING"}
    outcome = run_study(config, tmp_path, work=work)
    assert seen[0] == ("RUNNING", 0) and {name for name, _ in seen} == {"RUNNING"} and ("RUNNING", 1) in seen
    shown = {t.user_attrs["trial"]: t.state is TrialState.COMPLETE for t in loaded(tmp_path, "tiny")}
    assert shown == {r.number: r.trained for r in outcome.records}
    assert not [t for t in loaded(tmp_path, "tiny") if t.state is TrialState.RUNNING]


def test_what_is_there_is_left_alone_and_what_lacks_is_added(tmp_path: Path) -> None:
    view(tmp_path).show(some()[:3])
    before = (tmp_path / JOURNAL).read_bytes()
    view(tmp_path).show(some()[:3])
    assert (tmp_path / JOURNAL).read_bytes() == before
    view(tmp_path).show(some())
    assert (tmp_path / JOURNAL).read_bytes().startswith(before) and numbers(tmp_path) == [1, 2, 3, 4, 5, 6]


def test_a_trial_that_has_changed_is_shown_as_it_is_now(tmp_path: Path) -> None:
    shown = view(tmp_path)
    shown.show(some())
    running = JournalStorage(JournalFileBackend(str(tmp_path / JOURNAL)))  # of somebody who looks on
    assert len(running.get_all_trials(running.get_study_id_from_name("mine"))) == 6
    shown.add(record(2, miou=0.7, latency_ms=9.0))
    for trials in (loaded(tmp_path), running.get_all_trials(running.get_study_id_from_name("mine"))):
        assert [t.user_attrs["trial"] for t in trials] == [1, 2, 3, 4, 5, 6] and trials[1].values == [0.7, 9.0]
    fewer = some()[:2]
    view(tmp_path).show(fewer)
    assert numbers(tmp_path) == [1, 2]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-40],
        lambda content: content[:20],
        lambda content: content + b'{"op_code": 4, "stu',
        lambda content: b"\x00\xff\n" + content,
        lambda content: content.replace(b'"op_code":0', b'"op_code":77'),
        lambda content: b"SQLite format 3\x00 and more",
        lambda content: b"[]\n",
        lambda content: b"",
    ],
    ids=["torn", "torn header", "torn addition", "garbage", "unknown", "another file", "no object", "empty"],
)
def test_a_damaged_file_is_mended(damage, tmp_path: Path) -> None:
    shown = view(tmp_path)
    shown.show(some()[:4])
    path = tmp_path / JOURNAL
    path.write_bytes(damage(path.read_bytes()))
    view(tmp_path).show(some()[:4])
    assert numbers(tmp_path) == [1, 2, 3, 4]
    path.write_bytes(damage(path.read_bytes()))
    shown.add(some()[4])  # while a study runs
    view(tmp_path).show(some()[:5])  # what is damaged further up is only seen when it is read
    assert sorted(numbers(tmp_path)) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("cut", [1, 40, 5000])
def test_a_torn_end_is_mended_while_a_study_runs(cut: int, tmp_path: Path) -> None:
    shown = view(tmp_path)
    shown.show(some()[:4])
    path = tmp_path / JOURNAL
    path.write_bytes(path.read_bytes()[:-cut])
    shown.add(some()[4])
    shown.add(some()[5])
    assert sorted(numbers(tmp_path)) == [1, 2, 3, 4, 5, 6]


def test_every_torn_end_is_mended(tmp_path: Path) -> None:
    view(tmp_path).show(some()[:2])
    whole = (tmp_path / JOURNAL).read_bytes()
    for length in range(0, len(whole), 97):
        (tmp_path / JOURNAL).write_bytes(whole[:length])
        view(tmp_path).show(some()[:3])
        assert sorted(numbers(tmp_path)) == [1, 2, 3]


def test_a_deleted_file_comes_back(tmp_path: Path) -> None:
    shown = view(tmp_path)
    shown.show(some()[:2])
    (tmp_path / JOURNAL).unlink()
    shown.add(some()[2])
    assert numbers(tmp_path) == [1, 2, 3]


def test_what_others_write_into_the_file_stays(tmp_path: Path) -> None:
    shown = view(tmp_path)
    shown.show(some()[:2])
    storage = JournalStorage(JournalFileBackend(str(tmp_path / JOURNAL)))
    optuna.load_study(study_name="mine", storage=storage).set_user_attr("note", "mine, too")
    shown.add(some()[2])
    view(tmp_path).show(some()[:3])
    assert numbers(tmp_path) == [1, 2, 3]
    assert optuna.load_study(study_name="mine", storage=storage).user_attrs == {"note": "mine, too"}


def test_what_cannot_be_written_is_told_once_and_made_up_for(tmp_path: Path) -> None:
    told: list[str] = []
    shown = view(tmp_path, told)
    shown.show(some()[:1])
    with room_for((tmp_path / JOURNAL).stat().st_size + 100):
        shown.add(some()[1])
        shown.add(some()[2])
    assert len(told) == 1 and told[0].startswith("optuna.journal is behind until it can be written: ")
    shown.add(some()[3])
    assert sorted(numbers(tmp_path)) == [1, 2, 3, 4]
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / JOURNAL).mkdir()
    view(tmp_path / "sub", told).show(some())
    assert len(told) == 2


def test_a_study_keeps_its_view(tmp_path: Path) -> None:
    config = quick(trials=4, budget={"latency_ms": 12})
    run_study(config, tmp_path / "s", work=gated(12))
    records = StudyFolder(tmp_path / "s").records()
    assert {r.state for r in records} == {"complete", "rejected"}

    def shown() -> list[Any]:
        return [(t.user_attrs["trial"], t.state is TrialState.COMPLETE) for t in loaded(tmp_path / "s", config.name)]

    assert shown() == [(r.number, r.trained) for r in records]
    path = tmp_path / "s" / JOURNAL
    path.write_bytes(path.read_bytes()[:-30])
    run_study(config.model_copy(update={"trials": 6}), tmp_path / "s", work=gated(12))
    assert sorted(shown()) == [(r.number, r.trained) for r in StudyFolder(tmp_path / "s").records()]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_the_dashboard_shows_a_study_as_it_grows(tmp_path: Path) -> None:
    pytest.importorskip("optuna_dashboard")
    shown = view(tmp_path)
    shown.show(some()[:4])
    port = _free_port()
    program = Path(sys.executable).with_name("optuna-dashboard")
    command = [str(program), str(tmp_path / JOURNAL), "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=_here(tmp_path)) as process:
        try:
            _wait(port, process)
            assert _get(port, "/dashboard/")[0] == 200
            (study,) = json.loads(_get(port, "/api/studies")[1])["study_summaries"]
            assert (study["study_name"], study["directions"]) == ("mine", ["maximize", "minimize"])
            shown.running(begun(some()[4], 1))
            running = json.loads(_get(port, f"/api/studies/{study['study_id']}?after=0")[1])["trials"][4]
            for each in some()[4:]:
                shown.add(each)
            for _ in range(60):  # it looks at the file anew after some seconds
                detail = json.loads(_get(port, f"/api/studies/{study['study_id']}?after=0")[1])
                if len(detail["trials"]) == 6:
                    break
                time.sleep(0.5)
        finally:
            process.terminate()
    assert running["state"] == "Running" and running["intermediate_values"] == [{"step": 2, "value": 0.1}]
    trials = detail["trials"]
    assert [t["state"] for t in trials] == ["Complete", "Pruned", "Complete", "Fail", "Pruned", "Complete"]
    assert [t.get("values") for t in trials] == [[0.5, 5.0], None, [0.4, 7.0], None, None, [0.3, 4.0]]
    assert trials[0]["intermediate_values"] == [{"step": 2, "value": 0.1}, {"step": 6, "value": 0.3}]
    assert {a["key"]: a["value"] for a in trials[1]["user_attrs"]}["reason"] == "over the budget"
    assert detail["objective_names"] == ["miou", "latency_ms"]


def _here(folder: Path) -> dict[str, str]:
    return os.environ | {"HOME": str(folder)}


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(600):
        try:
            _get(port, "/api/meta")
        except OSError:
            assert process.poll() is None, process.stderr and process.stderr.read().decode()
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the dashboard does not answer")
