"""What may change between two runs of one study, and what may not."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from segsearch.cli.study import pareto, search
from segsearch.engine.driver import run_study
from segsearch.engine.executors.base import Task
from segsearch.engine.watch import Silent
from segsearch.errors import BudgetError, InputError
from segsearch.progress import Report
from segsearch.result import TrialResult
from segsearch.study.config import StudyConfig, at_root, load_study
from segsearch.study.pareto import front
from segsearch.study.store import StudyFolder
from tests.data.samples import save_label, write_folder
from tests.engine.studies import TIMER, gated, made_up, points, quick, study


def written(folder: Path, root: str = "set.yaml", **changes: Any) -> Path:
    """A study's file beside the data that it names."""
    path = folder / "mine.yaml"
    content = {
        "name": "mine",
        "data": {"name": "folder", "root": root, "size": [32, 48]},
        "recipe": {"iterations": 4, "batch_size": 2},
        "timer": TIMER,
        "points": [],
        "threads": 1,
        "trials": 2,
        "confirm": 0,
    }
    path.write_text(yaml.safe_dump(content | changes))
    return path


def untouched(task: Task, report: Report) -> TrialResult:
    raise AssertionError("a finished study ran a trial")


def goes_on(config: StudyConfig, folder: Path) -> bool:
    """Whether a finished study is taken for the same one."""
    return run_study(config, folder, work=untouched).end == "finished"


def test_a_study_and_its_data_may_be_moved_renamed_and_copied(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    write_folder(tmp_path / "a")
    run_study(load_study(written(tmp_path / "a")), tmp_path / "s", work=made_up)
    (tmp_path / "s").rename(tmp_path / "moved s")
    shutil.copytree(tmp_path / "moved s", tmp_path / "copy")
    (tmp_path / "a").rename(tmp_path / "b")
    (tmp_path / "b" / "set.yaml").rename(tmp_path / "b" / "other name.yml")
    assert goes_on(load_study(written(tmp_path / "b", "./other name.yml", name="other")), tmp_path / "moved s")
    assert goes_on(at_root(load_study(tmp_path / "b/mine.yaml"), f"{tmp_path}/b//other name.yml"), tmp_path / "copy")
    assert StudyFolder(tmp_path / "copy").read_study().config.data.root == f"{tmp_path}/b/other name.yml"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"classes": ["car", "road", "sky"]}, ["classes was road 0, car 1, sky 2, is car 0, road 1, sky 2"]),
        ({"ids": [2, 1, 0]}, ["classes was road 0, car 1, sky 2, is road 2"]),
        ({"ignore": [254, 255]}, ["ignore was 255, is 254"]),
        ({"one label": 0}, ["train.labels was "]),
        ({"one image less": 0}, ["train.files was 3 files, ", "is 2 files, ", "; train.labels was "]),
        ({"report": {"images": "images/val", "labels": "labels/val"}}, ["report.files was nothing, is 2 files, "]),
    ],
)
def test_other_data_at_the_same_place_is_refused_by_name(
    changes: dict[str, Any], told: list[str], tmp_path: Path
) -> None:
    write_folder(tmp_path)
    config = load_study(written(tmp_path))
    run_study(config, tmp_path / "s", work=made_up)
    if "one label" in changes:
        save_label(tmp_path / "labels/train/1.png", seed=77)
    elif "one image less" in changes:
        (tmp_path / "images/train/1.png").unlink()
        (tmp_path / "labels/train/1.png").unlink()
    else:
        write_folder(tmp_path, **changes)
    before = (tmp_path / "s/study.json").read_bytes()
    with pytest.raises(InputError) as caught:
        run_study(config, tmp_path / "s", work=untouched)
    line = str(caught.value)
    assert "holds a study with other data (" in line and "--out DIR" in line and "\n" not in line
    assert all(part in line for part in told), line
    assert (tmp_path / "s/study.json").read_bytes() == before


def test_weights_to_begin_with_are_compared_by_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from segsearch.engine import prepare as module

    monkeypatch.setattr(module, "check_fits", lambda *anything: None)  # these are no weights at all
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_folder(tmp_path / folder)
        (tmp_path / folder / "w.pth").write_bytes(b"weights")
    recipe = {"iterations": 4, "batch_size": 2, "pretrained": "w.pth"}
    here, there = (load_study(written(tmp_path / folder, recipe=recipe)) for folder in ("a", "b"))
    assert here.recipe.pretrained == f"{tmp_path}/a/w.pth" and here.recipe.id == there.recipe.id
    run_study(here, tmp_path / "s", work=made_up)
    assert goes_on(there, tmp_path / "s")
    (tmp_path / "b" / "w.pth").write_bytes(b"others")
    with pytest.raises(InputError, match="pretrained was sha256 .*, is sha256 "):
        run_study(there, tmp_path / "s", work=untouched)


