"""The gate over scripted measurements: a network of a known latency on machines that are loaded in several ways."""

import itertools
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segsearch.measure.record import LatencyRecord
from segsearch.measure.timer import quantile
from segsearch.result import Decision
from segsearch.study.budget import Budget
from segsearch.study.gate import MEASUREMENTS, best_of, due_after, gate, least_reference_ms, optimistic_ms
from tests.engine.builders import latency

REST_MS, SLICE_MS = 0.87, 3.0
Load = Callable[[random.Random], Callable[[float], float]]
"""Makes a machine, which turns the time that a call takes at rest into the time that it takes now."""


def quiet(rng: random.Random) -> Callable[[float], float]:
    """Nobody else: a percent of noise."""
    return lambda ms: ms * rng.uniform(1.0, 1.01)


def throttled(rng: random.Random) -> Callable[[float], float]:
    """A host that is slow all the while, without a trace of others."""
    factor = rng.uniform(1.2, 3.0)
    return lambda ms: ms * factor * rng.uniform(1.0, 1.01)


def shared(rng: random.Random) -> Callable[[float], float]:
    """Others on the same core all the while: the scheduler gives everybody a slice in turn."""
    others, left = rng.randint(1, 3), [rng.uniform(0, SLICE_MS)]

    def call(ms: float) -> float:
        took = 0.0
        while ms > left[0]:
            took += left[0] + others * SLICE_MS
            ms -= left[0]
            left[0] = SLICE_MS
        left[0] -= ms
        return took + ms

    return call


def bursts(rng: random.Random) -> Callable[[float], float]:
    """Others that come and go: each stretch of calls is disturbed or not."""
    state = {"factor": 1.0, "left": 0}

    def call(ms: float) -> float:
        if state["left"] == 0:
            state.update(factor=rng.choice([1.0, rng.uniform(1.5, 4.0)]), left=rng.randint(1, 12))
        state["left"] -= 1
        return ms * state["factor"] * rng.uniform(1.0, 1.01)

    return call


LOADS: dict[str, Load] = {load.__name__: load for load in (quiet, throttled, shared, bursts)}


def measured(true_ms: float, load: Load, rng: random.Random) -> LatencyRecord:
    """Measure as the timer does: ten blocks of calls, the reference network before and after each."""
    call = load(rng)
    laps, samples = [call(REST_MS) for _ in range(30)], list[float]()
    for _ in range(10):
        samples += [call(true_ms) for _ in range(10)]
        laps += [call(REST_MS) for _ in range(30)]
    return latency(quantile(samples, 0.5)).model_copy(
        update={
            "samples_ms": tuple(samples),
            "p10_ms": quantile(samples, 0.1),
            "reference_ms": quantile(laps, 0.5),
            "reference_samples_ms": tuple(laps),
            "steady": load in (quiet, throttled),
        }
    )


def decide(records: Sequence[LatencyRecord], limit_ms: float | None, rest_ms: float | None) -> Decision:
    return gate(Budget(latency_ms=limit_ms), 1000, 10**6, records, rest_ms)


def verdicts(records: Sequence[LatencyRecord], limit_ms: float, rest_ms: float | None) -> list[str]:
    """What is decided after each measurement, until it is no longer to wait."""
    said: list[str] = []
    for count in range(1, len(records) + 1):
        said.append(decide(records[:count], limit_ms, rest_ms).verdict)
        if said[-1] != "wait":
            break
    return said


SEEDS = st.integers(0, 10**6)


@given(SEEDS, st.sampled_from(sorted(LOADS)), st.floats(1, 60), st.floats(1.0, 2.0), st.booleans())
def test_load_alone_never_rejects(seed: int, name: str, true_ms: float, room: float, known: bool) -> None:
    """A network that keeps the budget at rest is trained at last, whatever the machine does meanwhile."""
    rng = random.Random(seed)
    # a host that is slow from the first measurement on cannot be told from a slow network
    rest_ms = REST_MS if known or name == "throttled" else None
    records = [measured(true_ms, LOADS[name], rng) for _ in range(MEASUREMENTS)]
    assert verdicts(records, 1.02 * room * true_ms, rest_ms)[-1] == "train"


@given(SEEDS, st.sampled_from(["quiet", "throttled"]), st.floats(1, 60), st.floats(1.1, 10))
def test_a_network_that_is_too_slow_is_rejected_at_once_where_nobody_is_busy(
    seed: int, name: str, true_ms: float, over: float
) -> None:
    record = measured(true_ms, LOADS[name], random.Random(seed))
    assert verdicts([record] * MEASUREMENTS, true_ms / over, REST_MS) == ["reject"]


@given(SEEDS, st.sampled_from(["shared", "bursts"]), st.floats(5, 60))
def test_a_network_that_is_far_too_slow_is_rejected_at_once_under_load(seed: int, name: str, true_ms: float) -> None:
    record = measured(true_ms, LOADS[name], random.Random(seed))
    assert verdicts([record] * MEASUREMENTS, true_ms / 3, REST_MS) == ["reject"]


RECORDS = st.lists(
    st.builds(
        lambda median, p10, reference, fastest, steady: latency(median).model_copy(
            update={
                "p10_ms": median * p10,
                "samples_ms": (median * p10, median, median * 1.5),
                "reference_ms": reference,
                "reference_samples_ms": (reference * fastest, reference, reference * 2),
                "steady": steady,
            }
        ),
        st.floats(1, 20),
        st.floats(0.3, 1),
        st.floats(0.8, 3),
        st.floats(0.4, 1),
        st.booleans(),
    ),
    min_size=1,
    max_size=MEASUREMENTS,
)
REST = st.none() | st.floats(0.5, 3)


