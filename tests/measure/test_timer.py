import gc
import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segsearch.errors import InputError
from segsearch.measure.timer import (
    LEAD_MOST_MS,
    QUOTED,
    Stopwatch,
    TimerSettings,
    level_ms,
    no_garbage_collection,
    quantile,
    sample_alone,
    sample_beside,
)

BLOCKS = TimerSettings(min_samples=50, min_seconds=1.0)


class Script(Stopwatch):
    """A stopwatch that tells the latencies it was given, one after another, and whose time is their sum."""

    def __init__(self, latencies_ms):
        self.latencies_ms, self.seconds, self.laps = iter(latencies_ms), 0.0, 0

    def now_seconds(self):
        return self.seconds

    def lap_ms(self, work):
        work()
        self.laps += 1
        lap = next(self.latencies_ms)
        self.seconds += lap / 1000
        return lap


def run(latencies_ms, **settings):
    watch, calls = Script(latencies_ms), []
    samples = sample_alone(lambda: calls.append(1), settings=TimerSettings(**settings), stopwatch=watch)
    assert len(calls) == watch.laps == samples.warmup_calls + len(samples.samples_ms)
    return samples


def test_a_steady_network_warms_up_for_two_blocks():
    samples = run(itertools.repeat(50.0))
    assert (samples.warmup_calls, samples.warmup_settled) == (10, True)
    assert samples.samples_ms == (50.0,) * 50


def test_a_block_lasts_its_time_for_a_quick_network():
    samples = run(itertools.repeat(1.0))
    assert samples.warmup_calls == pytest.approx(200, abs=2)  # two blocks of 0.1 s
    assert len(samples.samples_ms) == pytest.approx(1000, abs=1)  # at least 1 s


def test_warm_up_goes_on_while_the_medians_move():
    falling = [100.0] * 5 + [80.0] * 5 + [60.0] * 5 + [50.0] * 5 + [49.8] * 5
    samples = run(itertools.chain(falling, itertools.repeat(49.8)))
    assert (samples.warmup_calls, samples.warmup_settled) == (25, True)
    assert set(samples.samples_ms) == {49.8}


def test_one_slow_call_does_not_unsettle_a_block():
    samples = run(itertools.chain([50.0] * 7, [900.0], itertools.repeat(50.0)))
    assert samples.warmup_calls == 10


