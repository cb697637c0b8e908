import itertools

import pytest
import torch

from segsearch.measure.reference import CALLS, LEAD_CALLS, RUN_CALLS, level_ms, reference_block, reference_run
from segsearch.measure.stopwatch import WallStopwatch

CPU = torch.device("cpu")


class Laps:
    def __init__(self, laps):
        self.laps, self.threads = iter(laps), set()

    def lap_ms(self, work):
        work()
        self.threads.add((torch.get_num_threads(), torch.is_inference_mode_enabled()))
        return next(self.laps)


@pytest.mark.parametrize(("reference", "counted"), [(reference_block, CALLS), (reference_run, RUN_CALLS)])
def test_the_calls_that_lead_in_do_not_count(reference, counted):
    watch = Laps(itertools.chain([99.0] * LEAD_CALLS, [2.0] * counted))
    assert reference(CPU, watch)() == 2.0
    assert next(watch.laps, None) is None


def test_a_short_run_passes_over_interrupts_and_tells_who_shares_the_core():
    def told(laps):
        return reference_run(CPU, Laps(itertools.chain([1.0] * LEAD_CALLS, laps)))()

    assert told([1.0, 1.0, 9.0, 9.0, 1.0]) == 1.0
    assert told([1.4] * RUN_CALLS) == 1.4


def test_it_waits_for_other_pools_where_there_are_some(monkeypatch):
    """One thread has no pool beside it, and a short run is to be short."""
    naps, threads = [], torch.get_num_threads()
    monkeypatch.setattr("time.sleep", naps.append)
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            reference_block(CPU, Laps(itertools.repeat(1.0)))()
            assert len(naps) == count - 1
    finally:
        torch.set_num_threads(threads)


def test_it_runs_on_the_candidates_threads_in_inference_mode():
    watch, threads = Laps(itertools.repeat(1.0)), torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        reference_block(CPU, watch)()
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)
    assert watch.threads == {(threads + 1, True)}


def test_a_few_interrupts_are_forgiven_and_a_shared_core_is_not():
    assert level_ms([1.0] * 28 + [9.0] * 2) == 1.0
    assert level_ms([1.0] * 22 + [4.0] * 8) > 1.4


def test_chance_is_left_alone_and_the_numbers_are_always_the_same():
    before = torch.random.get_rng_state()
    assert reference_block(CPU, WallStopwatch())() > 0
    assert torch.equal(torch.random.get_rng_state(), before)
