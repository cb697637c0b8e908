"""The comparison of found networks with published ones: its order of work, its statistics and its rules."""

import shutil
from dataclasses import replace
from pathlib import Path

import flagship
import numpy as np
import pandas as pd
import pytest
import torch
from flagship_compare import Network, difference, drawn_images, fastest, front, met, most_accurate
from flagship_jobs import FLAGSHIP, SCRATCH, TRACKS, Place, Trained, finished, trainings
from flagship_points import write_points
from flagship_results import (
    COST,
    IMPORTANCE,
    LATENCY,
    RUNS,
    importance_of,
    keep_studies,
    pack_studies,
    timed,
    unpack_studies,
)
from flagship_tables import compare, comparison_page, comparison_rows, write_tables
from torch import nn
from trainings import Job, keep_weights, next_job, run_jobs

from segsearch.measure.machine import cpu_name
from segsearch.study.analysis import analyse
from segsearch.study.store import StudyFolder
from segsearch.study_files import RESULT, WEIGHTS
from segsearch.training.recipes import load_recipe
from segsearch.training.weights import WeightFacts, load_weights, save_weights

IMAGES, CLASSES = 40, 3
TABLES = ("networks.csv", "comparison.csv", "comparison.md", "cost.md", "importance.md")


def network(name: str, ms: float, percent: float, seeds: int = 3, noise: float = 0.0) -> Network:
    """Every class is right in so many percent of 1000 pixels; ``noise`` moves each image and seed by so many points."""
    chance = np.random.default_rng(len(name))
    moved = percent + noise * chance.standard_normal((seeds, IMAGES, CLASSES))
    hits = np.round(10 * moved).astype(np.int64)
    return Network(name=name, latency_ms=ms, hits=hits, unions=np.full_like(hits, 1000))


def test_a_draw_has_as_many_images_as_there_are_and_keeps_neighbours() -> None:
    often = drawn_images(IMAGES, 500, np.random.default_rng(0))
    assert often.shape == (500, IMAGES) and (often.sum(1) == IMAGES).all()
    assert often.mean(0) == pytest.approx(np.ones(IMAGES), abs=0.25)
    neighbours = np.corrcoef(often[:, 10], often[:, 11])[0, 1]
    assert neighbours > 0.7 > abs(np.corrcoef(often[:, 10], often[:, 30])[0, 1])


def test_the_interval_is_of_the_difference_and_pairs_the_images() -> None:
    hard = np.linspace(-30, 30, IMAGES).round().astype(np.int64)[None, :, None] * 10
    one, other = network("a", 5, 52.0), network("b", 5, 50.0)
    one, other = (Network(name=n.name, latency_ms=5, hits=n.hits + hard, unions=n.unions) for n in (one, other))
    found = difference(one, other)
    assert (found.points, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0)), "hard images are hard for both"


def test_seeds_that_differ_widen_the_interval() -> None:
    steady, other = network("a", 5, 52.0), network("b", 5, 50.0)
    apart = steady.hits + 10 * np.array([-4, 0, 4])[:, None, None]
    unsteady = Network(name="c", latency_ms=5, hits=apart, unions=steady.unions)
    assert difference(steady, other).low > 1.9 and difference(unsteady, other).low < 0
    assert steady.standard_error == pytest.approx(0) and unsteady.standard_error == pytest.approx(4 / 3**0.5)
    assert network("d", 5, 50.0, seeds=1).standard_error is None


def test_a_class_that_nobody_labels_or_predicts_is_left_out() -> None:
    plain = network("a", 5, 50.0)
    hits, unions = plain.hits.copy(), plain.unions.copy()
    hits[..., 2], unions[..., 2] = 0, 0
    assert Network(name="b", latency_ms=5, hits=hits, unions=unions).miou == pytest.approx(50.0)


def test_the_rules_of_the_comparison() -> None:
    paper = network("paper", 10.0, 50.0)
    named = {"fast": (5.0, 48.0), "equal": (10.0, 51.5), "middle": (7.0, 50.5), "slow": (20.0, 60.0)}
    found = [difference(network(name, *figures), paper) for name, figures in named.items()]
    first, second, goal = most_accurate(found), fastest(found), met(found)
    assert first is not None and second is not None and goal is not None
    assert (first.found.name, second.found.name, goal.found.name) == ("equal", "middle", "equal")
    assert [d.ahead for d in found] == [False, True, False, False], "the slow one is no rival"
    assert [d.quicker for d in found] == [False, False, True, False]
    assert most_accurate(found[3:]) is None and fastest(found[:1]) is None and met(found[:1]) is None


