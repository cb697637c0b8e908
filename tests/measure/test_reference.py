import itertools

import pytest
import torch

from segsearch.measure.reference import CALLS, LEAD_CALLS, LEAST_CALLS, reference_block
from segsearch.measure.timer import Stopwatch

from .test_timer import Script

CPU = torch.device("cpu")


class Laps(Script):
    threads: frozenset[tuple[int, bool]] = frozenset()

    def lap_ms(self, work):
        self.threads |= {(torch.get_num_threads(), torch.is_inference_mode_enabled())}
        return super().lap_ms(work)


def test_the_calls_that_lead_in_do_not_count():
    counted = [1.0 + number / 100 for number in range(CALLS)]
    watch = Laps(itertools.chain([2.0] * LEAD_CALLS, counted))
    assert list(reference_block(CPU, watch)()) == counted
    assert next(watch.latencies_ms, None) is None


@pytest.mark.parametrize(("lap_ms", "calls"), [(1.0, CALLS), (5.0, 20), (50.0, LEAST_CALLS)])
def test_a_busy_machine_gets_fewer_calls_in_about_the_same_time(lap_ms, calls):
    watch = Laps(itertools.repeat(lap_ms))
    assert len(reference_block(CPU, watch)()) == pytest.approx(calls, abs=1)  # sums of floats


@pytest.mark.parametrize("threads", [1, 2])
def test_it_waits_for_other_pools_where_there_are_some(threads, monkeypatch):
    """One thread has no pool beside it."""
    naps, before = list[float](), torch.get_num_threads()
    monkeypatch.setattr("time.sleep", naps.append)
    try:
        torch.set_num_threads(threads)
        reference_block(CPU, Laps(itertools.repeat(1.0)))()
        assert len(naps) == threads - 1
    finally:
        torch.set_num_threads(before)


def test_it_runs_on_the_candidates_threads_in_inference_mode():
    watch, threads = Laps(itertools.repeat(1.0)), torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        reference_block(CPU, watch)()
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)
    assert watch.threads == {(threads + 1, True)}


def test_chance_is_left_alone_and_the_numbers_are_always_the_same():
    before = torch.random.get_rng_state()
    assert min(reference_block(CPU, Stopwatch())()) > 0
    assert torch.equal(torch.random.get_rng_state(), before)