def test_a_study_older_than_the_comparison_of_data_gets_it(tmp_path: Path) -> None:
    write_folder(tmp_path)
    config, file = load_study(written(tmp_path)), tmp_path / "s/study.json"
    run_study(config, tmp_path / "s", work=made_up)
    now = json.loads(file.read_text())
    file.write_text(json.dumps({key: value for key, value in now.items() if key != "content"}))
    assert StudyFolder(tmp_path / "s").read_study().content is None
    assert goes_on(config, tmp_path / "s")
    assert json.loads(file.read_text()) == now


def test_relative_paths_begin_at_the_studys_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "studies").mkdir()
    write_folder(tmp_path / "data")
    shutil.copy("spaces/fpenet.yaml", tmp_path / "own.yaml")
    file = written(
        tmp_path / "studies", "../data/set.yaml", space="../own.yaml", points=["fpenet", "p.yaml", "../runs/s#3"]
    )
    monkeypatch.chdir(tmp_path / "data")
    config = load_study(file)
    assert Path(config.data.root).samefile("set.yaml") and Path(config.space).samefile("../own.yaml")
    folder = tmp_path / "studies"
    assert config.points == ("fpenet", f"{folder}/p.yaml", f"{folder}/../runs/s#3")
    monkeypatch.setenv("HOME", str(tmp_path))
    config = load_study(written(folder, "~/data/set.yaml", space="~/own.yaml"))
    assert Path(config.data.root).samefile("set.yaml") and Path(config.space).samefile("../own.yaml")
    missing = written(tmp_path / "studies", "set.yaml")
    with pytest.raises(InputError, match=rf"{folder}/set\.yaml: no such file .*--root PATH"):
        run_study(load_study(missing), tmp_path / "s", work=untouched)
    assert not (tmp_path / "s").exists()


FREE = {"seed": 9, "sampler": "random", "points": ["fpenet"], "startup": 1, "proposals": 50, "name": "other"}


@pytest.mark.parametrize("key", FREE)
def test_what_only_steers_the_proposals_may_change(key: str, tmp_path: Path) -> None:
    size = {"data": {"name": "streets", "size": [96, 192], "train": 4, "val": 2}}
    run_study(study(trials=3, **size), tmp_path, work=made_up)
    before = points(tmp_path)
    outcome = run_study(study(trials=5, **size, **{key: FREE[key]}), tmp_path, work=made_up)
    assert outcome.end == "finished" and len(outcome.records) == 5
    assert points(tmp_path).items() > before.items()


def test_a_trial_keeps_the_seed_that_it_began_with(tmp_path: Path) -> None:
    seeds: list[int] = []

    def stopped(task: Task, report: Report) -> TrialResult:
        seeds.append(task.seed)
        raise KeyboardInterrupt

    for seed in (0, 1):
        run_study(study(seed=seed), tmp_path, work=stopped)
    assert len(seeds) == 2 and len(set(seeds)) == 1


def budgeted(limit_ms: float, **changes: Any) -> dict[str, Any]:
    return {"config": quick(budget={"latency_ms": limit_ms}, **changes), "work": gated(limit_ms)}


def test_a_tighter_budget_filters_and_a_looser_one_takes_them_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loose = run_study(folder=tmp_path, **budgeted(20.0, trials=8))
    before = {p: p.read_bytes() for p in tmp_path.glob("trials/*/result.json")}
    limit = sorted(r.latency_ms for r in loose.records if r.trained)[3]
    tight = run_study(quick(trials=8, budget={"latency_ms": limit}), tmp_path, work=untouched)
    assert tight.end == "finished" and "8 of 8 trained, 4 of them over the budget" in tight.line
    pareto(tmp_path, all_trials=True)
    shown = capsys.readouterr().out
    assert shown.count("over the budget") == 5  # one line counts them
    inside = [r for r in tight.records if r.trained and r.latency_ms <= limit]
    assert front(tight.records, StudyFolder(tmp_path).read_study().config.budget) == front(inside)
    again = run_study(quick(trials=8, budget={"latency_ms": 20.0}), tmp_path, work=untouched)
    assert "over the budget" not in again.line
    assert {p: p.read_bytes() for p in tmp_path.glob("trials/*/result.json")} == before