@pytest.mark.parametrize(("step", "settled_after"), [(0.991, 10), (1.2, 10), (0.989, None)])
def test_the_tolerance_is_a_fraction_of_the_block_before(step, settled_after):
    moving = (100.0 * step ** (i // 5) for i in itertools.count())
    samples = run(moving, max_warmup_seconds=5.0)
    assert samples.warmup_settled == (settled_after is not None)
    assert samples.warmup_calls == (settled_after or samples.warmup_calls)


def test_a_network_that_becomes_ever_quicker_stops_warming_up_in_time_and_says_so():
    falling = (20.0 * 0.95 ** (i // 5) for i in itertools.count())
    samples = run(falling, warmup_block_seconds=0.0, max_warmup_seconds=0.5, min_seconds=0.0)
    assert samples.warmup_calls == pytest.approx(29, abs=2) and not samples.warmup_settled


@pytest.mark.parametrize("first_ms", [10.0, 20.0])
def test_a_restless_machine_is_not_waited_for(first_ms):
    restless = itertools.chain([first_ms] * 5, itertools.cycle([20.0] * 5 + [10.0] * 5))
    samples = run(restless, warmup_block_seconds=0.0, max_warmup_seconds=10.0)
    assert samples.warmup_settled and samples.warmup_calls <= 20


def test_a_very_slow_network_gets_one_call_of_warm_up_and_all_its_samples():
    samples = run(itertools.repeat(30_000.0))
    assert (samples.warmup_calls, samples.warmup_settled, len(samples.samples_ms)) == (1, False, 50)


@settings(max_examples=8)
@given(st.floats(2.0, 500.0), st.integers(1, 80), st.floats(0.0, 2.0))
def test_there_are_never_fewer_samples_nor_less_time_than_asked(latency_ms, min_samples, min_seconds):
    samples = run(itertools.repeat(latency_ms), min_samples=min_samples, min_seconds=min_seconds)
    total_seconds = sum(samples.samples_ms) / 1000
    assert len(samples.samples_ms) >= min_samples
    assert total_seconds >= min_seconds - 1e-6
    assert len(samples.samples_ms) == min_samples or total_seconds - latency_ms / 1000 <= min_seconds + 1e-6


@given(st.lists(st.floats(0.01, 1e4), min_size=1, max_size=60), st.floats(0, 1))
def test_quantiles_are_numpys(values, fraction):
    assert quantile(values, fraction) == pytest.approx(np.quantile(values, fraction))


def test_a_few_interrupts_are_forgiven_and_a_shared_core_is_not():
    assert level_ms([1.0] * 28 + [9.0] * 2) == 1.0
    assert level_ms([1.0] * 22 + [4.0] * 8) > 1.4


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_collection_is_held_back_and_put_back(enabled):
    (gc.enable if enabled else gc.disable)()
    try:
        with pytest.raises(ZeroDivisionError):
            sample_alone(lambda: 1 // gc.isenabled(), settings=TimerSettings(), stopwatch=Stopwatch())
        assert gc.isenabled() == enabled
        with no_garbage_collection():
            assert not gc.isenabled()
        assert gc.isenabled() == enabled
    finally:
        gc.enable()


def test_the_wall_clock_tells_how_long_a_call_took():
    watch = Stopwatch()
    assert watch.lap_ms(lambda: time.sleep(0.02)) >= 20  # a sleep never ends early
    assert watch.now_seconds() <= watch.now_seconds()


def test_settings_refuse_what_cannot_be():
    for wrong in ({"min_samples": 0}, {"min_seconds": -1.0}, {"warmup_block_calls": 0}, {"patience": 3}):
        with pytest.raises(InputError):
            TimerSettings.parse(wrong, "timer")


def test_settings_of_older_versions_are_read_without_what_is_gone():
    old = {"min_samples": 7, "spare_seconds": 8.0, "most_seconds": 40.0, "least_quiet": 0.2, "most_slower": 0.1}
    assert TimerSettings.parse(old, "timer") == TimerSettings(min_samples=7)


@pytest.mark.parametrize("settings", [TimerSettings(), QUOTED])
def test_a_gpu_gets_more_samples_where_nobody_asked_for_a_number(settings):
    gpu = settings.on("cuda")
    assert (gpu.min_samples, gpu.min_seconds) == (200, 2.0)
    assert settings.on("cpu") == settings and gpu.on("cuda") == gpu
    assert settings.model_copy(update={"min_samples": 12}).on("cuda").min_samples == 12


def beside(references_ms, latencies_ms=None, settings=BLOCKS, **more):
    """A machine whose reference takes what the script says, the last for ever; the first is of its warm-up."""
    script = itertools.chain([1.0], references_ms, itertools.repeat(list(references_ms)[-1]))
    order = []
    watch = Script(latencies_ms or itertools.repeat(50.0))

    def reference():
        order.append("R")
        return [next(script)] * 10

    samples = sample_beside(lambda: order.append("A"), reference, settings=settings, stopwatch=watch, **more)
    return samples, "".join(order)


def test_a_steady_machine_gives_five_blocks_between_six_references():
    samples, order = beside([1.0])
    assert samples.samples_ms == (50.0,) * 50 and samples.median_ms == 50.0
    assert (samples.retakes, samples.reference_drift, samples.reference_ms) == (0, 0.0, 1.0)
    assert samples.reference_samples_ms == (1.0,) * 60
    blocks = order.split("R")[2:-1]  # behind the warm-up
    assert [len(block) for block in blocks] == [1 + 10] * 5  # a call to lead in, then those that count


@pytest.mark.parametrize(("latency_ms", "lead"), [(5.0, 4), (50.0, 1), (LEAD_MOST_MS - 1, 1), (LEAD_MOST_MS + 1, 0)])
def test_calls_lead_in_where_they_make_a_difference(latency_ms, lead):
    samples, order = beside([1.0], itertools.repeat(latency_ms))
    calls = sum(len(block) for block in order.split("R")[2:-1])
    assert calls == pytest.approx(len(samples.samples_ms) + 5 * lead, abs=5)  # sums of floats


def test_two_percent_is_no_disturbance():
    samples, _ = beside([1.0, 1.02, 1.0, 1.02, 1.0, 1.02])
    assert samples.retakes == 0 and samples.reference_drift == pytest.approx(0.02, abs=0.006)


def test_both_blocks_beside_a_slow_reference_are_taken_again():
    samples, order = beside([1.0, 1.0, 1.05, 1.0])
    assert samples.reference_drift == 0.0 and samples.retakes == 2 and len(samples.samples_ms) == 50
    assert order.count("R") == 1 + 8


def test_blocks_beside_a_slow_reference_do_not_count_and_what_counts_is_in_order():
    calm, slow = [50.0] * 11, [90.0] * 11
    latencies = itertools.chain([50.0] * 10, calm, slow, slow, [51.0] * 11, itertools.repeat(52.0))
    samples, _ = beside([1.0, 1.0, 1.3, 1.0], latencies)
    assert samples.samples_ms == (50.0,) * 10 + (51.0,) * 10 + (52.0,) * 30


@pytest.mark.parametrize("retakes", [0, 1, 6])
def test_a_machine_that_never_rests_is_measured_still_and_says_so(retakes):
    references = [1.0 + 0.06 * (i * 7 % 5) for i in range(40)]
    samples, order = beside(references, settings=BLOCKS.model_copy(update={"retakes": retakes}))
    assert samples.reference_drift > 0.03 and len(samples.samples_ms) == 50 and samples.retakes == retakes
    assert order.count("R") == 1 + 1 + 5 + retakes


def test_the_least_disturbed_blocks_count():
    """Block by block the reference moves by 10, 20, 30 ... percent; two more than three are taken."""
    references = [1.0, 1.1, 1.2, 1.3, 1.0, 1.0]
    latencies = itertools.chain([50.0] * 10, *([50.0 + i] * 2 for i in range(5)))
    few = TimerSettings(min_samples=3, min_seconds=0.0, blocks=3, retakes=2)
    samples, _ = beside(references, latencies, few)
    assert samples.samples_ms == (50.0, 51.0, 54.0)
    assert samples.reference_drift == pytest.approx(0.2)


def test_a_clock_that_falls_slowly_is_drift_too():
    assert beside([1.0 * 1.02**i for i in range(40)])[0].reference_drift > 0.03


@settings(max_examples=8)  # each runs thousands of calls of a clock in Python
@given(st.lists(st.floats(0.9, 1.5), min_size=20, max_size=20), st.integers(1, 60), st.integers(0, 8))
def test_what_is_kept_is_never_less_than_asked_nor_more_disturbed_than_what_is_not(references, least, retakes):
    timer = TimerSettings(min_samples=least, min_seconds=0.1, retakes=retakes)
    samples, _ = beside(references, settings=timer)
    assert len(samples.samples_ms) >= least and samples.retakes <= retakes
    assert samples.reference_drift >= 0
    assert min(references) * (1 - 1e-9) <= samples.reference_ms <= max(references) * (1 + 1e-9)
    assert samples.reference_drift <= 0.03 or samples.retakes == retakes


def test_progress_is_told():
    told = []
    beside([1.0], report=lambda *seen: told.append(seen))
    assert told == [("warm up", 0, 5), *(("sample", done, 5) for done in range(5))]