def test_the_tables_say_which_network_is_set_beside_which() -> None:
    networks = {
        "yardstick": [network("fpenet", 10.0, 50.0, seeds=1), network("sgcpnet2", 3.0, 45.0)],
        "first": [network("first_1", 5.0, 52.0), network("first_2", 12.0, 55.0)],
        "second": [],
        "third": [],
    }
    compared = compare(networks)
    rows = comparison_rows(compared)
    assert rows.found.fillna("none").tolist() == ["first_1", "first_1", "none", "first_1"], (
        "none is as fast as sgcpnet2"
    )
    page = "\n".join(comparison_page(compared))
    assert "| `fpenet` | 50.0 | 10.00 | `first_1` | 52.0 ± 0.0 | 5.00 | +2.0 (+2.0 to +2.0)* | 50 % |" in page
    assert "| SGCPNet | `sgcpnet2` | first | not met |  |  |" in page
    both = compare(networks | {"second": [network("second_1", 2.0, 46.0)]})
    assert "| SGCPNet | `sgcpnet2` | second | `second_1` | +1.0" in "\n".join(comparison_page(both))


@pytest.mark.skipif(not (FLAGSHIP / "results" / LATENCY).exists(), reason="the comparison has no stored records yet")
def test_the_stored_tables_are_those_of_the_records(tmp_path: Path) -> None:
    results = shutil.copytree(FLAGSHIP / "results", tmp_path / "results")
    rows = write_tables(results)
    for name in TABLES:
        assert (results / name).read_text() == (FLAGSHIP / "results" / name).read_text()
    assert SCRATCH.points is not None
    write_points(results, rows, tmp_path / "found.yaml")
    assert (tmp_path / "found.yaml").read_text() == SCRATCH.points.read_text()


@pytest.mark.skipif(not (FLAGSHIP / "results" / COST).exists(), reason="the comparison has no stored records yet")
def test_the_stored_studies_say_what_they_cost_and_which_choices_matter(tmp_path: Path) -> None:
    place = Place(protocol=SCRATCH, root="there", out=tmp_path)
    unpack_studies(place)
    keep_studies(place, tmp_path)
    for name in (COST, IMPORTANCE):
        assert (tmp_path / name).read_text() == (FLAGSHIP / "results" / name).read_text()


@pytest.mark.skipif(not (FLAGSHIP / "results" / COST).exists(), reason="the comparison has no stored records yet")
def test_studies_on_a_slower_host_are_analysed_as_if_on_the_same(tmp_path: Path) -> None:
    place = Place(protocol=SCRATCH, root="there", out=tmp_path)
    unpack_studies(place)
    store = StudyFolder(tmp_path / "third")
    budget, records = store.read_study().config.budget, store.records()
    slower = budget.model_copy(update={"latency_ms": 3 * budget.latency_ms, "enough_fps": budget.enough_fps / 3})
    late = [
        record.model_copy(
            update={"latency": record.quoted.model_copy(update={"median_ms": 3 * record.latency_ms}), "confirmed": None}
        )
        for record in records
        if record.quoted is not None
    ]
    halves = [(slower, late[::2]), (budget, [r for r in records if r.quoted is not None][1::2])]
    assert importance_of(halves) == analyse(records, budget).importance != {}


def test_a_lead_that_may_be_chance_meets_no_goal() -> None:
    paper = network("paper", 10.0, 50.0, noise=15.0)
    lead = difference(network("found", 9.0, 51.5, noise=15.0), paper)
    assert lead.low < 0 < lead.high and not lead.ahead


def test_the_front() -> None:
    networks = [network("a", 5, 40), network("b", 6, 39), network("c", 7, 45), network("d", 7, 44)]
    assert [n.name for n in front(networks)] == ["a", "c"]


