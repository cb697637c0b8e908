"""A small study, searched for real, timed again under other protocols."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from segsearch.data.config import DataSpec
from segsearch.data.own import own_data
from segsearch.data.palette import CAMVID_CLASSES
from segsearch.engine.ask import open_study
from segsearch.engine.driver import run_study
from segsearch.errors import DeviceError, InputError
from segsearch.leaderboard.rerank import FOLDER, Reranked, Retimed, rerank, study_protocol
from segsearch.report.rerank import lines, shown, write_rerank
from segsearch.space.walk import every_point
from segsearch.study.pareto import front
from segsearch.study.record import TrialRecord
from segsearch.study.store import StudyFolder
from tests.command import run
from tests.engine.builders import record, small
from tests.engine.studies import made_up, quick

from .boards import protocol


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rerank") / "study"
    assert run_study(quick(trials=4, sampler="random"), folder).end == "finished"
    return folder


def files(folder: Path) -> dict[str, bytes]:
    """All of a study but what `rerank` writes."""
    inside = [p for p in folder.rglob("*") if p.is_file() and FOLDER not in p.relative_to(folder).parts]
    return {str(p.relative_to(folder)): p.read_bytes() for p in inside}


def test_the_studys_own_way_of_measuring_is_taken(study: Path) -> None:
    taken = study_protocol(study)
    config = StudyFolder(study).read_study().config
    assert (taken.size_hw, taken.backend, taken.device) == (config.data.size, config.backend, config.device)
    assert (taken.threads, taken.timer) == (config.threads, config.timer)
    trained = StudyFolder(study).records()[0]
    assert trained.scores is not None and taken.classes == len(trained.scores.iou)
    changed = study_protocol(study, size_hw=(64, 64), threads=2)
    assert (changed.size_hw, changed.threads) == ((64, 64), 2)


def test_all_trained_networks_are_timed_and_the_study_is_untouched(study: Path) -> None:
    before = files(study)
    found = rerank(study, study_protocol(study, size_hw=(64, 64)), all_trials=True)
    assert files(study) == before
    records = StudyFolder(study).records()
    assert {net.record.number for net in found.networks} == {r.number for r in records}
    assert list(found.old_front) == [r.number for r in front(records)]
    assert all(net.again.size_hw == (64, 64) for net in found.networks)
    assert not found.failed and found.ratio > 0
    csv, png = write_rerank(found, study)
    assert csv.parent == png.parent == study / FOLDER and files(study) == before
    assert csv.read_text().count("\n") == 1 + len(records)
    assert png.read_bytes().startswith(b"\x89PNG")


def test_a_file_in_the_way_is_one_line(study: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(study, tmp_path / "study", ignore=shutil.ignore_patterns(FOLDER))
    (copied / FOLDER).write_text("mine")
    with pytest.raises(InputError, match=f"{FOLDER}: is a file, no folder"):
        rerank(copied, study_protocol(copied, size_hw=(64, 64)))
    assert (copied / FOLDER).read_text() == "mine"


@pytest.mark.nightly
def test_the_front_alone_by_default_and_only_once(study: Path) -> None:
    wanted = study_protocol(study, size_hw=(48, 64))
    told: list[str] = []
    found = rerank(study, wanted, note=told.append)
    assert {net.record.number for net in found.networks} == {r.number for r in front(StudyFolder(study).records())}
    assert len(told) == len(found.networks)
    again = rerank(study, wanted, note=told.append)
    assert len(told) == len(found.networks), "what is timed is not timed again"
    assert again == found
    assert "none can" in lines(found)[0]
    more = rerank(study, wanted, all_trials=True, note=told.append)
    assert len(told) == len(more.networks)
    kept = {net.record.number: net.again for net in more.networks}
    assert all(kept[net.record.number] == net.again for net in found.networks)


def test_networks_that_own_code_trained_are_timed_for_the_classes_of_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their scores name no classes."""

    def tell_one(folder: Path, data: DataSpec | None = None) -> None:
        config = quick(trials=1, sampler="random")
        with open_study(config if data is None else config.model_copy(update={"data": data}), folder) as asked:
            trial = asked.ask()
            assert trial is not None
            asked.tell(trial, miou=0.5)

    tell_one(tmp_path / "told")
    assert study_protocol(tmp_path / "told").classes == len(CAMVID_CLASSES)
    assert len(rerank(tmp_path / "told", study_protocol(tmp_path / "told", size_hw=(64, 64))).networks) == 1
    pairs = [(np.zeros((32, 48, 3), np.uint8), np.arange(3).repeat(512).reshape(32, 48))] * 2
    tell_one(tmp_path / "own", own_data("gone", pairs, pairs, classes=["a", "b", "c"], size=(32, 48)))
    assert study_protocol(tmp_path / "own").classes == 3
    monkeypatch.setattr("segsearch.data.own._KNOWN", {})
    elsewhere = run("rerank", "own", cwd=tmp_path)
    assert elsewhere.returncode == 2 and "data gone: is given by a script, and not here" in elsewhere.stderr


