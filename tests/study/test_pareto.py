import itertools

from hypothesis import given
from hypothesis import strategies as st

from segsearch.study.budget import Budget
from segsearch.study.pareto import front, hypervolume, knee, within_reach
from segsearch.study.record import TrialRecord
from tests.engine.builders import latency, record

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


@given(PAIRS)
def test_of_networks_that_are_fast_enough_the_best_stands_for_all(pairs: list[tuple[int, int]]) -> None:
    records = [record(i, miou=m / 10, latency_ms=float(ms)) for i, (m, ms) in enumerate(pairs)]
    found = front(records, Budget(enough_fps=250))
    clamped = [(m, max(4, ms)) for m, ms in pairs]
    wanted = {p for p in clamped if not any(dominates(q, p) for q in clamped)}
    assert {(round(10 * r.miou), max(4, round(r.latency_ms))) for r in found} == wanted and len(found) == len(wanted)


@given(PAIRS, st.lists(st.floats(0.9, 1.1), min_size=12, max_size=12), st.integers(1, 8))
def test_within_reach_is_any_front_and_any_that_noise_makes(
    pairs: list[tuple[int, int]], noise: list[float], limit_ms: int
) -> None:
    records = [record(i, miou=m / 10, latency_ms=float(ms)) for i, (m, ms) in enumerate(pairs)]
    budget = Budget(latency_ms=limit_ms)
    kept = {r.number for r in within_reach(records, Budget())}
    assert kept >= {r.number for r in front(records)} | {r.number for r in front(records, budget)}
    again = [record(i, miou=m / 10, latency_ms=ms * noise[i]) for i, (m, ms) in enumerate(pairs)]
    assert kept >= {r.number for r in front(again)}


def test_within_reach_leaves_out_what_is_clearly_beaten() -> None:
    records = [record(i, miou=0.5, latency_ms=ms) for i, ms in enumerate((4.0, 4.5, 6.0, 9.0))]
    assert {r.number for r in within_reach(records, Budget())} == {0, 1}
    small = [record(9, miou=0.1, latency_ms=9.0).model_copy(update={"params": 10})]
    assert {r.number for r in within_reach(records + small, Budget(params=20))} == {0, 1, 9}


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


def again(made: TrialRecord, latency_ms: float) -> TrialRecord:
    return made.model_copy(update={"confirmed": latency(latency_ms)})


@given(st.lists(st.tuples(GRID, st.integers(1, 7), st.integers(1, 7)), max_size=12))
def test_figures_of_the_end_count_among_those_that_have_them(triples: list[tuple[int, int, int]]) -> None:
    records = [
        again(record(i, miou=m / 10, latency_ms=float(ms)), float(new)) for i, (m, ms, new) in enumerate(triples)
    ]
    plain = [record(i, miou=m / 10, latency_ms=float(new)) for i, (m, _, new) in enumerate(triples)]
    assert [r.number for r in front(records)] == [r.number for r in front(plain)]


def test_a_slow_end_does_not_put_a_beaten_network_on_the_front() -> None:
    """All that was timed again seems twice as slow: what was not is still beaten by the figures of the search."""
    best, beaten = again(record(1, miou=0.5, latency_ms=10.0), 20.0), record(2, miou=0.4, latency_ms=12.0)
    new = record(3, miou=0.45, latency_ms=8.0)
    assert [r.number for r in front([best, beaten])] == [1]
    assert [r.number for r in front([best, beaten, new])] == [3, 1]


@given(PAIRS)
def test_the_knee_is_the_farthest_above_the_line_between_the_fronts_ends(pairs: list[tuple[int, int]]) -> None:
    """Against plain geometry: the signed area of the triangle that a network makes with the two ends, axes scaled."""
    records = [record(i, miou=m / 10, latency_ms=float(ms)) for i, (m, ms) in enumerate([*pairs, (3, 4)])]
    best = front(records)
    found = knee(records)
    assert found in best
    first, last = best[0], best[-1]

    def scaled(r: TrialRecord) -> tuple[float, float]:
        wide, high = last.latency_ms - first.latency_ms, last.miou - first.miou
        return (r.latency_ms - first.latency_ms) / (wide or 1), (r.miou - first.miou) / (high or 1)

    def area(r: TrialRecord) -> float:
        (x0, y0), (x1, y1), (x, y) = scaled(first), scaled(last), scaled(r)
        return (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)

    assert all(area(r) <= area(found) + 1e-9 for r in best)


def test_the_knee_does_not_depend_on_units_and_a_straight_front_gives_its_best() -> None:
    bend = [(1.0, 0.10), (1.2, 0.30), (3.0, 0.34), (8.0, 0.36)]
    for scale in (1.0, 250.0):
        records = [record(i, miou=miou, latency_ms=scale * ms) for i, (ms, miou) in enumerate(bend)]
        assert knee(records).number == 1
    straight = [record(i, miou=0.1 * (i + 1), latency_ms=float(i + 1)) for i in range(4)]
    assert knee(straight).number == 3 and knee(straight[:2]).number == 1 and knee(straight[:1]).number == 0
