import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segsearch.measure.blocks import Block, Blocks
from segsearch.measure.interleave import sample_steadily
from segsearch.measure.timer import TimerSettings

from .test_timer import Script

SETTINGS = TimerSettings(min_samples=50, min_seconds=1.0)


def run(references_ms, latencies_ms=None, settings=SETTINGS):
    """A machine whose reference takes what the script says, the last for ever; the first is of its warm-up."""
    script = itertools.chain([1.0], references_ms, itertools.repeat(list(references_ms)[-1]))
    order = []
    watch = Script(latencies_ms or itertools.repeat(50.0))

    def reference():
        order.append("R")
        return next(script)

    return sample_steadily(lambda: order.append("A"), reference, settings=settings, stopwatch=watch), order


def test_a_steady_machine_gives_five_blocks_between_six_references():
    samples, order = run([1.0])
    assert (len(samples.samples_ms), samples.median_ms) == (50, 50.0)
    assert (samples.steady, samples.retakes, samples.drift, samples.reference_ms) == (True, 0, 0.0, 1.0)
    assert order.count("R") == 1 + 6
    blocks = "".join(order).split("R")[2:-1]  # behind the warm-up
    assert [len(block) for block in blocks] == [1 + 10] * 5  # a call to lead in, then those that count


def test_two_percent_is_no_drift_and_is_kept():
    samples, _ = run([1.0, 1.02, 1.0, 1.02, 1.0, 1.02])
    assert samples.steady and samples.retakes == 0
    assert samples.drift == pytest.approx(0.02, abs=0.006)


def test_both_blocks_beside_a_slow_reference_are_taken_again():
    samples, order = run([1.0, 1.0, 1.05, 1.0])
    assert samples.steady and samples.retakes == 2 and len(samples.samples_ms) == 50
    assert order.count("R") == 1 + 8


def test_samples_beside_a_slow_reference_do_not_count():
    calm, slow = [50.0] * 11, [90.0] * 11
    warm_up = [50.0] * 10
    latencies = itertools.chain(warm_up, calm, slow, slow, itertools.repeat(50.0))
    samples, _ = run([1.0, 1.0, 1.3, 1.0], latencies)
    assert set(samples.samples_ms) == {50.0}


def test_waiting_does_not_make_the_block_before_a_quiet_one():
    """Load begins inside the third block: waiting until it is over saves the fourth, not the third."""
    references = itertools.chain([1.0] * 4, [1.5] * 3, itertools.repeat(1.0))
    laps = itertools.chain([50.0] * 10, [50.0] * 22, [90.0] * 11, itertools.repeat(50.0))
    samples = sample_steadily(
        lambda: None,
        lambda: next(references),
        settings=SETTINGS,
        stopwatch=Script(laps),
        known_ms=1.0,
        patience_seconds=30.0,
    )
    assert set(samples.samples_ms) == {50.0} and samples.steady and samples.retakes == 1


def test_a_machine_that_becomes_quicker_is_not_waited_for(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail("waits"))
    references = itertools.chain([1.0] * 3, itertools.repeat(0.9))
    watch = Script(itertools.repeat(50.0))
    sample_steadily(lambda: None, lambda: next(references), settings=SETTINGS, stopwatch=watch, patience_seconds=30.0)


def test_load_that_ends_is_waited_out():
    samples, _ = run([1.5, 1.5, 1.5, 1.0])
    assert samples.steady and samples.retakes == 3 and samples.reference_ms == 1.0


def test_a_machine_that_never_rests_is_given_up_and_its_quietest_blocks_are_kept():
    samples, order = run([1.0 + 0.06 * (i * 7 % 5) for i in range(40)])
    assert not samples.steady and samples.drift > 0.03
    assert len(samples.samples_ms) == 50
    assert 1 + 1 + SETTINGS.blocks < order.count("R") <= 1 + 1 + SETTINGS.blocks + SETTINGS.retakes


def test_a_clock_that_falls_slowly_is_drift_too():
    assert not run([1.0 * 1.02**i for i in range(40)])[0].steady


@given(st.lists(st.floats(0.5, 2.0), min_size=2, max_size=30))
def test_drifts_are_those_of_the_worse_neighbour(references):
    blocks = Blocks(references[0], SETTINGS)
    for before, after in itertools.pairwise(references):
        blocks.add(Block(laps=[1.0], before=before, after=after))
    found = blocks.drifts()
    assert len(found) == len(references) - 1
    level = sorted(references)[0] * (1 + 1e-12)
    assert all(drift >= 0 for drift in found)
    if max(references) <= 1.03 * level:
        assert all(drift <= 0.031 for drift in found)


@given(st.lists(st.floats(0.9, 1.5), min_size=20, max_size=20), st.integers(1, 60), st.integers(0, 8))
def test_there_are_never_fewer_samples_than_asked(references, least, retakes):
    samples, _ = run(references, settings=TimerSettings(min_samples=least, min_seconds=0.1, retakes=retakes))
    assert len(samples.samples_ms) >= least
    assert samples.steady == (samples.drift <= 0.03)


def test_progress_is_told():
    told = []
    sample_steadily(
        lambda: None,
        lambda: 1.0,
        settings=SETTINGS,
        stopwatch=Script(itertools.repeat(50.0)),
        report=lambda what, done, total: told.append((what, done, total)),
    )
    assert told == [("warm up", 0, 5), *(("sample", done, 5) for done in range(5))]
