import random
from itertools import combinations

import pytest

from segsearch.leaderboard.order import Speed, geometric_mean, order_of
from segsearch.space.points import Published


def speed(name: str, published: float, measured: float, spread: float = 0.01) -> Speed:
    row = Published(metric="fps", printed=f"{published:g}", where="table 1", size=(64, 128), device="abacus")
    low, high = measured * (1 - spread), measured * (1 + spread)
    return Speed(name=name, paper="p", row=row, measured_fps=measured, low_fps=low, high_fps=high)


def test_pairs_that_swap_are_named_the_worst_first() -> None:
    speeds = [speed("a", 100, 9), speed("b", 50, 10), speed("c", 40, 18), speed("d", 10, 1)]
    order = order_of("t", speeds)
    assert [(s.faster.name, s.slower.name) for s in order.swaps] == [("a", "c"), ("b", "c"), ("a", "b")]
    worst = order.swaps[0]
    assert (worst.published_ratio, worst.measured_ratio, worst.factor) == (2.5, 0.5, 5.0)
    assert (order.agreeing, order.tied) == (3, 0)
    assert order.tau == 0.0


def test_ties_are_no_swaps() -> None:
    order = order_of("t", [speed("a", 100, 9), speed("b", 100, 10), speed("c", 90, 9)])
    assert order.tied == 2
    assert order.swaps == () and order.agreeing == 1


def test_a_swap_within_the_spread_is_not_clear() -> None:
    def clear(spread: float) -> bool:
        return order_of("t", [speed("a", 2, 10, spread), speed("b", 1, 11, spread)]).swaps[0].clear

    assert clear(0.01) and not clear(0.1)


def test_tau_is_the_pairs_that_hold_less_those_that_swap() -> None:
    rng = random.Random(1)
    speeds = [speed(str(i), 1 + i, rng.random()) for i in range(12)]
    order = order_of("t", speeds)
    pairs = len(list(combinations(speeds, 2)))
    assert order.agreeing + len(order.swaps) == pairs
    assert order.tau == pytest.approx((order.agreeing - len(order.swaps)) / pairs)


def test_geometric_mean() -> None:
    assert geometric_mean([2, 8]) == pytest.approx(4)
    assert geometric_mean([5]) == pytest.approx(5)
