"""A study's front trained in full: chosen, interrupted, taken up again, refused, exported."""

import dataclasses
import json
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from segsearch.deployment.card import read_card
from segsearch.engine.driver import run_study
from segsearch.engine.executors.ray_cluster import Cluster
from segsearch.engine.executors.ray_study import OnRay
from segsearch.engine.finalize import Finals, finalize, prepare
from segsearch.errors import BudgetError, InputError, MachineError, ProofError, WorkerError
from segsearch.lock import locked
from segsearch.measure.record import LatencyRecord
from segsearch.report.final import _told
from segsearch.run.folder import read_result, read_run
from segsearch.study.budget import Budget
from segsearch.study.final import FinalFile, read_final, seed_folder
from segsearch.study.store import StudyFolder
from segsearch.winner.pool import open_pool
from tests.command import refusal, run
from tests.data.samples import write_camvid
from tests.engine.builders import latency, record, some_point
from tests.engine.studies import made_up, quick
from tests.test_full_disk import room_for

RECIPE = "{epochs: 1, batch_size: 2, scale: [1.0, 1.0]}"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three trained networks whose latencies put two of them on the front for certain."""
    folder = tmp_path_factory.mktemp("final") / "study"
    run_study(quick(trials=3), folder, work=made_up)
    for number, ms in enumerate((5.0, 10.0, 20.0), 1):
        path = folder / f"trials/{number:04d}/result.json"
        plain = json.loads(path.read_text())
        plain["latency"] |= {"median_ms": ms, "p10_ms": ms, "p90_ms": ms}
        miou = 0.1 * number
        plain["scores"] |= {"miou": miou, "iou": dict.fromkeys(plain["scores"]["iou"], miou)}
        path.write_text(json.dumps(plain))
    (folder.parent / "short.yaml").write_text(RECIPE)
    return folder


@pytest.fixture
def folder(study: Path, tmp_path: Path) -> Path:
    shutil.copytree(study, tmp_path / "study")
    return tmp_path / "study"


def prepared(folder: Path, study: Path, **wanted: object) -> Finals:
    """Ready to begin, with latencies that are made up: 2 ms per trial's number."""
    finals = prepare(folder, **{"recipe": str(study.parent / "short.yaml")} | wanted)  # type: ignore[arg-type]
    return dataclasses.replace(finals, time=lambda r: latency(2.0 * r.number, r.spec_id))


