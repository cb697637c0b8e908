"""Studies on a real Ray of this machine: what comes back, what is lost, and what it does to a study."""

import json
import os
import signal
import socket
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from segsearch.engine.driver import run_study
from segsearch.engine.executors.parcel import packed, unpack
from segsearch.engine.executors.ray_cluster import Cluster
from segsearch.engine.executors.ray_study import OnRay, StudyWork
from segsearch.engine.prepare import prepare
from segsearch.engine.watch import Silent
from segsearch.errors import DeviceError, InputError
from segsearch.result import TrialResult
from segsearch.samplers.shortlist import SHORTLIST
from segsearch.study.config import StudyConfig, parse_study
from segsearch.study.machines import Resources
from segsearch.study.outcome import StudyOutcome
from segsearch.study_files import CHECKPOINT, LATENCY, PROPOSAL, WEIGHTS
from tests.engine.staged import STEPS, Crowd, Dying, Hanging, Slow, staged
from tests.engine.studies import TIMER, points, quick, study

pytestmark = pytest.mark.usefixtures("a_ray")


class Heard(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.stages: set[tuple[int, str]] = set()

    def note(self, line: str) -> None:
        self.notes.append(line)

    def stage(self, number: int, what: str, done: int, total: int) -> None:
        self.stages.add((number, what))


def config(**changes: Any) -> StudyConfig:
    """Proposals that depend on numbers alone, so that the order in which results come decides nothing."""
    return study(sampler="random", **changes)


def on_ray(
    config: StudyConfig, folder: Path, work: Any = staged, heard: Silent | None = None, keep: float = 60
) -> StudyOutcome:
    with closing(OnRay(config, keep_seconds=keep)) as site:
        return run_study(config, folder, progress=heard, work=work, site=site)


def test_networks_are_measured_here_before_they_become_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segsearch.samplers.shortlist.SHARE", 1e9)
    outcome = on_ray(study(trials=8, sampler="pareto", startup=2, shortlist=3), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / SHORTLIST).read_text().splitlines()]
    chosen = [record for record in outcome.records if record.spec_id in {line["spec_id"] for line in lines}]
    assert outcome.end == "finished" and len(lines) > len(chosen) > 0
    assert not {line["number"] for line in lines} - set(range(1, len(outcome.records) + 1))


def marks(tmp_path: Path) -> Path:
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder


def test_a_study_goes_from_serial_to_ray_and_back(tmp_path: Path) -> None:
    heard = Heard()
    run_study(config(trials=2), tmp_path / "mixed", work=staged)
    outcome = on_ray(config(trials=6), tmp_path / "mixed", heard=heard)
    assert outcome.end == "finished" and sum(record.trained for record in outcome.records) == 6
    assert {number for number, _ in heard.stages} <= {3, 4, 5, 6}
    assert heard.notes[0].startswith("Ray has 1 node, 2 trainings at once; latency is measured in this process")
    run_study(config(trials=8), tmp_path / "mixed", work=staged)
    run_study(config(trials=8), tmp_path / "serial", work=staged)
    assert points(tmp_path / "mixed") == points(tmp_path / "serial")


def test_a_training_that_reports_keeps_its_processor(tmp_path: Path) -> None:
    crowd = Crowd(marks(tmp_path))
    outcome = on_ray(config(trials=5), tmp_path / "s", crowd)
    assert outcome.end == "finished"
    assert set(Path(crowd.folder + ".txt").read_text().split()) == {"1", "2"}, "more trainings at once than processors"


@pytest.mark.nightly
def test_a_killed_process_costs_what_came_after_its_last_checkpoint(tmp_path: Path) -> None:
    heard = Heard()
    dying = Dying(marks(tmp_path), kept=tmp_path / "s")
    outcome = on_ray(config(trials=3), tmp_path / "s", dying, heard, keep=0.1)
    assert all(record.trained for record in outcome.records) and len(outcome.records) == 3
    assert outcome.records[0].notes == ("began at step 5",)
    assert "trial 1: its process was killed; it goes on from its last state" in heard.notes


@pytest.mark.nightly
def test_a_network_that_kills_its_process_again_has_failed_and_the_study_goes_on(tmp_path: Path) -> None:
    outcome = on_ray(config(trials=2), tmp_path / "s", Dying(marks(tmp_path), times=9))
    assert [record.state for record in outcome.records] == ["failed", "complete", "complete"]
    assert "its process was killed, 2 times with no progress in between" in str(outcome.records[0].reason)


@pytest.mark.nightly
def test_a_silent_process_is_given_up(tmp_path: Path) -> None:
    heard = Heard()
    outcome = on_ray(config(trials=2, resources={"silence": 2}), tmp_path / "s", Hanging(marks(tmp_path)), heard)
    assert all(record.trained for record in outcome.records)
    assert "trial 1: was not heard of for 2 s; it goes on from its last state" in heard.notes


