import gc
import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segsearch.errors import InputError
from segsearch.measure.stopwatch import WallStopwatch
from segsearch.measure.timer import (
    CAREFUL,
    Samples,
    TimerSettings,
    no_garbage_collection,
    quantile,
    sample_latencies,
)


class Script:
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
    samples = sample_latencies(lambda: calls.append(1), settings=TimerSettings(**settings), stopwatch=watch)
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


@pytest.mark.parametrize(("step", "settled_after"), [(1.009, 10), (1.011, None)])
def test_the_tolerance_is_a_fraction_of_the_block_before(step, settled_after):
    rising = (100.0 * step ** (i // 5) for i in itertools.count())
    samples = run(rising, max_warmup_seconds=5.0)
    assert samples.warmup_settled == (settled_after is not None)
    assert samples.warmup_calls == (settled_after or samples.warmup_calls)


def test_a_restless_network_stops_warming_up_in_time_and_says_so():
    samples = run(itertools.cycle([10.0] * 5 + [20.0] * 5), warmup_block_seconds=0.0, max_warmup_seconds=1.5)
    assert (samples.warmup_calls, samples.warmup_settled) == (100, False)


def test_a_very_slow_network_gets_one_call_of_warm_up_and_all_its_samples():
    samples = run(itertools.repeat(30_000.0))
    assert (samples.warmup_calls, samples.warmup_settled, len(samples.samples_ms)) == (1, False, 50)


@settings(max_examples=15)
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


def test_summaries_of_known_samples():
    samples = Samples(samples_ms=tuple(float(i) for i in range(100, -1, -1)), warmup_calls=0, warmup_settled=True)
    found = (samples.p10_ms, samples.median_ms, samples.p90_ms)
    assert found == pytest.approx((10, 50, 90))


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_collection_is_held_back_and_put_back(enabled):
    (gc.enable if enabled else gc.disable)()
    try:
        with pytest.raises(ZeroDivisionError):
            sample_latencies(lambda: 1 // gc.isenabled())
        assert gc.isenabled() == enabled
        with no_garbage_collection():
            assert not gc.isenabled()
        assert gc.isenabled() == enabled
    finally:
        gc.enable()


def test_the_wall_clock_waits_for_the_device():
    events = []
    watch = WallStopwatch(synchronise=lambda: events.append("wait"))
    lap = watch.lap_ms(lambda: (events.append("work"), time.sleep(0.02)))
    assert events == ["wait", "work", "wait"]
    assert lap >= 20  # a sleep never ends early
    assert watch.now_seconds() <= watch.now_seconds()


def test_settings_refuse_what_cannot_be():
    for wrong in ({"min_samples": 0}, {"min_seconds": -1.0}, {"warmup_block_calls": 0}, {"patience": 3}):
        with pytest.raises(InputError):
            TimerSettings.parse(wrong, "timer")


@pytest.mark.parametrize("settings", [TimerSettings(), CAREFUL])
def test_a_gpu_gets_more_samples_where_nobody_asked_for_a_number(settings):
    gpu = settings.on("cuda")
    assert (gpu.min_samples, gpu.min_seconds, gpu.spare_seconds) == (200, 2.0, settings.spare_seconds)
    assert settings.on("cpu") == settings and gpu.on("cuda") == gpu
    assert TimerSettings(min_samples=12).on("cuda").min_samples == 12
    assert CAREFUL.model_copy(update={"min_samples": 7}).on("cuda").min_samples == 7