def test_a_budget_that_no_trained_network_meets_names_the_nearest(tmp_path: Path) -> None:
    run_study(folder=tmp_path, **budgeted(20.0, trials=4))
    with pytest.raises(BudgetError, match=r"none of \d+ networks meets the budget .*allowed 0.10 ms.*raise `trials`"):
        run_study(quick(trials=4, budget={"latency_ms": 0.1}), tmp_path, work=untouched)


def test_a_looser_budget_trains_what_an_earlier_one_rejected(tmp_path: Path) -> None:
    first = run_study(folder=tmp_path, **budgeted(6.0, trials=3))
    rejected = {r.number for r in first.records if r.state == "rejected"}
    limit = sorted(r.latency_ms for r in first.records if r.number in rejected)[len(rejected) // 2]
    again = {r.number for r in first.records if r.number in rejected and r.latency_ms <= limit}
    assert again and again < rejected

    class Heard(Silent):
        began: list[int] = []  # noqa: RUF012
        notes: list[str] = []  # noqa: RUF012

        def started(self, proposal: Any) -> None:
            self.began.append(proposal.number)

        def note(self, line: str) -> None:
            self.notes.append(line)

    looser = run_study(folder=tmp_path, progress=Heard(), **budgeted(limit, trials=3))
    assert set(Heard.began) == again and any(f"{len(again)} rejected networks may" in n for n in Heard.notes)
    assert {r.number for r in looser.records if r.state == "rejected"} == rejected - again
    assert all(r.trained for r in looser.records if r.number in again)
    assert f"{3 + len(again)} trained, 3 wanted" in looser.line
    assert looser.records == tuple(StudyFolder(tmp_path).records())


def test_stopped_while_it_trains_them_it_goes_on_with_them(tmp_path: Path) -> None:
    first = run_study(folder=tmp_path, **budgeted(6.0, trials=3))

    def stopped(task: Task, report: Report) -> TrialResult:
        raise KeyboardInterrupt

    config = budgeted(50.0, trials=3)["config"]
    outcome = run_study(config, tmp_path, work=stopped)
    assert outcome.end == "interrupted" and outcome.records == first.records
    assert all(record.trained for record in run_study(folder=tmp_path, **budgeted(50.0, trials=3)).records)


def test_a_network_that_competes_again_keeps_the_latency_that_was_measured(tmp_path: Path) -> None:
    with pytest.raises(BudgetError):
        run_study(quick(trials=1, proposals=1, budget={"latency_ms": 1e-6}), tmp_path)
    measured = [record.latency for record in StudyFolder(tmp_path).records()]
    outcome = run_study(quick(trials=1, proposals=1), tmp_path)
    assert all(record.trained for record in outcome.records)
    assert [record.latency for record in outcome.records] == measured


def test_fewer_trials_than_there_are_begin_no_more(tmp_path: Path) -> None:
    run_study(study(trials=3), tmp_path, work=made_up)

    def stopped(task: Task, report: Report) -> TrialResult:
        raise KeyboardInterrupt

    run_study(study(trials=4), tmp_path, work=stopped)
    for wanted in (3, 2):
        assert run_study(study(trials=wanted), tmp_path, work=untouched).end == "finished"
    assert "finished (3 trained, 2 wanted, 0 rejected" in run_study(study(trials=2), tmp_path, work=untouched).line
    assert len(run_study(study(trials=5), tmp_path, work=made_up).records) == 5


def test_the_command_goes_on_in_a_studys_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_study(quick(trials=1), tmp_path / "s")
    search("s", out=None, trials=2, seed=None, fps=None, root=None, dry_run=False)
    assert len(points(tmp_path / "s")) == 2 and StudyFolder(Path("s")).read_study().config.trials == 2
    with pytest.raises(InputError, match=r": is a folder \(allowed: a YAML file, or one of camvid_cpu, "):
        search(str(tmp_path), out=None, trials=2, seed=None, fps=None, root=None, dry_run=False)


def test_the_table_is_shown_before_anything_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = run_study(study(trials=3), tmp_path, work=made_up)
    (tmp_path / "trials.csv").mkdir()  # as good as a folder that cannot be written
    with pytest.raises(InputError, match=r"trials\.csv: cannot be written"):
        pareto(tmp_path, all_trials=False)
    assert front(outcome.records)[0].name in capsys.readouterr().out
