"""Other objectives than mIoU and latency: one front by them, whoever asks for it."""

import itertools
import json
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from segsearch.engine.driver import run_study
from segsearch.engine.executors.base import Task
from segsearch.engine.live import JOURNAL
from segsearch.errors import InputError
from segsearch.progress import Report
from segsearch.result import TrialResult
from segsearch.study.budget import Budget
from segsearch.study.compare import compare
from segsearch.study.config import parse_study
from segsearch.study.final import spread
from segsearch.study.gate import gate
from segsearch.study.overview import overview
from segsearch.study.pareto import front, hypervolume, knee, within_reach
from segsearch.study.promotion import Scores, fronts
from segsearch.study.record import TrialRecord
from segsearch.study.store import StudyFolder
from tests.command import run
from tests.engine.builders import latency, record, result
from tests.engine.studies import luck, quick

THREE = Budget().towards(("miou", "latency_ms", "params"))
POINTS = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 5), st.integers(1, 5)), max_size=12)


def some(points: list[tuple[int, int, int]]) -> list[TrialRecord]:
    return [record(n, miou=m / 10, latency_ms=float(ms), params=p) for n, (m, ms, p) in enumerate(points)]


def unbeaten(points: list[tuple[int, int, int]]) -> set[tuple[int, int, int]]:
    def beats(a: tuple[int, int, int], b: tuple[int, int, int]) -> bool:
        return a != b and a[0] >= b[0] and a[1] <= b[1] and a[2] <= b[2]

    return {p for p in points if not any(beats(q, p) for q in points)}


@settings(max_examples=25)
@given(POINTS)
def test_a_front_of_three_is_what_nothing_dominates(points: list[tuple[int, int, int]]) -> None:
    records = some(points)
    found = front(records, THREE)
    assert len(found) == len({points[r.number] for r in found})
    assert {points[r.number] for r in found} == unbeaten(points)
    assert [r.latency_ms for r in found] == sorted(r.latency_ms for r in found)
    assert {r.number for r in within_reach(records, THREE)} >= {r.number for r in found}
    ranks = fronts(Scores.of(records, THREE).of_rung(None))  # type: ignore[arg-type]  # the end
    assert not ranks or {points[each.number] for each in ranks[0]} == unbeaten(points)


@settings(max_examples=50)
@given(POINTS)
def test_a_hypervolume_of_three_counts_the_dominated_cells(points: list[tuple[int, int, int]]) -> None:
    cells = itertools.product(range(4), range(5), range(5))
    inside = sum(any(m > x and ms <= y and p <= z for m, ms, p in points) for x, y, z in cells)
    assert hypervolume(points, (0, 5, 5)) == inside


def test_the_knee_and_the_spread_look_at_all_objectives() -> None:
    ends = [(0, 1, 1), (4, 5, 5)]
    small, quick_one = (3, 5, 1), (3, 1, 5)
    assert knee(some([*ends, small]), THREE).number == 2
    assert knee(some([*ends, (2, 2, 2), quick_one]), THREE).number == 3
    assert [r.number for r in spread(some([*ends, small]), THREE, 3)] == [1, 2, 0]


def test_a_cost_that_is_not_known_is_the_worst() -> None:
    aims = Budget().towards(("miou", "memory_mib"))
    known, unknown = record(1, miou=0.5), record(2, miou=0.5)
    assert known.latency is not None
    known = known.model_copy(update={"latency": known.latency.model_copy(update={"memory_mib": 9.0})})
    assert [r.number for r in front([unknown, known], aims)] == [1]


def test_the_gate_refuses_a_network_that_takes_too_much_memory() -> None:
    taken = latency(5.0).model_copy(update={"memory_mib": 12.0})
    said = gate(Budget(latency_ms=10, memory_mib=8), 1, 1, [taken], None)
    assert said.verdict == "reject" and said.reason == "12 MiB of memory, allowed 8 MiB" and said.latency == taken
    assert gate(Budget(memory_mib=12), 1, 1, [taken], None).verdict == "train"
    assert gate(Budget(memory_mib=8), 1, 1, [latency(5.0)], None).verdict == "train", "what is not known"
    heavy = record(1, miou=0.5).model_copy(update={"latency": taken})
    assert heavy.meets(Budget(memory_mib=12)) and not heavy.meets(Budget(memory_mib=8))


