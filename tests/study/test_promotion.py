"""Which paused trainings go on, decided from scores and latencies alone."""

import random
from typing import Any

import pytest
from scipy.stats import kendalltau

from segsearch.result import Rung
from segsearch.study.promotion import (
    BEATEN,
    LEAST_BEATEN,
    MOST_PAUSED,
    PROMOTED,
    SHY,
    Agreement,
    Scored,
    Scores,
    agreements,
    beaten,
    fronts,
    in_order,
    kendall,
    promoted,
)
from segsearch.study.record import TrialRecord
from tests.engine.builders import record


def scored(*pairs: tuple[float, float]) -> list[Scored]:
    return [Scored(number=n, miou=miou, losses=(ms, -miou)) for n, (miou, ms) in enumerate(pairs, 1)]


def some(count: int, seed: int = 0) -> list[Scored]:
    rng = random.Random(seed)
    return scored(*((rng.random(), rng.uniform(1, 20)) for _ in range(count)))


def test_ranks_are_what_nobody_beats_then_what_only_those_beat() -> None:
    best, second, third, equal = (0.5, 2.0), (0.4, 3.0), (0.3, 4.0), (0.5, 2.0)
    ranks = fronts(scored(third, best, (0.9, 9.0), second, equal))
    assert [[s.number for s in rank] for rank in ranks] == [[2, 3], [5], [4], [1]]
    for rank, those in enumerate(ranks[1:]):
        assert all(any(o.miou >= s.miou and o.losses[0] <= s.losses[0] for o in ranks[rank]) for s in those)


def test_within_a_rank_the_first_are_spread_over_it() -> None:
    line = scored(*((k / 10, float(k)) for k in range(1, 10)))
    assert [s.number for s in in_order(line)[:3]] == [9, 1, 5]
    assert [s.number for s in in_order(line, merit=lambda n: -abs(n - 4))[:3]] == [4, 3, 5]


@pytest.mark.parametrize("share", [PROMOTED, SHY])
def test_a_share_goes_on(share: float) -> None:
    for count in range(12):
        among = some(count)
        numbers, gone = {s.number for s in among}, list[int]()
        while (number := promoted(among, numbers - set(gone), len(gone), share)) is not None:
            gone.append(number)
        assert gone == [s.number for s in in_order(among)][: int(count * share + 1e-9)]
    assert promoted(some(3), {1, 2, 3}, 0, PROMOTED) is not None, "a third of three is one"


def test_an_order_that_changes_lets_no_more_go_on_than_the_share() -> None:
    among, gone = some(60), set[int]()
    for count in range(1, 61):
        numbers = {s.number for s in among[:count]}
        while (number := promoted(among[:count], numbers - gone, len(gone), PROMOTED)) is not None:
            assert number in {s.number for s in in_order(among[:count])[: count // 3]}
            gone.add(number)
        assert len(gone) <= count // 3
    assert len(gone) == 20


def test_what_no_order_could_promote_any_more_is_not_kept_and_no_more_than_a_few_are() -> None:
    few = some(LEAST_BEATEN - 1)
    assert beaten(few, [s.number for s in few]) == []
    many = some(9)
    assert set(beaten(many, range(1, 10))) == {s.number for s in in_order(many)[6:]}
    assert 1 - BEATEN >= SHY, "what may go on is kept"
    crowd = some(200)
    kept = set(range(1, 201)) - set(beaten(crowd, range(1, 201)))
    assert len(kept) == MOST_PAUSED and kept == {s.number for s in in_order(crowd)[:MOST_PAUSED]}
    assert set(beaten(crowd, [])) == set()


@pytest.mark.parametrize("seed", range(5))
def test_kendalls_tau_is_scipys(seed: int) -> None:
    rng = random.Random(seed)
    pairs = [(rng.randrange(6) / 6, rng.randrange(6) / 6) for _ in range(9)]
    assert kendall(pairs) == pytest.approx(kendalltau(*zip(*pairs, strict=True)).statistic)
    assert kendall(pairs[:1]) is None and kendall([(0.5, 0.1), (0.5, 0.2)]) is None


def tau_of(left: list[Any], right: list[Any]) -> float | None:
    return kendall(list(zip(left, right, strict=True)))


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
def test_kendalls_tau_by_hand(left: list[float], right: list[float], tau: float | None) -> None:
    """By hand; the last but three is the example in scipy's documentation of kendalltau."""
    assert tau_of(left, right) == (None if tau is None else pytest.approx(tau))
    assert tau_of(right, left) == tau_of(left, right)


def test_kendalls_tau_depends_on_order_alone() -> None:
    rng = random.Random(0)
    left, right = ([rng.randint(0, 9) for _ in range(30)] for _ in range(2))
    tau = tau_of(left, right)
    assert tau == pytest.approx(tau_of([x**3 for x in left], [10 * y - 7 for y in right]))
    assert tau == pytest.approx(-tau_of(left, [-y for y in right]))


def test_promotion_gets_shyer_where_a_rung_says_little_of_the_next() -> None:
    def at(first: float, second: float, final: float, number: int) -> TrialRecord:
        rungs = (Rung(steps=4, epochs=2, miou=first), Rung(steps=8, epochs=4, miou=second))
        return record(number, miou=final, rungs=rungs)

    scores = Scores.of(at(k / 10, k / 10, (k * 5 % 8) / 10, k) for k in range(8))
    first, last = agreements(scores, (2, 4))
    assert (first.tau, first.pairs, first.low, first.share) == (1.0, 8, False, PROMOTED)
    assert last.tau is not None and last.tau < 0.5 and last.low and last.share == SHY
    assert str(first) == "epoch 2 -> epoch 4: tau 1.00 of 8 networks"
    assert str(last).startswith("epoch 4 -> the end: tau ") and str(last).endswith("of 8 networks, low")
    assert not Agreement(rung=2, following=4, pairs=5, tau=-1.0).low, "five networks say too little of the rung itself"
    assert str(agreements(Scores(), (2,))[0]) == "epoch 2 -> the end: tau unknown of 0 networks"