def test_one_seed_of_all_comes_before_the_second_of_any(tmp_path: Path) -> None:
    place = Place(protocol=SCRATCH, root="there", out=tmp_path)
    names = [job.name for _, job in trainings(place)]
    points = SCRATCH.yardstick
    assert names[: len(points)] == [f"{point}_seed0" for point in points]
    studies = ["search", "control", "second", "third"]
    studies += [f"final_{name}" for name in studies]
    assert names[len(points) :][:8] == studies
    assert names[len(points) + 8 :] == [f"{p}_seed{n}" for n in (1, 2) for p in points if p not in SCRATCH.one_seed]
    words = next(job for _, job in trainings(place)).words()
    assert "--split official --root there --recipe strong --epochs 16 --seed 0" in " ".join(words)


def test_the_imagenet_track_trains_other_points_by_another_recipe(tmp_path: Path) -> None:
    place = Place(protocol=TRACKS["imagenet"], root="there", out=tmp_path)
    words = " ".join(next(job for _, job in trainings(place)).words())
    assert "imagenet/lite0_sgcpnet.yaml --data camvid" in words and "imagenet/strong_imagenet.yaml --epochs 16" in words
    shipped, ours = (load_recipe(name, "camvid") for name in ("strong", place.named(place.protocol.recipe)))
    assert ours == shipped.model_copy(update={"pretrained": "imagenet"})
    scratch = replace(place, protocol=TRACKS["imagenet_necks_from_scratch"])
    assert "--recipe strong --epochs 16" in " ".join(next(job for _, job in trainings(scratch)).words())


@pytest.mark.skipif(not (FLAGSHIP / "results" / COST).exists(), reason="the comparison has no stored records yet")
def test_a_network_that_a_search_was_given_is_no_find(tmp_path: Path) -> None:
    place = Place(protocol=SCRATCH, root="there", out=tmp_path)
    unpack_studies(place)
    for result in (tmp_path / "second" / "final").glob(f"*/*/{RESULT}"):
        (result.parent / WEIGHTS).touch()
    kept = {path.name.rpartition("_seed")[0] for path in (FLAGSHIP / "results" / RUNS).glob("second_*")}
    assert (tmp_path / "second" / "final" / "0001").is_dir(), "sgcpnet1, which was given, is on the front"
    assert {run.network for run in finished(place)} == kept and "second_1" not in kept


