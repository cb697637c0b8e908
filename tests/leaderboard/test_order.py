import random
from itertools import combinations

import pytest

from segsearch.leaderboard.order import Speed, geometric_mean, kendall_tau, order_of
from segsearch.space.points import Published


def speed(name: str, published: float, measured: float, spread: float = 0.01) -> Speed:
    row = Published(metric="fps", printed=f"{published:g}", where="table 1", size=(64, 128), device="abacus")
    low, high = measured * (1 - spread), measured * (1 + spread)
    return Speed(name=name, paper="p", row=row, measured_fps=measured, low_fps=low, high_fps=high)


@pytest.mark.parametrize(
    ("left", "right", "tau"),
    [
        ([1, 2, 3], [10, 20, 30], 1.0),
        ([1, 2, 3], [3, 2, 1], -1.0),
        ([1, 2, 3, 4], [1, 2, 4, 3], 4 / 6),
        ([1, 2, 2, 3], [1, 2, 3, 4], 5 / (5 * 6) ** 0.5),
        ([12, 2, 1, 12, 2], [1, 4, 7, 1, 0], -0.4714045207910316),
        ([], [], None),
        ([1], [1], None),
        ([1, 1, 1], [1, 2, 3], None),
    ],
)
def test_kendalls_tau(left: list[float], right: list[float], tau: float | None) -> None:
    """By hand; the last but three is the example in scipy's documentation of kendalltau."""
    assert kendall_tau(left, right) == (None if tau is None else pytest.approx(tau))
    assert kendall_tau(right, left) == kendall_tau(left, right)


def test_kendalls_tau_depends_on_order_alone() -> None:
    rng = random.Random(0)
    left, right = ([rng.randint(0, 9) for _ in range(30)] for _ in range(2))
    tau = kendall_tau(left, right)
    assert tau == pytest.approx(kendall_tau([x**3 for x in left], [10 * y - 7 for y in right]))
    assert tau == pytest.approx(-kendall_tau(left, [-y for y in right]))


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
