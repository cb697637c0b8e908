import os
import subprocess
import sys
import time

import pytest

from segsearch.measure import load
from segsearch.measure.load import BUSY_PERCENT, Contention, ProcessorWatch, processor_load


@pytest.mark.parametrize(
    ("then", "now", "percent"),
    [
        ((0.0, 0.0, 0.0), (100.0, 60.0, 45.0), 15.0),
        ((50.0, 20.0, 5.0), (54.0, 24.0, 9.0), 0.0),
        ((0.0, 0.0, 0.0), (10.0, 4.0, 4.5), 0.0),  # clocks of two grains
        ((7.0, 3.0, 1.0), (7.0, 3.0, 1.0), 0.0),  # no time has passed
    ],
)
def test_own_work_is_not_the_work_of_others(then, now, percent, monkeypatch):
    times = iter([then, now])
    monkeypatch.setattr(load, "_times", lambda: next(times))
    assert load.ProcessorWatch().others_percent() == pytest.approx(percent)


def test_times_grow_and_own_work_is_in_them():
    before, start = load._times(), time.process_time()
    while time.process_time() - start < 0.3:
        pass
    total, busy, own = (now - then for now, then in zip(load._times(), before, strict=True))
    assert own == pytest.approx(0.3, abs=0.1)
    assert total >= 0.25
    assert 0.2 <= busy <= total


def test_the_work_of_another_process_is_seen():
    with subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) as other:
        try:
            watch = ProcessorWatch()
            time.sleep(1.0)
            assert watch.others_percent() > 0.3 * 100 / (os.cpu_count() or 1)
        finally:
            other.kill()


def test_load_is_read_in_its_ranges():
    load_average, others = processor_load(0.05)
    assert load_average >= 0
    assert 0 <= others <= 100


@pytest.mark.parametrize(
    ("before", "during", "busy"), [(0.0, BUSY_PERCENT, False), (11.0, 0.0, True), (0.0, 50.0, True)]
)
def test_busy_is_either_before_or_during(before, during, busy):
    seen = Contention(load_average=0.0, others_percent_before=before, others_percent_during=during)
    assert seen.busy == busy