def test_weights_are_kept_whole_or_halved_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (nn.Sequential(nn.Conv2d(8, 64, 3), nn.BatchNorm2d(64)) for _ in range(2))
    one[1].running_var.fill_(1e6)  # more than float16 can tell
    save_weights(one, tmp_path / "whole", WeightFacts(point="mine"))
    size = (tmp_path / "whole").stat().st_size
    for limit, tolerance in ((size + 1, 0.0), (size - 1, 1e-3), (size // 2, None)):
        monkeypatch.setattr("trainings.LARGEST_WEIGHTS", limit)
        keep_weights(tmp_path / "whole", tmp_path / str(limit))
        assert (tmp_path / str(limit)).exists() is (tolerance is not None)
        if tolerance is not None:
            assert load_weights(other, tmp_path / str(limit)).point == "mine"
            torch.testing.assert_close(other.state_dict(), one.state_dict(), rtol=tolerance, atol=tolerance)
            assert (tmp_path / str(limit)).stat().st_size < limit


def test_a_job_waits_for_what_it_needs() -> None:
    first, second = Job(name="final", words=list, after=("search",)), Job(name="more", words=list)
    assert next_job([first, second], {"other"}) is second
    assert next_job([first, second], {"search"}) is first
    assert next_job([first], ()) is None


def test_jobs_run_in_order_and_what_needs_a_failed_one_is_left_out(tmp_path: Path) -> None:
    jobs = [
        Job(name="good", words=lambda: ["--version"]),
        Job(name="bad", words=lambda: ["no-such-verb"]),
        Job(name="later", words=lambda: ["--version"], after=("bad",)),
    ]
    ended: list[str] = []
    assert not run_jobs(jobs, tmp_path, at_once=1, finished=ended.append)
    assert ended == ["good"] and not (tmp_path / "later.log").exists()
    assert "no-such-verb" in (tmp_path / "bad.log").read_text()
    assert run_jobs(jobs[:1], tmp_path, at_once=1) and not run_jobs(jobs[:1], tmp_path, at_once=1, minutes=0)


def test_a_study_goes_on_elsewhere_without_its_weights_and_paths(tmp_path: Path) -> None:
    """Marks and records are packed, each path in them stands for the other machine's own."""
    stored = replace(SCRATCH, results=tmp_path / "results")
    here = Place(protocol=stored, root="/mnt/camvid", out=tmp_path / "here")
    study, marks = here.out / "search" / "trials" / "0001", here.out / "done"
    study.mkdir(parents=True)
    marks.mkdir()
    (study / "result.json").write_text(f'{{"root": "/mnt/camvid", "at": "{here.out}", "space": "{FLAGSHIP}/x"}}')
    (study / "weights.safetensors").write_bytes(b"large")
    (marks / "search").touch()
    pack_studies(here)
    there = Place(protocol=stored, root="/data/camvid", out=tmp_path / "there")
    jobs = [job for _, job in trainings(there)]
    assert {job.name for job in jobs} - {job.name for job in flagship.missing(there, jobs)} == {"search"}
    unpack_studies(there)
    text = (there.out / "search" / "trials" / "0001" / "result.json").read_text()
    assert text == f'{{"root": "/data/camvid", "at": "{there.out}", "space": "{FLAGSHIP}/x"}}'
    assert (there.out / "done" / "search").exists() and not list(there.out.rglob("*.safetensors"))
    (there.out / "search" / "trials" / "0001" / "result.json").write_text("newer")
    unpack_studies(there)
    assert (there.out / "search" / "trials" / "0001" / "result.json").read_text() == "newer"
    packed = (stored.results / "search.zip").read_bytes()
    pack_studies(here)
    assert (stored.results / "search.zip").read_bytes() == packed


def test_further_seeds_leave_the_latencies_as_they_are_and_other_networks_or_processors_do_not(tmp_path: Path) -> None:
    run = Trained(kind="yardstick", network="fpenet", seed=1, folder=tmp_path)
    assert not timed([run], tmp_path)
    for device, network, same in (
        (cpu_name(), "fpenet", True),
        (cpu_name(), "sgcpnet1", False),
        ("x", "fpenet", False),
    ):
        pd.DataFrame({"network": [network], "device": [device]}).to_csv(tmp_path / LATENCY)
        assert timed([run], tmp_path) == same


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole way on a few drawn streets."""
    out = tmp_path_factory.mktemp("flagship")
    with pytest.raises(SystemExit, match="^0$"):
        flagship.main(["--smoke", "--runs", str(out)])
    return out / "results"


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_the_whole_way_on_drawn_streets(results: Path) -> None:
    networks = pd.read_csv(results / "networks.csv")
    # of the second and the third search the finalists may all be networks that they were given
    assert set(networks.kind) >= {"yardstick", "first", "control"} and networks.latency_ms.gt(0).all()
    assert all(list((results.parent / study / "final").rglob(RESULT)) for study in ("search", "second", "third"))
    assert networks.groupby("network").seed.nunique()[["sgcpnet2", "fpenet"]].tolist() == [2, 1]
    assert networks.file_agrees.min() >= 0.999
    assert (results / "front.png").read_bytes().startswith(b"\x89PNG")
    assert "sgcpnet2" in (results / "comparison.md").read_text() and " measured, " in (results / "cost.md").read_text()
    for kept in (results / "runs").iterdir():
        assert str(results.parent) not in (kept / "run.json").read_text(), "a path of this machine"


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_final_trainings_of_studies_that_ran_elsewhere(tmp_path: Path) -> None:
    for stages, out in ((["search", "control", "second", "third"], "here"), (["final"], "there")):
        (tmp_path / "there").mkdir(exist_ok=True)
        with pytest.raises(SystemExit, match="^0$"):
            flagship.main(["--smoke", "--runs", str(tmp_path / out), "--stages", *stages])
        if out == "here":
            shutil.move(tmp_path / "here" / "results", tmp_path / "there" / "results")
            shutil.rmtree(tmp_path / "here")
    assert list((tmp_path / "there" / "search" / "final").rglob("weights.safetensors"))


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_tables_come_from_the_records_alone(results: Path) -> None:
    before = {name: (results / name).read_text() for name in TABLES}
    for name in TABLES:
        (results / name).unlink()
    flagship.main(["--smoke", "--runs", str(results.parent), "--tables"])
    assert {name: (results / name).read_text() for name in TABLES} == before
