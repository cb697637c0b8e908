import itertools
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segsearch.measure.blocks import Block
from segsearch.measure.careful import KEPT, Runs, sample_carefully
from segsearch.measure.timer import TimerSettings, moved_words

from .test_timer import Script

SETTINGS = TimerSettings(
    min_samples=20, min_seconds=0.1, spare_seconds=5.0, most_seconds=20.0, warmup_block_seconds=0.0
)


def run(machine, settings=SETTINGS, **known):
    """A machine that tells, for each call and each reference, how much slower than at rest it is: 50 and 1 ms."""
    order, laps = [], []
    watch = Script(50.0 * laps[-1] for _ in itertools.count())

    def call():
        order.append("A")
        laps.append(next(machine))

    def reference():
        order.append("R")
        return next(machine)

    return sample_carefully(call, reference, settings=settings, stopwatch=watch, **known), "".join(order)


def test_a_machine_at_rest_gives_samples_for_the_time_it_is_given():
    samples, order = run(itertools.repeat(1.0))
    assert (samples.steady, samples.retakes, samples.drift, samples.reference_ms) == (True, 0, 0.0, 1.0)
    assert set(samples.samples_ms) == {50.0}
    runs = order.count("AR")
    assert runs == pytest.approx(5.0 / 0.05, abs=15)
    assert len(samples.samples_ms) == pytest.approx(KEPT * runs, abs=5)


def test_a_quick_network_has_a_call_to_lead_in_before_every_run_and_a_slow_one_has_none():
    def order(latency_ms):
        calls = []
        sample_carefully(
            partial(calls.append, "A"),
            lambda: calls.append("R") or 1.0,
            settings=SETTINGS,
            stopwatch=Script(itertools.repeat(latency_ms)),
        )
        return {len(run) for run in "".join(calls).split("R")[1:-1] if run}

    assert order(5.0) <= {1 + 4, 1 + 5}  # 20 ms, and sums of floats
    assert order(100.0) <= {1, 2, 5}  # warm-up has five; the first run cannot know


def test_what_is_beside_a_slow_reference_is_put_aside():
    """Seven of ten moments are slow, some by a half, some by a little; what is kept is of the quiet ones."""
    moods = itertools.cycle([*[1.0] * 120, *[1.5] * 200, *[1.08] * 80])
    samples, _ = run(moods)
    assert set(samples.samples_ms) == {50.0} and samples.steady and samples.retakes > 0


def test_few_quiet_runs_among_disturbed_ones_are_not_steady():
    samples, order = run(itertools.cycle([*[1.0] * 40, *[1.5] * 360]))
    assert set(samples.samples_ms) == {50.0} and samples.drift == 0.0
    assert samples.quiet_share == pytest.approx(0.1, abs=0.03) and not samples.steady
    assert order.count("A") > 2 * SETTINGS.spare_seconds / 0.05, "it waited for a better share"


def test_it_goes_on_until_enough_is_quiet():
    moods = itertools.chain([1.5] * 300, itertools.repeat(1.0))
    samples, order = run(moods, known_ms=1.0)
    assert set(samples.samples_ms) == {50.0} and samples.steady
    assert 300 < len(order) < 500


def test_it_gives_up_in_time_and_keeps_the_quietest():
    samples, order = run(itertools.cycle([1.3, 1.2, 1.25, 1.4, 1.2, 1.2]), known_ms=1.0)
    assert not samples.steady and samples.slower == pytest.approx(0.2, abs=0.03)
    assert len(samples.samples_ms) >= SETTINGS.min_samples
    assert order.count("A") * 0.05 < SETTINGS.most_seconds + 5


def test_a_machine_that_is_slow_all_the_while_is_not_steady_where_its_level_is_known():
    assert run(itertools.repeat(1.3))[0].steady
    slow, order = run(itertools.repeat(1.3), known_ms=1.0)
    assert not slow.steady and slow.slower == pytest.approx(0.3) and slow.drift == 0.0
    assert order.count("A") * 0.05 * 1.3 > SETTINGS.most_seconds - 1, "it waited for the machine to come back"