@given(RECORDS, st.floats(0.5, 25), REST, st.randoms())
def test_the_order_of_measurements_does_not_matter(
    records: list[LatencyRecord], limit_ms: float, rest_ms: float | None, rng: random.Random
) -> None:
    mixed = rng.sample(records, len(records))
    here, there = decide(records, limit_ms, rest_ms), decide(mixed, limit_ms, rest_ms)
    assert (here.verdict, here.reason, here.unsure) == (there.verdict, there.reason, there.unsure)
    assert here.latency and there.latency and here.latency.median_ms == there.latency.median_ms


@given(RECORDS, st.floats(0.5, 25), REST)
def test_one_measurement_within_the_budget_is_enough(
    records: list[LatencyRecord], limit_ms: float, rest_ms: float | None
) -> None:
    decision, met = decide(records, limit_ms, rest_ms), min(r.median_ms for r in records) <= limit_ms
    assert (decision.verdict == "train" and not decision.unsure) == met
    assert decision.unsure == (decision.verdict == "train" and not met)
    assert decision.latency is not None and (decision.latency.median_ms <= limit_ms) == met
    assert (decision.reason is None) == met
    assert decide(records, None, rest_ms).verdict == "train"


@given(RECORDS, st.floats(0.5, 25), REST)
def test_what_is_counted_rejects_before_anything_is_measured(
    records: list[LatencyRecord], limit_ms: float, rest_ms: float | None
) -> None:
    budget = Budget(latency_ms=limit_ms, params=999)
    for taken in ([], records):
        decision = gate(budget, 1000, 10**6, taken, rest_ms)
        assert decision.verdict == "reject" and decision.reason == "1K parameters, allowed 999"
    assert gate(budget, 999, 10**6, [], rest_ms).verdict == "train"


@given(RECORDS, st.floats(0.5, 25), REST, st.floats(0.3, 1))
def test_a_slower_reference_or_a_tighter_budget_never_helps(
    records: list[LatencyRecord], limit_ms: float, rest_ms: float | None, factor: float
) -> None:
    """What is not rejected stays so where the machine turns out to be faster at rest, or the budget is looser."""
    if decide(records, limit_ms, rest_ms).verdict != "reject":
        faster = factor * (rest_ms or min(r.reference_ms or 1.0 for r in records))
        assert decide(records, limit_ms, faster).verdict != "reject"
        assert decide(records, limit_ms / factor, rest_ms).verdict != "reject"


@given(RECORDS, st.floats(0.5, 25), REST)
def test_waiting_ends(records: list[LatencyRecord], limit_ms: float, rest_ms: float | None) -> None:
    assert (decide(records, limit_ms, rest_ms).verdict == "wait") <= (len(records) < MEASUREMENTS)


@given(RECORDS, REST)
def test_no_optimistic_figure_is_above_what_was_measured(records: list[LatencyRecord], rest_ms: float | None) -> None:
    assert all(0 < optimistic_ms(record, rest_ms) <= record.median_ms for record in records)


def test_the_measurements_that_lost_networks_lose_none() -> None:
    """Two that were seen: a host slowed down 2.4 times, and other programs at 67 % of the processor."""
    host = latency(10.46).model_copy(update={"p10_ms": 8.8, "reference_ms": 2.10, "steady": True})
    assert decide([host], 6.67, 0.87).verdict == "wait"
    load = latency(7.83).model_copy(update={"p10_ms": 3.74, "reference_ms": 0.95, "steady": False})
    assert decide([load], 6.67, 0.87).verdict == "wait"
    assert decide([host, latency(5.38)], 6.67, 0.87).verdict == "train"


def test_records_from_before_there_was_a_reference_are_judged_by_their_samples() -> None:
    assert optimistic_ms(latency(8.0), 0.87) == 8.0
    assert optimistic_ms(latency(8.0).model_copy(update={"steady": False, "p10_ms": 6.0}), 0.87) == 5.0


def test_of_equal_latencies_the_steady_one_is_quoted() -> None:
    steady, unsteady = latency(5.1), latency(5.0).model_copy(update={"steady": False})
    assert best_of([unsteady, steady]) == steady and best_of([unsteady, latency(5.2)]) == unsteady
    assert best_of([latency(7.0), unsteady]) == unsteady


def test_measurements_are_spread_over_the_study() -> None:
    assert [due_after(measured, 10) for measured in range(1, MEASUREMENTS)] == [11, 12, 14]


def test_the_least_reference_counts() -> None:
    records = [latency(1.0).model_copy(update={"reference_ms": ms}) for ms in (2.0, 0.9, None)]
    for known, rest in ((None, 0.9), (0.8, 0.8), (1.5, 0.9)):
        assert {least_reference_ms(order, known) for order in itertools.permutations(records)} == {rest}
    assert least_reference_ms([latency(1.0)]) is None


@pytest.mark.parametrize("name", sorted(LOADS))
def test_the_machines_of_these_tests_do_slow_down(name: str) -> None:
    slow = [measured(6.0, LOADS[name], random.Random(seed)).median_ms > 1.15 * 6.0 for seed in range(20)]
    assert any(slow) == (name != "quiet")
