import pytest
from hypothesis import given
from hypothesis import strategies as st

from segsearch.errors import BudgetError, InputError
from segsearch.study.budget import Budget
from segsearch.study.pareto import front
from segsearch.study.pick import PICKS, candidates, check_pick, pick
from segsearch.study.record import TrialRecord
from tests.engine.builders import record

GRID = st.integers(0, 6)
PAIRS = st.lists(st.tuples(GRID, st.integers(1, 7)), min_size=1, max_size=12)


def scored(number: int, miou: float, latency_ms: float, standard_error: float | None = None) -> TrialRecord:
    made = record(number, miou=miou, latency_ms=latency_ms)
    assert made.scores is not None
    return made.model_copy(update={"scores": made.scores.model_copy(update={"standard_error": standard_error})})


@given(PAIRS, st.sampled_from([None, 100.0, 200.0, 400.0, 5000.0]))
def test_candidates_keep_the_budget_or_are_the_fastest(pairs: list[tuple[int, int]], fps: float | None) -> None:
    records = [record(i, miou=m / 10, latency_ms=float(ms)) for i, (m, ms) in enumerate(pairs)]
    found = candidates([*records, record(99, latency_ms=0.1)], Budget(fps=fps))
    inside = [r for r in records if fps is None or r.fps >= fps]
    assert found == inside if inside else [r.latency_ms for r in found] == [min(r.latency_ms for r in records)]


@pytest.mark.parametrize("budget", [Budget(params=999), Budget(macs=10**6 - 1)])
def test_every_limit_of_the_budget_counts(budget: Budget) -> None:
    records = [scored(0, 0.9, 5.0), scored(1, 0.5, 4.0).model_copy(update={"params": 10, "macs": 10})]
    assert [r.number for r in candidates(records, budget)] == [1]


@given(PAIRS, st.floats(0, 0.4))
def test_of_those_within_one_standard_error_the_fastest(pairs: list[tuple[int, int]], error: float) -> None:
    records = [scored(i, m / 10, float(ms), error) for i, (m, ms) in enumerate(pairs)]
    picked = pick(records, "miou")
    best = max(r.miou for r in records)
    near = [r for r in records if r.miou >= best - error]
    assert picked.record in near and picked.record.latency_ms == min(r.latency_ms for r in near)
    assert picked.record in front(records) or any(picked.record.latency_ms == r.latency_ms for r in front(records))
    if picked.best is None:
        assert picked.record.latency_ms == min(r.latency_ms for r in records if r.miou == best)
    else:
        assert picked.best.miou == best and picked.best.latency_ms > picked.record.latency_ms


def test_it_is_the_error_of_the_best_that_counts() -> None:
    """A small, noisy score must not draw better ones down to itself."""
    records = [scored(0, 0.60, 9.0, 0.01), scored(1, 0.595, 8.0, 0.5), scored(2, 0.50, 2.0, 0.5)]
    assert pick(records, "miou").record.number == 1
    assert pick([r for r in records if r.number != 0], "miou").record.number == 2


def test_records_without_an_error_are_told_apart_by_the_last_digit() -> None:
    assert pick([scored(0, 0.5001, 9.0), scored(1, 0.5, 1.0)], "miou").record.number == 0


@given(PAIRS)
def test_the_fastest_is_the_fastest_and_of_equals_the_better(pairs: list[tuple[int, int]]) -> None:
    records = [record(i, miou=m / 10, latency_ms=float(ms)) for i, (m, ms) in enumerate(pairs)]
    found = pick(records, "fastest").record
    assert (found.latency_ms, -found.miou) == min((r.latency_ms, -r.miou) for r in records)


def test_one_is_chosen_by_name_or_id() -> None:
    records = [record(0, miou=0.2, origin="named:fpenet"), record(1, miou=0.9), record(2, latency_ms=1.0)]
    for point, number in (("fpenet", 0), (records[1].spec_id, 1), (records[1].name, 1)):
        assert [r.number for r in candidates(records, Budget(fps=10**6), point)] == [number]
    with pytest.raises(InputError, match="'sfnet' is not among the trained networks"):
        candidates(records, Budget(), "sfnet")
    with pytest.raises(InputError, match="is not among the trained"):
        candidates(records, Budget(), records[2].name)


def test_without_a_trained_network_the_nearest_is_named() -> None:
    with pytest.raises(BudgetError, match=r"no network has been trained yet; the nearest is .* at 8\.00 ms"):
        candidates([record(0, latency_ms=8.0)], Budget(fps=60))
    with pytest.raises(BudgetError, match="no network has been measured"):
        candidates([], Budget())


def test_words_for_picking() -> None:
    assert [check_pick(word) for word in PICKS] == list(PICKS)
    with pytest.raises(InputError, match=r"--pick: 'best' is not known \(allowed: miou, knee, fastest\)"):
        check_pick("best")


def test_a_number_comes_before_a_name_and_a_name_of_several_networks_is_refused() -> None:
    """As points from files of one name in two folders have it, or from a file that is named by a number."""
    names = ("4", "net", "net", "other")
    trained = [record(n, miou=0.5).model_copy(update={"name": name}) for n, name in enumerate(names, 1)]
    found = [candidates(trained, Budget(), key)[0].number for key in ("1", "2", "3", "4", "other", trained[1].spec_id)]
    assert found == [1, 2, 3, 4, 4, 2]
    with pytest.raises(InputError, match=r"net: is the name of several networks \(allowed: their numbers, 2, 3\)"):
        candidates(trained, Budget(), "net")
