import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segsearch.errors import BudgetError
from segsearch.search.pareto import best_within, front, hypervolume

from .builders import record

GRID = st.integers(0, 6)
PAIRS = st.lists(st.tuples(GRID, st.integers(1, 7)), max_size=12)


def dominates(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return a[0] >= b[0] and a[1] <= b[1] and a != b


@given(PAIRS)
def test_front_is_what_nothing_dominates(pairs: list[tuple[int, int]]) -> None:
    records = [record(i, miou=m / 10, latency_ms=float(ms)) for i, (m, ms) in enumerate(pairs)]
    records.append(record(99, latency_ms=0.5))
    wanted = {p for p in pairs if not any(dominates(q, p) for q in pairs)}
    found = front(records)
    assert [(round(10 * r.miou), round(r.latency_ms)) for r in found] == sorted(wanted, key=lambda p: p[1])
    for earlier, later in itertools.pairwise(found):
        assert earlier.latency_ms < later.latency_ms and earlier.miou < later.miou


def test_of_equals_the_earliest_stands_for_all() -> None:
    assert [r.number for r in front([record(2, miou=0.5), record(1, miou=0.5)])] == [1]


@given(PAIRS, st.integers(1, 8))
def test_hypervolume_counts_the_dominated_cells(pairs: list[tuple[int, int]], worst_ms: int) -> None:
    """On whole numbers the area is the number of unit cells with a pair at or beyond their far corner."""
    cells = [
        (m, ms)
        for m in range(7)
        for ms in range(worst_ms)
        if any(miou > m and latency_ms <= ms for miou, latency_ms in pairs)
    ]
    assert hypervolume(pairs, (0, worst_ms)) == len(cells)


@given(PAIRS, st.tuples(GRID, st.integers(1, 7)))
def test_one_more_never_lessens_the_hypervolume(pairs: list[tuple[int, int]], more: tuple[int, int]) -> None:
    assert hypervolume([*pairs, more], (0, 8)) >= hypervolume(pairs, (0, 8))


@given(PAIRS, st.sampled_from([None, 100.0, 200.0, 400.0]))
def test_best_within_is_the_best_of_those_fast_enough(pairs: list[tuple[int, int]], fps: float | None) -> None:
    records = [record(i, miou=m / 10, latency_ms=float(ms)) for i, (m, ms) in enumerate(pairs)]
    inside = [r for r in records if fps is None or 1000 / r.latency_ms >= fps]
    if not inside:
        with pytest.raises(BudgetError):
            best_within(records, fps)
        return
    best = best_within(records, fps)
    assert best in inside
    assert all((r.miou, -r.latency_ms) <= (best.miou, -best.latency_ms) for r in inside)


def test_best_within_names_the_nearest() -> None:
    records = [record(0, miou=0.9, latency_ms=40.0), record(1, miou=0.2, latency_ms=20.0), record(2, latency_ms=1.0)]
    nearest = records[1]
    with pytest.raises(BudgetError) as caught:
        best_within(records, 60)
    line = str(caught.value)
    assert "60 FPS" in line and nearest.spec_id in line and "20.00 ms" in line and "50.0 FPS" in line
    assert "\n" not in line


def test_best_within_says_when_nothing_is_trained() -> None:
    with pytest.raises(BudgetError, match=r"no network has been trained yet; the nearest is .* at 8\.00 ms"):
        best_within([record(0, latency_ms=8.0)], 60)
    with pytest.raises(BudgetError, match="no network has been measured"):
        best_within([])