@pytest.fixture(scope="module")
def done(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with two finalists of two seeds each."""
    folder = tmp_path_factory.mktemp("done") / "study"
    shutil.copytree(study, folder)
    finalize(prepared(folder, study, top=2, seeds=2))
    return folder


def test_final_trainings_learn_what_the_search_held_back(study: Path, tmp_path: Path) -> None:
    root, folder = write_camvid(tmp_path / "camvid", {"0001TP": 12}), tmp_path / "study"
    data = {"name": "camvid", "root": str(root), "size": [32, 48], "holdout": {"blocks": 3}}
    run_study(quick(data=data, trials=2), folder, work=made_up)
    finalize(prepared(folder, study, top=1, seeds=1, split="official"))
    file = read_final(folder)
    assert file is not None and file.split == prepared(folder, study).file.split == "official"
    trained = read_run(seed_folder(folder, file.finalists[0].trial, 0))
    assert trained.content["train.files"].startswith("12 files") and trained.content["val.files"].startswith("3 files")
    with pytest.raises(InputError, match="holds trainings on the split official, not holdout"):
        prepared(folder, study, split="holdout")
    assert run("export", folder, "--out", tmp_path / "winner", "--format", "onnx").returncode == 0
    assert read_card(tmp_path / "winner").images == 3, "scored on the images of its own training, not the search's"


def test_data_with_one_split_has_no_other(folder: Path, study: Path) -> None:
    with pytest.raises(InputError, match="--split: streets has one way to be divided"):
        prepared(folder, study, split="official")


def test_each_training_is_a_run_and_each_figure_is_kept(done: Path) -> None:
    file = read_final(done)
    assert file is not None and (file.recipe_name, file.seeds, file.recipe.epochs) == ("short", 2, 1)
    assert [finalist.trial for finalist in file.finalists] == [3, 2], "the best, and the knee"
    for finalist in file.finalists:
        assert [trained.seed for trained in finalist.trainings] == [0, 1]
        for trained in finalist.trainings:
            folder = seed_folder(done, finalist.trial, trained.seed)
            result = read_result(folder)
            assert result is not None and result.scores.miou == trained.miou
            assert read_run(folder).spec.id == finalist.spec_id
        assert finalist.latency is not None and finalist.latency.median_ms == 2.0 * finalist.trial
    seeds = {n: {read_run(seed_folder(done, trial, n)).seed for trial in (2, 3)} for n in (0, 1)}
    assert all(len(found) == 1 for found in seeds.values()) and seeds[0] != seeds[1], "alike for all networks"
    assert file.winner in (2, 3)


def test_the_same_call_only_shows_what_is_there(done: Path, study: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in done.glob("final/*/*/*.json")}
    finals = prepared(done, study, top=None, recipe=None)
    assert list(finals.left()) == [] and (finals.file.seeds, finals.file.top) == (2, 2), "as it began"
    assert finalize(finals) == read_final(done)
    assert {path: path.stat().st_mtime_ns for path in done.glob("final/*/*/*.json")} == before


def test_more_networks_and_seeds_add_to_what_is_there(done: Path, study: Path, tmp_path: Path) -> None:
    shutil.copytree(done, tmp_path / "study")
    finals = prepared(tmp_path / "study", study, top=3, seeds=3)
    assert [(r.number, seed) for r, seed in finals.left()] == [(1, 0), (1, 1), (3, 2), (2, 2), (1, 2)]


def test_interrupted_it_goes_on_where_it_was(folder: Path, study: Path, done: Path) -> None:
    steps: list[str] = []

    def stopped(what: str, step: int, total: int) -> None:
        steps.append(what)
        if what.startswith("2 of 4") and step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finalize(prepared(folder, study, top=2, seeds=2), report=stopped)
    half = read_final(folder)
    assert half is not None and half.winner is None and [len(f.trainings) for f in half.finalists] == [1, 0]
    again = finalize(prepared(folder, study, top=None, seeds=None, recipe=None))
    whole = read_final(done)
    assert whole is not None
    assert [[t.miou for t in f.trainings] for f in again.finalists] == [
        [t.miou for t in f.trainings] for f in whole.finalists
    ]
    assert (again.winner, again.tied) == (whole.winner, whole.tied)


def test_a_training_that_diverges_is_written_down_and_does_not_win(folder: Path, study: Path) -> None:
    wild = study.parent / "wild.yaml"
    wild.write_text("{epochs: 3, batch_size: 2, optimizer: sgd, learning_rate: 1.0e+30}")
    file = finalize(prepared(folder, study, top=1, seeds=1, recipe=str(wild)))
    (finalist,) = file.finalists
    assert finalist.miou is None and "number" in (finalist.trainings[0].failure or "") and file.winner is None


def untimed(folder: Path, study: Path, error: Exception, notes: list[str], **wanted: object) -> FinalFile:
    def broken(_: object) -> None:
        raise error

    finals = dataclasses.replace(prepared(folder, study, seeds=1, **wanted), time=broken)  # type: ignore[arg-type]
    return finalize(finals, note=notes.append)


def test_a_network_that_cannot_be_timed_keeps_its_latency_until_it_can(folder: Path, study: Path) -> None:
    notes: list[str] = []
    file = untimed(folder, study, ProofError("the file does something else"), notes, top=2)
    told = "the file does something else"
    assert [(f.latency, f.latency_ms, f.untimed) for f in file.finalists] == [(None, 20.0, told), (None, 10.0, told)]
    assert file.winner in (2, 3) and any(f"keeps the latency that it has: {told}" in note for note in notes)
    assert f"not timed: {told}" in _told(file, file.finalists[0])
    store = StudyFolder(folder)
    pool = open_pool(store, Budget(), "miou", None)
    assert {r.number for r in pool.records} == {2, 3} and all(r.confirmed is None for r in pool.records)
    fewer = prepared(folder, study, top=1, seeds=1).file
    assert [f.untimed for f in fewer.finalists] == [told, told], "what is trained with all seeds is kept"
    timed = finalize(prepared(folder, study, top=2, seeds=1))
    assert [(f.latency_ms, f.untimed) for f in timed.finalists] == [(6.0, None), (4.0, None)]


@pytest.mark.parametrize("error", [WorkerError("box:7000: is not reachable"), MachineError("No space left on device")])
def test_a_machine_that_cannot_time_is_no_network_s_fault(folder: Path, study: Path, error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)):
        untimed(folder, study, error, [], top=1)
    kept = read_final(folder)
    assert kept is not None and kept.winner is None and kept.finalists[0].latency is None
    assert len(kept.finalists[0].trainings) == 1, "what was trained is kept"
    assert finalize(prepared(folder, study, top=1, seeds=1)).finalists[0].latency_ms == 6.0


def test_a_full_disk_while_timing_is_the_machine_s_fault(folder: Path, study: Path) -> None:
    error = InputError("/tmp/network.onnx", "cannot be written: No space left on device")
    error.__cause__ = OSError(28, "No space left on device")
    with pytest.raises(MachineError, match="No space left"):
        untimed(folder, study, error, [], top=1)


def test_an_unsteady_figure_is_kept_where_it_cannot_be_taken_once_more(folder: Path, study: Path) -> None:
    taken = [latency(7.0).model_copy(update={"steady": False, "unsteady": "others were busy"})]

    def once(_: object) -> LatencyRecord:
        if taken:
            return taken.pop()
        raise WorkerError("box:7000: is not reachable")

    finals = dataclasses.replace(prepared(folder, study, top=1, seeds=1), time=once)
    assert finalize(finals).finalists[0].latency_ms == 7.0


def test_a_full_disk_is_one_line_and_it_goes_on_later(folder: Path, study: Path) -> None:
    finals = prepared(folder, study, top=1, seeds=1)
    with room_for(4000), pytest.raises(InputError, match=r"cannot be written: "):
        finalize(finals)
    assert finalize(prepared(folder, study, top=1, seeds=1)).winner == 3


def test_two_at_once_are_refused(folder: Path, study: Path) -> None:
    finals = prepared(folder, study, top=1, seeds=1)
    (folder / "final").mkdir()
    with locked(folder / "final", "finalizing this study"), pytest.raises(InputError, match="is finalizing this study"):
        finalize(finals)


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        ({"top": 9}, r"--top: 9 are asked for, and the front has 3 networks \(allowed: 1 to 3\)"),
        ({"recipe": "strng"}, "did you mean 'strong'"),
        ({"recipe": "nowhere.yaml"}, r"nowhere\.yaml"),
        ({"epochs": 2}, r"holds trainings by short \(id \w+\), not by short \(id \w+\) \(allowed: leave out --recipe"),
        ({"root": "x"}, "--root: the study's data is streets, which lies nowhere"),
    ],
)
def test_what_cannot_be_is_one_line(wanted: dict[str, object], line: str, done: Path, study: Path) -> None:
    with pytest.raises(InputError, match=line):
        prepared(done, study, **wanted)


def test_a_recipe_for_other_networks_is_refused_before_anything_is_trained(folder: Path, study: Path) -> None:
    other = study.parent / "other.yaml"
    (study.parent / "no.safetensors").write_bytes(b"nothing")
    other.write_text("{epochs: 1, batch_size: 2, pretrained: no.safetensors}")
    with pytest.raises(InputError, match=r"no\.safetensors"):
        prepared(folder, study, recipe=str(other))
    assert not (folder / "final").exists()


def test_a_recipe_for_other_classes_is_refused_before_anything_is_trained(
    done: Path, folder: Path, study: Path, tmp_path: Path
) -> None:
    teacher = tmp_path / "teacher"
    shutil.copytree(seed_folder(done, 3, 0), teacher)
    plain = json.loads((teacher / "run.json").read_text())
    plain["classes"] = [f"other {name}" for name in plain["classes"]]
    (teacher / "run.json").write_text(json.dumps(plain))
    (tmp_path / "taught.yaml").write_text("{epochs: 1, batch_size: 2, teacher: ./teacher}")
    with pytest.raises(
        InputError, match=r"recipe\.teacher: .*\(allowed: a network that was trained for the same classes"
    ):
        prepared(folder, study, recipe=str(tmp_path / "taught.yaml"))
    assert not (folder / "final").exists()


def test_a_study_without_trained_networks_is_refused(tmp_path: Path, study: Path) -> None:
    folder = tmp_path / "study"
    store = StudyFolder(folder)
    store.begin(StudyFolder(study).read_study())
    store.finish(record(1, some_point(1)))
    with pytest.raises(BudgetError, match="no network has been trained yet"):
        prepared(folder, study)


def test_a_pool_to_export_from_has_the_seeds_nearest_the_mean(done: Path) -> None:
    file, store = read_final(done), StudyFolder(done)
    assert file is not None
    pool = open_pool(store, Budget(), "miou", None)
    assert {r.number for r in pool.records} == {2, 3} and pool.pick(pool.records).record.number == file.winner
    for each in pool.records:
        finalist = file.of(each.number)
        assert finalist is not None and finalist.middle is not None
        folder = seed_folder(done, each.number, finalist.middle.seed)
        assert pool.weights[each.number] == folder / "weights.safetensors"
        assert (each.miou, each.seed) == (finalist.middle.miou, read_run(folder).seed)
        assert (pool.miou(each), each.latency_ms) == (finalist.miou, 2.0 * each.number)
    assert "trained in full by short; 2 seeds reach a mean mIoU of" in pool.told(pool.records[0])
    assert [r.number for r in open_pool(store, Budget(latency_ms=5), "miou", None).records] == [2]
    assert [r.number for r in open_pool(store, Budget(), "miou", "3").records] == [3]


def test_a_winner_whose_final_weights_are_gone_is_told_of(done: Path, tmp_path: Path) -> None:
    shutil.copytree(done, tmp_path / "study")
    store, file = StudyFolder(tmp_path / "study"), read_final(done)
    assert file is not None and file.winner is not None
    open_pool(store, Budget(), "miou", None).weights[file.winner].unlink()
    pool = open_pool(store, Budget(), "miou", None)
    assert [r.number for r in pool.gone] == [file.winner] and {r.number for r in pool.records} == {2, 3} - {file.winner}


def test_what_was_not_trained_in_full_is_exported_as_the_search_trained_it(done: Path) -> None:
    store = StudyFolder(done)
    weights = store.trial(1) / "weights.safetensors"
    weights.write_bytes(b"")
    try:
        pool = open_pool(store, Budget(), "miou", "1")
        assert pool.weights == {1: weights} and pool.retrained(pool.records[0]) is None
        assert pool.told(pool.records[0]) == "trained by the study"
    finally:
        weights.unlink()


@pytest.mark.nightly
def test_export_takes_the_winner_with_the_seed_nearest_the_mean(done: Path, tmp_path: Path) -> None:
    file = read_final(done)
    assert file is not None and file.winner is not None
    winner = file.of(file.winner)
    assert winner is not None and winner.middle is not None
    result = run("export", done, "--out", tmp_path / "out", "--format", "onnx")
    assert result.returncode == 0, result.stderr
    card = read_card(tmp_path / "out")
    assert card.retrained is not None and card.retrained.miou == winner.miou and card.retrained.seeds == 2
    assert (card.spec, card.miou) == (winner.spec_id, winner.middle.miou)
    assert card.seed == read_run(seed_folder(done, winner.trial, winner.middle.seed)).seed
    assert "weights: trained in full by short; 2 seeds reach a mean mIoU of" in result.stdout
    assert card.weights in (tmp_path / "out" / "MODEL_CARD.md").read_text()
    again = run("export", done, "--out", tmp_path / "again", "--format", "onnx", "--json")
    assert json.loads(again.stdout)["spec"] == winner.spec_id


def test_pareto_shows_final_figures_beside_those_of_the_search(done: Path) -> None:
    shown = run("pareto", done)
    assert shown.returncode == 0 and "final figures by short" in shown.stdout
    rows = json.loads(run("pareto", done, "--json").stdout)
    file = read_final(done)
    assert file is not None
    finals = {row["number"]: row["final_miou"] for row in rows}
    assert all(finals[f.trial] == pytest.approx(f.miou) for f in file.finalists) and finals[1] is None


def test_the_command_plans_without_writing_and_refuses_in_one_line(folder: Path, study: Path) -> None:
    before = sorted(folder.rglob("*"))
    recipe = study.parent / "short.yaml"
    done = run("finalize", folder, "--top", "2", "--recipe", recipe, "--dry-run")
    assert "6 trainings to do, 3 seeds of each network" in done.stdout and sorted(folder.rglob("*")) == before, done
    assert "is not the folder of a study" in refusal("finalize", "nowhere", cwd=folder)
    assert "--top: 4 are asked for" in refusal("finalize", folder, "--top", "4")


@pytest.mark.nightly
def test_the_command_trains_times_and_names_a_winner(folder: Path, study: Path) -> None:
    done = run("finalize", folder, "--top", "1", "--seeds", "2", "--recipe", study.parent / "short.yaml", "--json")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert (shown["winner"], shown["tau"]) == (3, None)
    assert all(len(f["latency"]["process_medians_ms"]) == 3 for f in shown["finalists"])
    assert "2 of 2: " in done.stderr
    assert len(list(folder.glob("final/*/seed_*/curves.png"))) == 2


def on_ray(finals: Finals, **heard: object) -> FinalFile:
    with closing(OnRay(finals.config, keep_seconds=0.0)) as site:
        return finalize(finals, site=site, **heard)  # type: ignore[arg-type]


@pytest.mark.nightly
def test_side_by_side_on_a_ray_the_figures_are_the_same(folder: Path, study: Path, done: Path, a_ray: Cluster) -> None:
    """Stopped after the first training, and gone on with."""
    notes: list[str] = []

    def stopped(what: str, step: int, total: int) -> None:
        if any("mIoU" in line for line in notes):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        on_ray(prepared(folder, study, top=2, seeds=2), report=stopped, note=notes.append)
    half = read_final(folder)
    assert half is not None and 0 < sum(len(f.trainings) for f in half.finalists) < 4 and half.winner is None
    again, whole = on_ray(prepared(folder, study, top=None, seeds=None, recipe=None)), read_final(done)
    assert whole is not None and (again.winner, again.tied) == (whole.winner, whole.tied)
    for one, other in zip(again.finalists, whole.finalists, strict=True):
        assert [(t.seed, t.miou) for t in one.trainings] == [(t.seed, t.miou) for t in other.trainings]
    for path in done.glob("final/*/*/[!.]*"):
        assert (folder / path.relative_to(done)).exists(), path.name
    assert notes[0].startswith("Ray has 1 node, 2 trainings at once")


def test_what_diverges_on_a_ray_is_written_down(folder: Path, study: Path, a_ray: Cluster) -> None:
    wild = study.parent / "wilder.yaml"
    wild.write_text("{epochs: 3, batch_size: 2, optimizer: sgd, learning_rate: 1.0e+30}")
    file = on_ray(prepared(folder, study, top=1, seeds=1, recipe=str(wild)))
    assert "number" in (file.finalists[0].trainings[0].failure or "") and file.winner is None


def test_an_address_without_a_ray_is_refused(folder: Path) -> None:
    assert "--address: is that of a Ray" in refusal("finalize", folder, "--address", "127.0.0.1:1")
