import pytest
from hypothesis import given
from hypothesis import strategies as st

from segsearch.errors import InputError
from segsearch.study.budget import Budget, short


def test_the_tighter_of_fps_and_latency_holds() -> None:
    assert Budget(fps=50, latency_ms=10).limit_ms == 10
    assert Budget(fps=200, latency_ms=10).limit_ms == 5
    assert Budget(params=5).limit_ms is None


def test_faster_than_enough_counts_as_enough() -> None:
    budget = Budget(fps=50, enough_fps=200)
    assert [budget.worth("latency_ms", ms) for ms in (1.0, 5.0, 7.0)] == [5.0, 5.0, 7.0]
    assert budget.worth("params", 1.0) == Budget().worth("latency_ms", 1.0) == 1.0
    assert budget.aims == Budget(enough_fps=200) and budget.refusal(None, None, 1.0) is None
    assert str(budget) == "50 FPS (20.00 ms), 200 FPS are enough"
    assert (budget.at_fps(100).enough_fps, budget.at_fps(300).enough_fps) == (200, None)
    with pytest.raises(InputError, match="budget: enough_fps 50 must be more than the 50 needed"):
        Budget.parse({"latency_ms": 20, "enough_fps": 50}, "budget")


def test_no_limit_refuses_nothing() -> None:
    assert Budget().refusal(10**12, 10**15, 1e6) is None
    assert Budget().excess(10**12, 10**15, 1e6) == {}


@given(st.floats(0.1, 100), st.integers(1, 100), st.integers(1, 100))
def test_refused_exactly_if_something_is_over(latency_ms: float, params: int, macs: int) -> None:
    budget = Budget(latency_ms=10, params=50, macs=70)
    over = latency_ms > 10 or params > 50 or macs > 70
    assert (budget.refusal(params, macs, latency_ms) is not None) == over
    assert any(v > 0 for v in budget.excess(params, macs, latency_ms).values()) == over


def test_every_limit_is_told_even_before_it_is_known() -> None:
    excess = Budget(latency_ms=10, params=50, macs=70).excess(100, 70, None)
    assert excess == {"latency_ms": 0.0, "params": 1.0, "macs": 0.0}


def test_a_refusal_says_value_and_limit() -> None:
    assert Budget(fps=100).refusal(1, 1, 20.0) == "20.00 ms (50.0 FPS), allowed 10.00 ms (100.0 FPS)"
    assert Budget(params=10**6, macs=10**9).refusal(2_500_000, 2 * 10**9, None) == (
        "2.5M parameters, allowed 1M; 2G MACs, allowed 1G"
    )


@pytest.mark.parametrize("field", ["fps", "latency_ms", "params", "macs"])
def test_limits_are_positive(field: str) -> None:
    with pytest.raises(InputError, match=f"budget.{field}"):
        Budget.parse({field: 0}, "budget")


def test_written_for_people() -> None:
    assert str(Budget(fps=60, params=5_000_000)) == "60 FPS (16.67 ms), 5M parameters"
    assert str(Budget()) == "no limit"
    assert [short(n) for n in (12, 1200, 5_700_000_000)] == ["12", "1.2K", "5.7G"]


def test_what_just_meets_a_limit_passes_and_so_does_what_is_not_known_yet() -> None:
    budget = Budget(latency_ms=10, params=100, macs=1000)
    assert budget.refusal(100, 1000, 10.0) is None
    assert budget.refusal(100, 1000, None) is None
    assert budget.refusal(101, 1000, None) is not None
