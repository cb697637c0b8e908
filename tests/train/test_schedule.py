import pytest
from hypothesis import given
from hypothesis import strategies as st

from segsearch.train.schedule import poly


def test_known_values() -> None:
    assert poly(0, 100, base=0.01, power=0.9) == 0.01
    assert poly(50, 100, base=0.01, power=0.9) == pytest.approx(0.01 * 0.5**0.9)
    assert poly(99, 100, base=0.01, power=0.9) == pytest.approx(0.01 * 0.01**0.9)
    assert poly(99, 100, base=0.01, power=0.0) == 0.01


def test_warmup_is_linear_and_ends() -> None:
    rates = [poly(step, 1000, base=1.0, power=0.0, warmup=4) for step in range(6)]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])


@given(total=st.integers(1, 500), power=st.floats(0, 3), warmup=st.integers(0, 50))
def test_never_zero_never_above_base_and_falls_after_warmup(total: int, power: float, warmup: int) -> None:
    rates = [poly(step, total, base=0.1, power=power, warmup=warmup) for step in range(total)]
    assert all(0 < rate <= 0.1 for rate in rates)
    assert all(late <= early for early, late in zip(rates[warmup:], rates[warmup + 1 :], strict=False))
