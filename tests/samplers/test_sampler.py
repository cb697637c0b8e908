import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segsearch.result import Rung
from segsearch.samplers.sampler import Optuna, seed_of, uniform
from segsearch.space.nodes import Choice, OneOf, Space
from segsearch.space.points import named_point
from segsearch.space.walk import check, contains
from segsearch.study.budget import Budget
from segsearch.study.record import TrialRecord
from tests.engine.builders import record, small, some_point, unified

BUDGET = Budget(latency_ms=10)


def history(count: int) -> list[TrialRecord]:
    """Every third trial over the budget, the others of some quality."""
    return [
        record(i, miou=None if i % 3 == 0 else (i % 7) / 10, latency_ms=15.0 if i % 3 == 0 else 5.0 + i % 4)
        for i in range(count)
    ]


def learner(records: list[TrialRecord], space: Space | None = None) -> Optuna:
    tpe = Optuna(space or unified(), BUDGET)
    for known in records:
        tpe.began(known.number, known.point)
        tpe.ended(known)
    return tpe


def told(known: TrialRecord, space: Space | None = None) -> Any:
    """What Optuna holds of one trial; None if it was not told."""
    trials = learner([known], space)._study.get_trials()
    return trials[0] if trials else None


KNOWN = learner(history(12))


@given(st.integers(0, 2**32 - 1))
def test_what_is_asked_lies_in_the_space_and_among_its_proposals(seed: int) -> None:
    point = KNOWN.ask(seed)
    assert check(unified(), point) == point
    assert point["align_corners"] is False


def test_the_next_point_depends_on_history_and_seed_alone() -> None:
    first, twenty = learner(history(20)).ask(7), learner(history(20))
    twenty.ask(8)
    assert twenty.ask(7) == first
    assert len({tuple(twenty.ask(seed).items()) for seed in range(8)}) == 8
    assert any(KNOWN.ask(seed) != twenty.ask(seed) for seed in range(4))


def test_a_history_of_rejected_trials_alone_is_enough_to_ask() -> None:
    only = learner([record(i, latency_ms=11.0 + i) for i in range(10)])
    assert contains(unified(), only.ask(0)) and only.learnt == 10


def test_rejected_trials_are_told_as_infeasible_and_without_values() -> None:
    trial = told(record(1, latency_ms=15.0))
    assert trial.values is None and trial.state.name == "PRUNED"
    assert trial.constraints == {"latency_ms": pytest.approx(0.5)}


def test_trained_trials_are_told_with_both_values_and_as_feasible() -> None:
    trial = told(record(1, miou=0.4, latency_ms=8.0))
    assert trial.values == [0.4, 8.0] and trial.state.name == "COMPLETE"
    assert trial.constraints == {}


def test_nothing_is_learnt_from_failed_trials() -> None:
    failed = record(1, state="failed", reason="diverged")
    assert told(failed).state.name == "FAIL" and learner([failed]).learnt == 0


def test_a_point_outside_of_the_narrowed_space_is_not_told() -> None:
    outside = record(0, some_point(0), miou=0.5)
    assert not contains(small(), outside.point)
    assert told(outside, small()) is None


def test_a_value_that_this_space_never_proposes_is_not_told() -> None:
    """ResNet-101 is a named point's; searches propose up to 50."""
    for name, proposed in (("sfnet_r101", False), ("sfnet_r18", True)):
        assert (told(record(1, named_point(name).choices, miou=0.5)) is not None) == proposed


def test_fixed_choices_are_no_parameters() -> None:
    point = some_point(3) | {"align_corners": True}
    trial = told(record(0, point, miou=0.5))
    assert trial is not None and "align_corners" not in trial.params


def test_numbers_are_told_by_their_place() -> None:
    assert told(record(0, some_point(3) | {"fusion_width": 48}, miou=0.5)).params["fusion_width"] == 2


def test_seeds_differ_in_every_part() -> None:
    seeds = {seed_of(*parts) for parts in ((0, 1, 2), (1, 1, 2), (0, 2, 2), (0, 1, 3), (0, 12), (1, 2))}
    assert len(seeds) == 6 and all(0 <= seed < 2**32 for seed in seeds)


def learnable() -> tuple[Space, dict[str, float]]:
    """A conditional space where one arm, and in it large numbers, are good."""
    numbers = Choice(options=tuple(range(8)))
    words = Choice(options=tuple("abcd"))
    arms = {"poor": {"x": words, "y": words}, "rich": {"x": numbers, "y": numbers}}
    return Space(name="toy", axes={"arm": OneOf(arms=arms), "z": words}), {"poor": 0.0, "rich": 0.5}


def test_it_learns_in_a_conditional_space() -> None:
    """Asked 25 times in a row it finds better points than uniform draws do, on the mean over seeds."""
    space, base = learnable()

    def quality(point: dict) -> float:
        rich = point["arm"] == "rich"
        return base[point["arm"]] + (point["arm.rich.x"] + point["arm.rich.y"]) / 28 if rich else 0.0

    def search(seed: int, learns: bool) -> float:
        tpe, values = Optuna(space, Budget()), []
        for number in range(25):
            drawn = number < 6 or not learns
            point = uniform(space, seed_of(seed, number)) if drawn else tpe.ask(seed_of(seed, number))
            values.append(quality(point))
            tpe.began(number, point)
            tpe.ended(record(number, miou=values[-1], latency_ms=1.0))
        return math.fsum(values[6:]) / len(values[6:])

    learnt, thrown = (math.fsum(search(seed, learns) for seed in range(4)) / 4 for learns in (True, False))
    assert learnt > thrown + 0.15


def test_a_score_at_the_first_rung_is_told_by_its_epoch() -> None:
    def told_of(*epochs: int) -> Any:
        tpe = Optuna(unified(), BUDGET, rungs=[2, 4])
        rungs = tuple(Rung(steps=epoch, epochs=epoch, miou=epoch / 10) for epoch in epochs)
        known = record(1, miou=0.8, rungs=rungs)
        tpe.began(1, known.point)
        tpe.ended(known)
        return tpe._study.get_trials()[0].values[0]

    assert told_of(1, 2, 4) == 0.2
    assert told_of(1, 3) == told_of() == 0.8, "of a trial that has no score there, the end's"