def test_a_study_file_names_them_in_any_order_and_keeps_them() -> None:
    config = quick(objectives=["params", "miou"], budget={"fps": 20})
    assert config.objectives == config.budget.objectives == ("miou", "params")
    again = parse_study(json.loads(config.model_dump_json(exclude_unset=True)), "again")
    assert again == config and again.budget.objectives == config.objectives
    assert quick().budget.objectives == ("miou", "latency_ms")


@pytest.mark.parametrize("wrong", [["miou"], ["latency_ms", "params"], ["miou", "params", "params"], []])
def test_objectives_that_cannot_be_are_refused(wrong: list[str]) -> None:
    with pytest.raises(InputError, match=r"tiny.yaml.objectives: .* must be miou and one or more of latency_ms"):
        quick(objectives=wrong)


def test_a_name_that_is_not_known_is_refused() -> None:
    with pytest.raises(InputError, match=r"objectives\[1\]: 'flops' is not known"):
        quick(objectives=["miou", "flops"])


def sized(task: Task, report: Report) -> TrialResult:
    """Make up a score, a latency and a size that depend on the network alone."""
    name = task.spec.id
    params = 1 + int(10**6 * luck(name + "p"))
    return result(task.proposal.point, miou=luck(name), latency_ms=1 + 20 * luck(name + "ms"), params=params)


def journal(folder: Path) -> optuna.Study:
    return optuna.load_study(study_name="tiny", storage=JournalStorage(JournalFileBackend(str(folder / JOURNAL))))


@pytest.mark.parametrize(
    ("sampler", "trials"), [("pareto", 8), ("tpe", 8), ("nsga2", 8), pytest.param("gp", 4, marks=pytest.mark.nightly)]
)
def test_every_sampler_searches_by_three(sampler: str, trials: int, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"sampler": sampler, "trials": trials, "objectives": ["miou", "latency_ms", "params"]}
    outcome = run_study(quick(**changes, budget={"params": 900_000}), tmp_path, work=sized)
    assert sum(r.trained for r in outcome.records) == trials
    assert {r.origin for r in outcome.records} == {"random", "sampler"} or sampler == "pareto"
    assert journal(tmp_path).metric_names == ["miou", "latency_ms", "params"]


def test_one_front_in_table_file_picture_and_journal_and_another_when_it_is_asked_for(tmp_path: Path) -> None:
    folder, aims = tmp_path / "study", ["miou", "latency_ms", "params"]
    run_study(quick(sampler="random", trials=10, objectives=aims), folder, work=sized)
    records = StudyFolder(folder).records()
    best = {r.number for r in front(records, THREE)}
    assert best > {r.number for r in front(records)}, "the third objective has let networks in"
    done = run("pareto", str(folder), "--json")
    assert {row["number"] for row in json.loads(done.stdout)} == best
    done = run("pareto", str(folder))
    assert done.returncode == 0 and "Pareto front by miou, latency_ms, params" in done.stdout
    assert (folder / "pareto.png").exists()
    growth = json.loads((folder / "analysis.json").read_text())["growth"]
    assert list(growth["reference"]) == aims and growth["hypervolume"] == sorted(growth["hypervolume"])
    assert {t.user_attrs["trial"] for t in journal(folder).best_trials} == best
    run_study(quick(sampler="random", trials=10), folder, work=sized)  # the same study, by its usual objectives
    assert journal(folder).metric_names == ["miou", "latency_ms"]
    assert {t.user_attrs["trial"] for t in journal(folder).best_trials} == {r.number for r in front(records)}


def test_studies_are_compared_by_the_objectives_of_both(tmp_path: Path) -> None:
    for name, aims in (("one", ["miou", "params"]), ("two", ["miou", "latency_ms", "params"])):
        run_study(quick(sampler="random", trials=6, objectives=aims), tmp_path / name, work=sized)
    found = compare(overview(tmp_path / "one"), overview(tmp_path / "two"))
    assert found.objectives == ("miou", "params") and not found.apart
    assert found.reference is not None and found.areas is not None and found.areas[0] == pytest.approx(found.areas[1])
    assert list(found.as_plain()["reference"]) == ["miou", "params"]
