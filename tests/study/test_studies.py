"""Several studies: listed, shown, compared, merged."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from segsearch.engine.driver import run_study
from segsearch.errors import InputError
from segsearch.lock import in_use, locked
from segsearch.study.budget import Budget
from segsearch.study.compare import compare, differences
from segsearch.study.merge import merge
from segsearch.study.overview import disk_use, overview, studies_in
from segsearch.study.pareto import hypervolume
from segsearch.study.store import StudyFolder
from tests.command import refusal, run
from tests.engine.builders import record
from tests.engine.studies import gated, made_up, points, quick
from tests.test_full_disk import room_for


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two studies of one kind, and one by another recipe."""
    folder = tmp_path_factory.mktemp("studies") / "runs"
    run_study(quick(name="a", trials=4, seed=1), folder / "a", work=gated(14))
    run_study(quick(name="b", trials=5, seed=2), folder / "b", work=gated(14))
    other = quick(name="c", trials=2, recipe={"iterations": 5, "batch_size": 2})
    run_study(other, folder / "c", work=made_up)
    (folder / "no study").mkdir()
    return folder


def test_a_list_has_all_studies_and_tells_of_damaged_ones(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs, tmp_path / "runs")
    (tmp_path / "runs/c/study.json").write_text("{")
    trained = next(r for r in StudyFolder(tmp_path / "runs/b").records() if r.trained)
    (StudyFolder(tmp_path / "runs/b").trial(trained.number) / "result.json").unlink()
    found = studies_in(tmp_path / "runs")
    assert [type(each).__name__ for each in found.values()] == ["Overview", "Overview", "TornError"]
    done = run("study", "list", tmp_path / "runs")
    assert done.returncode == 0 and "4 of 4" in done.stdout and "4 of 5" in done.stdout, done
    assert "damaged: " in done.stdout and "study.json: is not whole JSON" in done.stdout
    plain = json.loads(run("study", "list", tmp_path / "runs", "--json").stdout)
    assert [each.get("state", "damaged") for each in plain] == ["finished", "unfinished", "damaged"]
    assert plain[1]["trials"]["begun"] == 1 and plain[0]["best"]["miou"] > 0
    (tmp_path / "empty").mkdir()
    assert run("study", "list", "empty", cwd=tmp_path).stdout == "empty holds no study\n"
    assert "nowhere: is not a folder" in refusal("study", "list", "nowhere", cwd=tmp_path)


def test_a_study_that_runs_is_told_from_one_that_does_not(runs: Path) -> None:
    assert overview(runs / "a").state == "finished" and not in_use(runs / "a")
    with locked(runs / "a"):
        assert overview(runs / "a").state == "running"
        assert overview(runs / "a").next_command.startswith("segsearch pareto ")
    assert not in_use(runs / "no study")


def test_show_says_what_it_searches_what_it_takes_and_how_to_go_on(runs: Path) -> None:
    done = run("study", "show", runs / "a")
    assert done.returncode == 0 and "sampler tpe, seed 1" in done.stdout and "Pareto front" in done.stdout
    assert f"next: segsearch export {runs / 'a'} --out winner" in done.stdout
    shown = json.loads(run("study", "show", runs / "a", "--json").stdout)
    assert sum(shown["disk_bytes"].values()) == sum(p.stat().st_size for p in (runs / "a").rglob("*") if p.is_file())
    assert shown["trials"]["complete"] == 4
    assert "is not the folder of a study" in refusal("study", "show", runs / "no study")


def test_a_study_of_minutes_is_finished_when_no_time_is_left(tmp_path: Path) -> None:
    run_study(quick(trials=None, minutes=60.0, proposals=3), tmp_path / "s", work=made_up)
    assert overview(tmp_path / "s").state == "unfinished"
    StudyFolder(tmp_path / "s").spend(3599.0)
    assert overview(tmp_path / "s").state == "finished"
    assert run("study", "list", tmp_path).returncode == 0 and run("study", "show", tmp_path / "s").returncode == 0


def test_disk_use_goes_by_kind(tmp_path: Path) -> None:
    for name, size in (
        ("trials/0001/weights.safetensors", 5),
        ("trials/0002/checkpoint.pt", 7),
        ("study.json", 2),
        ("final/0001/seed_0/weights.safetensors", 11),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * size)
    assert disk_use(tmp_path) == {"weights": 5, "checkpoints": 7, "final trainings": 11, "all else": 2}


