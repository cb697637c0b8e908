"""A study that is for another machine: its gate measures there, its training stays here."""

import socket
from pathlib import Path

import pytest

from segsearch.engine.driver import run_study
from segsearch.engine.watch import Silent
from segsearch.errors import InputError, WorkerError
from segsearch.study.config import StudyConfig
from segsearch.study.store import StudyFolder
from tests.engine.studies import quick

from .processes import TOKEN, Running, running


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGSEARCH_TOKEN", TOKEN)


def study(address: object, **changes: object) -> StudyConfig:
    return quick(remote=str(address), backend="onnxruntime", trials=2, **changes)


class Killer(Silent):
    """Kills the worker when the first trial is finished."""

    def __init__(self, there: Running) -> None:
        self._there = there

    def finished(self, record: object) -> None:
        self._there.kill()


def test_the_gate_measures_there_and_a_lost_worker_ends_the_study_resumably(tmp_path: Path) -> None:
    with running(tmp_path) as there:
        with pytest.raises(WorkerError, match=f"worker {there.address}: cannot be reached"):
            run_study(study(there.address), tmp_path / "study", progress=Killer(there))
    assert [r.state for r in StudyFolder(tmp_path / "study").records()] == ["complete"], (
        "nothing is blamed on a network"
    )
    with pytest.raises(WorkerError, match=f"worker {there.address}: cannot be reached: Connection refused"):
        run_study(study(there.address), tmp_path / "study")
    with running(tmp_path) as another:
        outcome = run_study(study(another.address), tmp_path / "study")
        assert (outcome.end, len(outcome.records)) == ("finished", 2)
        with pytest.raises(InputError, match="holds a study with device .* at "):
            run_study(quick(trials=2, backend="onnxruntime"), tmp_path / "study")
    assert {r.latency.machine for r in outcome.records} == {socket.gethostname()}
    assert {r.device for r in outcome.records} == {r.latency.where for r in outcome.records}


def test_a_study_that_cannot_measure_does_not_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="backend: 'eager' runs no exported graph"):
        run_study(quick(remote="127.0.0.1:1"), tmp_path / "study")
    with pytest.raises(WorkerError, match="worker 127.0.0.1:1: cannot be reached"):
        run_study(study("127.0.0.1:1"), tmp_path / "study")
    monkeypatch.delenv("SEGSEARCH_TOKEN")
    with pytest.raises(InputError, match="token: none is given"):
        run_study(study("127.0.0.1:1"), tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_how_it_is_written() -> None:
    written = quick(remote={"address": "jetson:7060", "device": "cuda"}).remote
    assert written is not None and (written.address, written.device) == ("jetson:7060", "cuda")
    assert quick(remote="jetson:7060").remote == type(written)(address="jetson:7060")
    assert quick(remote=None).id == quick().id
    with pytest.raises(InputError, match=r"tiny.yaml.remote.address: '7060' is not an address .allowed: HOST:PORT"):
        quick(remote="7060")