@pytest.mark.parametrize("clock", [1.0, 1.04, 1.09])
def test_a_moved_clock_is_taken_out(clock):
    samples, _ = run(itertools.repeat(clock), known_ms=1.0)
    assert samples.steady and samples.slower == pytest.approx(clock - 1)
    assert samples.samples_ms == pytest.approx([50.0] * len(samples.samples_ms)) and samples.timed_ms == pytest.approx(
        50.0 * clock
    )


def test_a_clock_that_moves_meanwhile_is_taken_out_too():
    samples, _ = run(itertools.cycle([*[1.0] * 50, *[1.02] * 150]), known_ms=1.0)
    assert samples.samples_ms == pytest.approx([50.0] * len(samples.samples_ms), rel=0.011)  # it moves within runs, too
    assert 50.0 < samples.timed_ms <= 51.0


def test_a_machine_that_is_better_than_known_sets_what_rest_is():
    samples, _ = run(itertools.repeat(0.98), known_ms=1.0)
    assert samples.steady and samples.slower == 0.0 and set(samples.samples_ms) == {49.0}


def test_the_word_for_it_is_that_of_what_was_wrong():
    def words(*seen):
        return moved_words(SETTINGS, *seen)

    assert words(0.05, 0.2, 0.1) == "the reference network moved 5 %"
    assert words(0.02, 0.2, 0.1) == "the reference network stood still beside 10 % of the runs only"
    assert words(0.02, 0.2, 0.3) == "the reference network took 20 % longer than at rest"
    assert words(0.04, 0.0, None) == "the reference network moved 4 %"


def test_runs_are_ranked_by_what_they_take_beside_the_reference():
    runs = Runs(SETTINGS.model_copy(update={"min_samples": 2, "min_seconds": 0.0}))
    for _ in range(10):
        runs.add(Block(laps=[50.5], before=1.0, after=1.0))
        runs.add(Block(laps=[51.0], before=1.02, after=1.02))
    assert runs.chosen(5, True).samples_ms == pytest.approx([50.0] * 10)


def test_the_quicker_half_of_quiet_runs_is_kept_in_order():
    runs = Runs(SETTINGS.model_copy(update={"min_samples": 2, "min_seconds": 0.0}))
    for number in range(40):
        runs.add(Block(laps=[50.0 + (number * 7) % 40], before=1.0, after=1.0))
    samples = runs.chosen(5, True)
    assert sorted(samples.samples_ms) == [50.0 + number for number in range(20)]
    assert list(samples.samples_ms) != sorted(samples.samples_ms)
    assert (samples.warmup_calls, samples.warmup_settled) == (5, True)


@given(st.lists(st.floats(0.9, 1.6), min_size=1, max_size=60), st.integers(1, 40), st.floats(0, 2))
def test_there_are_never_fewer_samples_than_asked(moods, least, seconds):
    settings = SETTINGS.model_copy(update={"min_samples": least, "min_seconds": seconds})
    samples, _ = run(itertools.cycle(moods), settings)
    least_scale = 0.9 / 1.6
    assert len(samples.samples_ms) >= least and sum(samples.samples_ms) >= 1000 * seconds * least_scale * (1 - 1e-9)
    assert samples.steady == (samples.drift <= 0.03 and samples.quiet_share >= settings.least_quiet)


def test_every_half_second_the_network_is_prepared_anew_and_warmed_up():
    order, places = [], []

    def again():
        places.append(len(places))
        return partial(order.append, str(places[-1] % 10))

    slow = itertools.chain([50.0] * 10, [60.0] * 10, [90.0] * 12, itertools.repeat(50.0))
    samples = sample_carefully(
        partial(order.append, "A"), lambda: 1.0, settings=SETTINGS, stopwatch=Script(slow), again=again
    )
    assert len(places) == pytest.approx(5.0 / (0.6 + 0.25), abs=2)
    calls = ["".join(group) for _, group in itertools.groupby(order)]
    assert [call[0] for call in calls] == ["A", *(str(place % 10) for place in places)]
    assert all(len(call) >= 5 + 7 for call in calls)
    assert set(samples.samples_ms) == {50.0}  # slow places are put aside


def test_progress_is_told():
    told = []
    run(itertools.repeat(1.0), report=lambda what, done, total: told.append((what, done, total)))
    assert told[0] == ("warm up", 0, 1) and {what for what, *_ in told[1:]} == {"sample"}
    assert all(0 <= done <= total for _, done, total in told)
    assert told[-1][1] >= 4 and told[-1][2] == 5