def test_two_studies_of_one_kind_are_compared_up_to_one_reference(runs: Path) -> None:
    left, right = overview(runs / "a"), overview(runs / "b")
    found = compare(left, right)
    assert set(found.differences) == {"seed", "trials"} and found.apart == ()
    trained = [r for r in (*left.records, *right.records) if r.trained]
    assert found.reference == (min(r.miou for r in trained), max(r.latency_ms for r in trained))
    expected = tuple(hypervolume([(r.miou, r.latency_ms) for r in s.front], found.reference) for s in (left, right))
    assert found.areas == expected
    for beaten, mine, others in zip(found.beaten, (left, right), (right, left), strict=True):
        for each in mine.front:
            beats = any(o.miou >= each.miou and o.latency_ms <= each.latency_ms and o != each for o in others.front)
            same = any((o.miou, o.latency_ms) == (each.miou, each.latency_ms) for o in others.front)
            assert (each.number in beaten) == (beats and not same)
    assert {one.spec_id for one, _ in found.both} == {
        r.spec_id for r in left.records if r.trained and any(o.spec_id == r.spec_id for o in right.records)
    }
    again = compare(left, left)
    assert again.differences == {} and again.beaten == ((), ()) and again.areas is not None
    assert again.areas[0] == again.areas[1]


def test_figures_of_different_things_are_not_compared(runs: Path) -> None:
    left = overview(runs / "a")
    other = left.file.model_copy(update={"device": "another"})
    found = compare(left, dataclasses.replace(left, file=other))
    assert found.apart == ("device",) and found.areas is None and found.beaten == ((), ())


def test_compare_prints_fronts_and_differences(runs: Path) -> None:
    done = run("study", "compare", runs / "a", runs / "c")
    assert done.returncode == 0 and "recipe.iterations" in done.stdout and "hypervolume up to mIoU" in done.stdout, done
    shown = json.loads(run("study", "compare", runs / "a", runs / "b", "--json").stdout)
    assert shown["differences"]["seed"] == [1, 2] and len(shown["hypervolume"]) == 2 and len(shown["fronts"]) == 2


def test_every_setting_of_a_study_is_compared(runs: Path) -> None:
    file = overview(runs / "a").file
    for changes in ({"budget": Budget(fps=3)}, {"sampler": "random"}, {"rungs": (1,)}, {"keep": "all"}):
        changed = file.model_copy(update={"config": file.config.model_copy(update=changes)})
        assert list(differences(file, changed)) == list(changes)


def test_merged_trials_are_numbered_anew_and_searched_on(runs: Path, tmp_path: Path) -> None:
    done = run("study", "merge", runs / "a", runs / "b", "--out", tmp_path / "new" / "both", "--json")
    assert done.returncode == 0, done
    told = json.loads(done.stdout)
    store = StudyFolder(tmp_path / "new" / "both")
    records = store.records()
    before = [StudyFolder(runs / name).records() for name in "ab"]
    specs = {r.spec_id for part in before for r in part}
    assert [r.number for r in records] == list(range(1, told["trials"] + 1)) and {r.spec_id for r in records} == specs
    assert told["twice"] == sum(map(len, before)) - len(specs)
    figures = {r.spec_id: (r.miou, r.seed) for part in reversed(before) for r in part if r.trained}
    assert all(figures[r.spec_id] == (r.miou, r.seed) for r in records if r.trained)
    config = store.read_study().config
    assert (config.name, config.trials) == ("both", 9)
    run_study(config.model_copy(update={"trials": 14}), store.path, work=made_up)
    assert len(set(points(store.path).values())) == len(points(store.path)) == 12, "all that there are"
    assert all(r.trained for r in store.records())


def test_a_trained_trial_stands_for_a_network_that_failed_elsewhere(runs: Path, tmp_path: Path) -> None:
    for name in "ab":
        shutil.copytree(runs / name, tmp_path / name)
        shutil.rmtree(tmp_path / name / "trials")
    left, right = StudyFolder(tmp_path / "a"), StudyFolder(tmp_path / "b")
    point = record(1).point
    left.finish(record(1, point, latency_ms=None, state="failed", reason="killed"))
    right.finish(record(1, point, miou=0.5))
    (right.trial(1) / "weights.safetensors").write_bytes(b"weights")
    found = merge(tmp_path / "a", tmp_path / "b", tmp_path / "c")
    (kept,) = StudyFolder(tmp_path / "c").records()
    assert kept.trained and (found.trials, found.twice) == (1, 1)
    assert (tmp_path / "c/trials/0001/weights.safetensors").read_bytes() == b"weights"


def test_what_does_not_compare_is_not_merged(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    line = refusal("study", "merge", runs / "a", runs / "c", "--out", out)
    assert "c: does not compare with" in line and "recipe.iterations is 5, not 4 (allowed: studies that" in line
    assert "is the same study" in refusal("study", "merge", runs / "a", runs / "a", "--out", out)
    assert "is there already" in refusal("study", "merge", runs / "a", runs / "b", "--out", runs / "c")
    assert "is not the folder of a study" in refusal("study", "merge", runs / "a", runs / "no study", "--out", out)
    with room_for(1000), pytest.raises(InputError, match="cannot be written: "):
        merge(runs / "a", runs / "b", out)
    assert list(tmp_path.iterdir()) == []