def test_no_study_and_nothing_trained(tmp_path: Path, study: Path) -> None:
    with pytest.raises(InputError, match="is not the folder of a study"):
        study_protocol(tmp_path)
    (tmp_path / "study.json").write_bytes((study / "study.json").read_bytes())
    with pytest.raises(InputError, match="has no trained network yet"):
        study_protocol(tmp_path)


def twins(folder: Path) -> list[str]:
    """Two networks whose files have one name."""
    paths = [folder / part / "net.yaml" for part in "ab"]
    for path, point in zip(paths, list(every_point(small()))[:2], strict=True):
        path.parent.mkdir()
        path.write_text(json.dumps(point))
    return list(map(str, paths))


def reranked(*networks: tuple[float, float, float], only_front: bool = False) -> Reranked:
    """Made of (mIoU, the study's ms, the new ms)."""

    def net(number: int, miou: float, old_ms: float, new_ms: float) -> Retimed:
        trial: TrialRecord = record(number, miou=miou, latency_ms=old_ms)
        again = record(number, miou=miou, latency_ms=new_ms).latency
        assert again is not None
        return Retimed(record=trial, again=again)

    made = [net(number, *figures) for number, figures in enumerate(networks, start=1)]
    made.sort(key=lambda n: n.again.median_ms)
    return Reranked(study="s", protocol=protocol(), networks=tuple(made), only_front=only_front, failed={})


def test_what_enters_and_what_leaves() -> None:
    found = reranked((0.5, 5, 50), (0.6, 10, 10), (0.55, 12, 5))
    names = {net.record.number: net.record.name for net in found.networks}
    assert (found.old_front, found.new_front) == ((1, 2), (3, 2))
    assert (found.entered, found.left) == ((names[3],), (names[1],))
    assert found.tau == pytest.approx(-1.0)
    assert lines(found)[:2] == [f"entered the front: {names[3]}", f"left the front: {names[1]}"]
    assert shown(found)


def test_what_is_not_steady_is_told() -> None:
    found = reranked((0.5, 5, 5), (0.6, 10, 10))
    first, second = found.networks
    restless = first.again.model_copy(update={"steady": False, "unsteady": "the reference network moved 9 %"})
    marked = replace(found, networks=(replace(first, again=restless), second))
    assert "! 1 of 2 measurements were not steady" in lines(marked)
    assert not [line for line in lines(found) if "steady" in line]


def test_the_same_latencies_change_nothing() -> None:
    found = reranked((0.5, 5, 5), (0.6, 10, 10), (0.4, 12, 12))
    assert found.entered == found.left == ()
    assert (found.tau, found.ratio) == (1.0, pytest.approx(1.0))


def test_one_network_has_no_order(tmp_path: Path) -> None:
    found = reranked((0.5, 5, 9), only_front=True)
    assert found.tau is None and "tau none" in lines(found)[2]
    assert write_rerank(found, tmp_path)[1].exists()


def test_the_same_networks_give_the_same_picture(tmp_path: Path) -> None:
    found = reranked(*((0.3 + 0.02 * i, 1.0 + i, 12.0 - i) for i in range(8)))
    pictures = [write_rerank(found, tmp_path / name)[1].read_bytes() for name in ("a", "b")]
    assert pictures[0] == pictures[1]


def test_networks_of_one_name_are_all_timed(tmp_path: Path) -> None:
    config = quick(trials=2, points=twins(tmp_path))
    assert run_study(config, tmp_path / "study", work=made_up).end == "finished"
    told: list[str] = []
    wanted = study_protocol(tmp_path / "study", size_hw=(64, 64))
    found = rerank(tmp_path / "study", wanted, all_trials=True, note=told.append)
    assert {(net.record.number, net.record.name) for net in found.networks} == {(1, "net"), (2, "net")}
    assert len(told) == 2 and "net (trial 1)" in told[0] and "net (trial 2)" in told[1]


def test_all_that_cannot_be_timed_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_study(quick(trials=2, points=twins(tmp_path)), tmp_path / "study", work=made_up).end == "finished"

    def refused(*anything: object, **known: object) -> None:
        raise DeviceError("device: cannot")

    monkeypatch.setattr("segsearch.leaderboard.run.latency_of", refused)
    told: list[str] = []
    with pytest.raises(DeviceError, match="none of the networks"):
        rerank(tmp_path / "study", study_protocol(tmp_path / "study"), all_trials=True, note=told.append)
    assert told == ["net (trial 1): device: cannot", "net (trial 2): device: cannot"]
