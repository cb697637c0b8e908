import multiprocessing
import os
import threading
import time
from multiprocessing.synchronize import Event

import pytest
import torch

from segsearch.errors import InputError
from segsearch.measure import device_lock
from segsearch.measure.device_lock import timing, working

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    """Locks of this test only: whoever else measures on this machine must not hold it up."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(device_lock, "_held", device_lock._Held())


@pytest.mark.parametrize("there", ["file", "link", "open"])
def test_a_folder_that_somebody_else_may_have_made_is_refused(there, tmp_path):
    folder = tmp_path / f"segsearch-{os.getuid()}"
    if there == "file":
        folder.write_text("")
    elif there == "link":
        (tmp_path / "theirs").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "theirs")
    else:
        folder.mkdir()
        folder.chmod(0o777)
    with pytest.raises(InputError, match=rf"segsearch-{os.getuid()}: (cannot be made|is not a folder of yours alone)"):
        with working(CPU):
            pytest.fail("went in")


def test_a_lock_that_leads_elsewhere_is_refused(tmp_path):
    (device_lock.lock_folder() / "cpu.room").symlink_to(tmp_path / "theirs")
    with pytest.raises(InputError, match=r"cpu\.room: cannot be opened"), timing(CPU):
        pytest.fail("went in")
    assert not (tmp_path / "theirs").exists()


def in_thread(act):
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


def test_workers_share_the_device():
    inside, both = threading.Event(), []

    def work():
        with working(CPU):
            inside.set()

    with working(CPU):
        thread = in_thread(work)
        both.append(inside.wait(20))
    thread.join(20)
    assert both == [True]


def test_a_timer_is_alone_among_threads():
    order, timed = [], threading.Event()

    def work():
        timed.wait(20)
        with working(CPU):
            order.append("work")

    thread = in_thread(work)
    with timing(CPU):
        timed.set()
        time.sleep(0.1)
        order.append("time")
    thread.join(20)
    assert order == ["time", "work"]


def test_a_timer_gets_in_between_the_steps_of_two_trainings():
    """Two threads in turns leave no moment in which neither works; the timer still gets its turn, and ends it alone."""
    stop, steps, inside = threading.Event(), [0, 0], set()

    def train(number):
        while not stop.is_set():
            with working(CPU):
                inside.add(number)
                time.sleep(0.01)
                steps[number] += 1
                inside.discard(number)

    threads = [in_thread(lambda number=number: train(number)) for number in (0, 1)]
    try:
        for _ in range(5):
            with timing(CPU):
                before = list(steps)
                time.sleep(0.03)
                assert steps == before and not inside
    finally:
        stop.set()
    for thread in threads:
        thread.join(20)
    assert min(steps) > 0


def _train(ready: Event, stop: Event, steps) -> None:
    while not stop.is_set():
        with working(CPU):
            time.sleep(0.005)
            steps.value += 1
        ready.set()


def test_a_timer_is_alone_among_processes():
    context = multiprocessing.get_context("spawn")
    ready, stop, steps = context.Event(), context.Event(), context.Value("i", 0)
    other = context.Process(target=_train, args=(ready, stop, steps))
    other.start()
    try:
        assert ready.wait(60)
        with timing(CPU):
            before = steps.value
            time.sleep(0.1)
            assert steps.value == before
        ready.clear()
        assert ready.wait(60), "the training goes on afterwards"
    finally:
        stop.set()
        other.join(60)
    assert steps.value > before


def test_the_lock_of_a_dead_process_is_free():
    context = multiprocessing.get_context("spawn")
    ready, stop, steps = context.Event(), context.Event(), context.Value("i", 0)
    other = context.Process(target=_train, args=(ready, stop, steps))
    other.start()
    assert ready.wait(60)
    other.kill()
    other.join(60)
    with timing(CPU):
        pass


@pytest.mark.parametrize(("outer", "inner"), [(working, timing), (timing, working), (timing, timing)])
def test_a_thread_that_would_wait_for_itself_is_told(outer, inner):
    with outer(CPU), pytest.raises(AssertionError, match="would wait for itself"), inner(CPU):
        pass
    with inner(CPU):
        pass


def test_what_is_raised_inside_lets_go():
    for lock in (working, timing):
        with pytest.raises(ZeroDivisionError), lock(CPU):
            raise ZeroDivisionError
    with timing(CPU):
        pass
