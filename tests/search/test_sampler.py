import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segsearch.search.budget import Budget
from segsearch.search.record import TrialRecord
from segsearch.search.sampler import ask, seed_of, tell, uniform
from segsearch.space.nodes import Choice, OneOf, Space
from segsearch.space.points import named_point
from segsearch.space.walk import check, contains

from .builders import record, small, some_point, unified

BUDGET = Budget(latency_ms=10)


def history(count: int) -> list[TrialRecord]:
    """Every third trial over the budget, the others of some quality."""
    return [
        record(i, miou=None if i % 3 == 0 else (i % 7) / 10, latency_ms=15.0 if i % 3 == 0 else 5.0 + i % 4)
        for i in range(count)
    ]


def told(count: int) -> list:
    return [tell(unified(), BUDGET, r) for r in history(count)]


@given(st.integers(0, 2**32 - 1))
def test_what_is_asked_lies_in_the_space_and_among_its_proposals(seed: int) -> None:
    point = ask(unified(), told(12), seed)
    assert check(unified(), point) == point
    assert point["align_corners"] is False


def test_the_next_point_depends_on_history_and_seed_alone() -> None:
    first = ask(unified(), told(20), 7)
    ask(unified(), told(20), 8)
    assert ask(unified(), told(20), 7) == first
    assert len({tuple(ask(unified(), told(20), seed).items()) for seed in range(8)}) == 8
    assert any(ask(unified(), told(10), seed) != ask(unified(), told(20), seed) for seed in range(4))


def test_a_history_of_rejected_trials_alone_is_enough_to_ask() -> None:
    only = [tell(unified(), BUDGET, record(i, latency_ms=11.0 + i)) for i in range(10)]
    assert contains(unified(), ask(unified(), only, 0))


def test_rejected_trials_are_told_as_infeasible_and_without_values() -> None:
    trial = tell(unified(), BUDGET, record(1, latency_ms=15.0))
    assert trial.values is None and trial.state.name == "PRUNED"
    assert trial.constraints == {"latency_ms": pytest.approx(0.5)}


def test_trained_trials_are_told_with_both_values_and_as_feasible() -> None:
    trial = tell(unified(), BUDGET, record(1, miou=0.4, latency_ms=8.0))
    assert trial.values == [0.4, 8.0] and trial.state.name == "COMPLETE"
    assert trial.constraints == {"latency_ms": pytest.approx(-0.2)}


def test_failed_trials_are_not_told() -> None:
    assert tell(unified(), BUDGET, record(1, state="failed", reason="diverged")) is None


def test_a_point_outside_of_the_narrowed_space_is_not_told() -> None:
    outside = record(0, some_point(0), miou=0.5)
    assert not contains(small(), outside.point)
    assert tell(small(), BUDGET, outside) is None


def test_a_value_that_this_space_never_proposes_is_not_told() -> None:
    """ResNet-101 is a named point's; searches propose up to 50."""
    for name, proposed in (("sfnet_r101", False), ("sfnet_r18", True)):
        answer = tell(unified(), BUDGET, record(1, named_point(name).choices, miou=0.5))
        assert (answer is not None) == proposed


def test_fixed_choices_are_no_parameters() -> None:
    point = some_point(3) | {"align_corners": True}
    trial = tell(unified(), BUDGET, record(0, point, miou=0.5))
    assert trial is not None and "align_corners" not in trial.params


def test_numbers_are_told_by_their_place() -> None:
    trial = tell(unified(), BUDGET, record(0, some_point(3) | {"fusion_width": 48}, miou=0.5))
    assert trial.params["fusion_width"] == 2


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
    """Asked 25 times in a row it finds better than a dice does, on the mean over seeds."""
    import optuna

    space, base = learnable()

    def quality(point: dict) -> float:
        rich = point["arm"] == "rich"
        return base[point["arm"]] + (point["arm.rich.x"] + point["arm.rich.y"]) / 28 if rich else 0.0

    def search(seed: int, learns: bool) -> float:
        from segsearch.search.sampler import _parameters

        known, values = [], []
        for number in range(25):
            dice = number < 6 or not learns
            point = uniform(space, seed_of(seed, number)) if dice else ask(space, known, seed_of(seed, number))
            params, distributions = _parameters(space, point)
            values.append(quality(point))
            known.append(
                optuna.trial.create_trial(values=[values[-1], 1.0], params=params, distributions=distributions)
            )
        return math.fsum(values[6:]) / len(values[6:])

    learnt, thrown = (math.fsum(search(seed, learns) for seed in range(4)) / 4 for learns in (True, False))
    assert learnt > thrown + 0.15
