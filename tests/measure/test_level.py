import itertools
import json
import math
import time

import pytest

from segsearch.measure import level as module
from segsearch.measure.interleave import sample_steadily
from segsearch.measure.level import FORGET_SECONDS, Level

from .test_interleave import SETTINGS
from .test_timer import Script


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PROBE_SECONDS", 0.01)
    return tmp_path / "levels.json"


def test_the_first_who_asks_tries_and_the_next_one_knows(file):
    tried = iter([1.2, 1.0, *itertools.repeat(1.1, 10**6)])
    assert Level(file, "cpu").known_ms(lambda: next(tried)) == 1.0
    assert Level(file, "cpu").known_ms(pytest.fail) == Level(file, "cpu").remembered_ms == 1.0
    assert Level(file, "cpu, 2 threads").remembered_ms is None
    assert Level(file, "cpu, 2 threads").known_ms(lambda: 3.0) == 3.0


def test_only_what_is_clearly_better_is_learnt(file):
    level = Level(file, "cpu")
    for reference_ms, known_ms in ((1.0, 1.0), (1.5, 1.0), (0.98, 1.0), (0.9, 0.9), (1.0, 0.9)):
        level.learn(reference_ms)
        assert level.known_ms(pytest.fail) == known_ms


def test_a_level_to_scale_by_is_the_best_there_was(file):
    level = Level(file, "cpu", clearly=1.0)
    for reference_ms, known_ms in ((1.0, 1.0), (0.99, 0.99), (1.1, 0.99)):
        level.learn(reference_ms)
        assert level.remembered_ms == known_ms


def test_it_is_forgotten_after_an_hour(file):
    file.write_text(json.dumps({"cpu": [0.5, time.time() - FORGET_SECONDS - 1], "other": [0.5, time.time()]}))
    assert Level(file, "cpu").known_ms(lambda: 2.0) == 2.0
    assert Level(file, "other").known_ms(pytest.fail) == 0.5


NONSENSE = ["", "[]", "{", '{"cpu": 1}', '{"cpu": ["x", 2]}', "[" * 100_000, f'{{"cpu": [1{"0" * 400}, 0]}}']


@pytest.mark.parametrize("content", NONSENSE, ids=range(len(NONSENSE)))
def test_a_damaged_file_is_as_none(file, content):
    file.write_text(content)
    assert Level(file, "cpu").known_ms(lambda: 2.0) == 2.0


@pytest.mark.parametrize("known_ms", [-1.0, 0.0, math.inf, math.nan])
def test_a_level_that_no_machine_has_is_as_none(file, known_ms):
    file.write_text(json.dumps({"cpu": [known_ms, time.time()]}))
    assert Level(file, "cpu").known_ms(lambda: 2.0) == 2.0


def steadily(references, **known):
    script = itertools.chain(references, itertools.repeat(references[-1]))
    watch = Script(itertools.repeat(50.0))
    return sample_steadily(lambda: None, lambda: next(script), settings=SETTINGS, stopwatch=watch, **known)


def test_a_machine_that_is_slow_all_the_while_is_not_steady():
    """Nothing moves, and yet: two cores that share one look like this."""
    assert steadily([1.1]).steady
    slow = steadily([1.1], known_ms=0.78)
    assert not slow.steady and slow.drift == pytest.approx(1.1 / 0.78 - 1)


def test_patience_waits_for_it_to_come_back():
    assert not steadily([1.1] * 30 + [0.78], known_ms=0.78).steady
    waited = steadily([1.1] * 5 + [0.78], known_ms=0.78, patience_seconds=30.0)
    assert waited.steady and waited.retakes == 0
