import os
import subprocess
import sys
import time

import pytest
import torch

from segsearch.measure import load
from segsearch.measure.load import BUSY_PERCENT, Contention, LoadWatch


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
    start, end = (load._Times(everything, busy, own, 0.0) for everything, busy, own in (then, now))
    monkeypatch.setattr(load, "_times", lambda: end)
    assert load._others_percent(start) == pytest.approx(percent)


def test_times_grow_and_own_work_is_in_them():
    before, start = load._times(), time.process_time()
    while time.process_time() - start < 0.3:
        pass
    now = load._times()
    assert now.own - before.own == pytest.approx(0.3, abs=0.1)
    assert now.everything - before.everything >= 0.25
    assert 0.2 <= now.busy - before.busy <= now.everything - before.everything


def test_the_work_of_another_process_is_seen():
    with subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) as other:
        try:
            watch = LoadWatch(torch.device("cpu"), 0.05)
            time.sleep(1.0)
            seen = watch.contention()
        finally:
            other.kill()
    assert seen.others_percent_during > 0.3 * 100 / (os.cpu_count() or 1)
    assert 0 <= seen.others_percent_before <= 100 and seen.load_average >= 0 and seen.gpu_others is None
    if seen.busy:
        named = any(f"(pid {other.pid})" in name for name in seen.names)
        assert (named or len(seen.names) == load.MOST_NAMED) and seen.names[0] in seen.words
        assert not any(f"(pid {os.getpid()})" in name for name in seen.names)


def test_the_busiest_of_several_looks_is_named():
    looks = [
        Contention(load_average=1.0, others_percent_before=b, others_percent_during=d, gpu_others=g, names=(n,))
        for b, d, g, n in ((5.0, 20.0, None, "a"), (30.0, 1.0, 2, "b"))
    ]
    most = Contention.most(looks)
    assert (most.others_percent_before, most.others_percent_during, most.gpu_others) == (30.0, 20.0, 2)
    assert most.words == "2 other programs were on the GPU and other programs used 30 % of the processor: b"


@pytest.mark.parametrize(
    ("before", "during", "busy"), [(0.0, BUSY_PERCENT, False), (11.0, 0.0, True), (0.0, 50.0, True)]
)
def test_busy_is_either_before_or_during(before, during, busy):
    seen = Contention(load_average=0.0, others_percent_before=before, others_percent_during=during)
    assert seen.busy == busy