class Impatient(Heard):
    """Sends Ctrl-C when the first report of a training comes."""

    def stage(self, number: int, what: str, done: int, total: int) -> None:
        if what == "train" and not self.stages:
            signal.raise_signal(signal.SIGINT)
        super().stage(number, what, done, total)


@pytest.mark.nightly
def test_an_interrupt_brings_the_state_back(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    outcome = on_ray(config(trials=1), folder, Slow(marks(tmp_path)), Impatient())
    assert outcome.end == "interrupted" and outcome.exit_code == 130
    assert (folder / "trials/0001" / CHECKPOINT).read_text() == "3"
    outcome = run_study(config(trials=1), folder, work=staged)
    assert outcome.records[0].notes == ("began at step 3",)


def test_a_mistake_of_ours_is_raised_here(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        on_ray(config(trials=2), tmp_path / "s", wrong)
    assert "in wrong" in str(caught.value.__notes__)


def wrong(task: Any, report: Any) -> TrialResult:
    return staged(task, report) if task.stage == "measure" else 1 / 0  # type: ignore[return-value]


def test_the_last_machine_that_refuses_ends_the_study(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such image"):
        on_ray(config(trials=2), tmp_path / "s", refusing)


def refusing(task: Any, report: Any) -> TrialResult:
    if task.stage == "train":
        raise InputError("photo.png", "no such image")
    return staged(task, report)


@pytest.mark.nightly
def test_a_real_network_trains_to_the_same_scores(tmp_path: Path) -> None:
    one = quick(trials=1, sampler="random", timer={**TIMER, "blocks": 1, "retakes": 0})
    with closing(OnRay(one)) as site:
        (ours,) = run_study(one, tmp_path / "ray", site=site).records
    (serial,) = run_study(one, tmp_path / "serial").records
    assert ours.spec_id == serial.spec_id and ours.scores == serial.scores
    names = {path.name for path in (tmp_path / "ray/trials/0001").iterdir()}
    assert {LATENCY, WEIGHTS} < names and CHECKPOINT not in names


def test_a_local_ray_listens_on_loopback_with_a_token(a_ray: Cluster) -> None:
    listening = list[str]()
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):  # Ray's come and go
            connections = process.net_connections("tcp")
            listening += [each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN]
    assert listening and {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
    assert os.environ["RAY_AUTH_MODE"] == "token" and len(os.environ["RAY_AUTH_TOKEN"]) == 64


def test_its_processes_are_as_important_as_this_one(a_ray: Cluster) -> None:
    import ray

    assert ray.get(ray.remote(lambda: os.nice(0)).remote()) == os.nice(0)


def test_what_no_node_has_is_refused(a_ray: Cluster) -> None:
    with pytest.raises(DeviceError, match="Ray has no node with 64 cpus: its nodes have 2 cpus and 0 gpus"):
        Cluster(None, Resources(cpus=64).on("cpu"))


def test_where_no_ray_is_there_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(InputError, match=f"--address: no Ray answers at {address}: .*ray start --head"):
        OnRay(config(), address)
    with pytest.raises(InputError, match="HOST:PORT"):
        OnRay(config(), "somewhere")


def test_other_data_on_a_machine_is_named() -> None:
    ready = prepare(config())
    for content, refusal in ((ready.file.content, None), ((ready.file.content or {}) | {"classes": "cat"}, "classes")):
        work = StudyWork(ready.config.model_dump_json(), content, "another machine")
        if refusal is None:
            assert work.open(root=None).size_hw == (32, 48)
        else:
            with pytest.raises(InputError, match=f"holds other data .{refusal} is .*, not cat"):
                work.open(root=None)


def test_a_gpu_study_takes_a_gpu_for_each_training_unless_it_says_otherwise() -> None:
    assert Resources().on("cuda:1").gpus == 1 and Resources().on("cpu").gpus == 0
    half = parse_study({**study().model_dump(mode="json"), "resources": {"cpus": 2, "gpus": 0.5}}, "s").resources
    assert half.on("cuda").fit_in({"CPU": 7, "GPU": 2}) == 3 and half.threads == 2
    assert half.fit_in({"CPU": 64, "GPU": 2}) == 4 and half.fit_in({"CPU": 64}) == 0


def test_a_parcel_holds_what_a_stage_leaves_and_nothing_else(tmp_path: Path) -> None:
    for name in (LATENCY, CHECKPOINT, PROPOSAL, ".x.part"):
        (tmp_path / name).write_text(name)
    parcel = packed(tmp_path)
    assert parcel == {LATENCY: LATENCY.encode(), CHECKPOINT: CHECKPOINT.encode()}
    unpack(parcel, tmp_path / "there")
    assert packed(tmp_path / "there") == parcel
    assert STEPS == 10
