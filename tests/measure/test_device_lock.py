"""Who waits for whom on a device, among threads and among real processes that work, stop and die."""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from segsearch.errors import InputError
from segsearch.measure import device_lock
from segsearch.measure.device_lock import timing, working
from segsearch.processes import Notice

CPU = torch.device("cpu")
LOCKS = {"working": working, "timing": timing}


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    """Locks of this test only: whoever else measures on this machine must not hold it up."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)


@pytest.fixture
def queue(tmp_path):
    return tmp_path / f"segsearch-{os.getuid()}" / "cpu"


OTHER = """
import os, signal, sys
from collections import namedtuple
from segsearch.measure.device_lock import _Entry, timing, working
from segsearch.processes import Notice
cpu = namedtuple("Device", "type")("cpu")  # torch takes seconds to load
doing, mode = sys.argv[1:]
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore it
if mode == "notes":  # as a search does
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: print("noted", flush=True))
if mode == "stops":  # itself, as soon as it has drawn its first turn
    draw = _Entry._draw
    def draw_and_stop(entry):
        _Entry._draw = draw
        draw(entry)
        os.kill(os.getpid(), signal.SIGSTOP)
    _Entry._draw = draw_and_stop
while True:
    try:
        with {"timing": timing, "working": working}[doing](cpu):
            print("inside", flush=True)
            if mode != "stream":
                sys.stdin.readline()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    if mode != "stream":
        break
print("left", flush=True)
"""


class Other:
    """Another process that uses the device; it leaves when it is told to."""

    def __init__(self, process: subprocess.Popen) -> None:
        self.process, self.pid = process, process.pid

    def said(self, seconds: float = 60.0) -> str | None:
        """The next line; None if there is none for so long."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        return self.process.stdout.readline().decode().strip() if ready else None

    def leave(self) -> None:
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        if number == signal.SIGSTOP:
            self.stopped()

    def stopped(self) -> None:
        """Wait until it is."""
        os.waitpid(self.pid, os.WUNTRACED)


@contextmanager
def other(doing: str, mode: str = "once") -> Iterator[Other]:
    """Without buffers on our side: `select` sees what has been said."""
    command = [sys.executable, "-c", OTHER, doing, mode]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        try:
            yield Other(process)
        finally:
            process.kill()


def waiting(queue: Path, process: Other) -> None:
    """Wait until a process stands in the queue."""
    while not [path for path in queue.iterdir() if path.name.split(".")[2].split("-")[0] == str(process.pid)]:
        time.sleep(0.01)


@pytest.mark.parametrize("name", ["", "cpu"])
@pytest.mark.parametrize("there", ["file", "link", "open"])
def test_a_folder_that_somebody_else_may_have_made_is_refused(name, there, tmp_path):
    folder = tmp_path / f"segsearch-{os.getuid()}" / name
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    if there == "file":
        folder.write_text("")
    elif there == "link":
        (tmp_path / "theirs").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "theirs")
    else:
        folder.mkdir()
        folder.chmod(0o777)
    with pytest.raises(InputError, match=rf"{folder.name}: (cannot be made|is not a folder of yours alone)"):
        with working(CPU):
            pytest.fail("went in")


def test_a_lock_that_leads_elsewhere_is_refused(tmp_path):
    (device_lock.lock_folder() / "cpu.queue").symlink_to(tmp_path / "theirs")
    with pytest.raises(InputError, match=r"cpu\.queue: cannot be written"), timing(CPU):
        pytest.fail("went in")
    assert not (tmp_path / "theirs").exists()


def test_what_is_no_entry_is_left_alone(queue):
    with working(CPU):
        pass
    strange = {"notes.txt", "7.timing.x-1", ".1.timing.1-1", "1.timing.1", "0.timing.1-1"}
    for name in strange:
        (queue / name).touch()
    with timing(CPU):
        pass
    assert {path.name for path in queue.iterdir()} == strange


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


def test_a_timer_gets_in_and_is_alone_among_processes_that_never_pause(queue):
    with other("working", "stream") as one, other("working", "stream") as two:
        assert (one.said(), two.said()) == ("inside", "inside")
        for _ in range(5):
            with timing(CPU):
                for process in (one, two):
                    while process.said(0) is not None:  # what it did before
                        pass
                assert (one.said(0.05), two.said(0.05)) == (None, None)
            assert (one.said(), two.said()) == ("inside", "inside")


@pytest.mark.parametrize("ours", ["working", "timing"])
@pytest.mark.parametrize("mode", ["killed", "buried"])
def test_the_place_of_a_dead_process_is_free(ours, mode, queue):
    with other("timing") as holder:
        assert holder.said() == "inside"
        holder.process.kill()
        if mode == "buried":  # else a zombie, which nobody has waited for
            holder.process.wait()
        with LOCKS[ours](CPU):
            assert len(list(queue.iterdir())) == 1, "and is cleared away"


@pytest.mark.parametrize(("theirs", "ours"), [("timing", "working"), ("timing", "timing"), ("working", "timing")])
def test_a_stopped_process_is_passed_over(theirs, ours, queue, capfd):
    with other(theirs) as holder:
        assert holder.said() == "inside"
        holder.signal(signal.SIGSTOP)
        for _ in range(2):
            with LOCKS[ours](CPU):
                pass
        said = capfd.readouterr().err
        assert said.startswith(f"segsearch: not waiting for process {holder.pid} (python")
        assert said.endswith(f"): it is stopped while {theirs} on cpu\n") and said.count("\n") == 1
        holder.signal(signal.SIGCONT)
        holder.leave()
        assert holder.said() == "left"
        assert list(queue.iterdir()) == []


@pytest.mark.parametrize("theirs", ["timing", "working"])
@pytest.mark.parametrize("mode", ["once", "stops"])
def test_a_stopped_process_that_was_passed_over_while_it_waited_waits_anew(mode, theirs, queue):
    """At whatever moment it was stopped: after it had looked who is before it, or just before it did."""
    with other(theirs, mode) as waiter:
        with timing(CPU):
            if mode == "stops":
                waiter.stopped()
            else:
                waiting(queue, waiter)
                waiter.signal(signal.SIGSTOP)
        with timing(CPU):
            time.sleep(1.1)
            waiter.signal(signal.SIGCONT)
            assert waiter.said(0.5) is None
        assert waiter.said() == "inside"


def test_nobody_waits_for_a_process_that_was_stopped_while_it_drew_its_turn(monkeypatch):
    monkeypatch.setattr(device_lock, "_DRAW_SECONDS", 0.05)
    drawing = "import os, sys, time, filelock; filelock.lock_descriptor(os.open(sys.argv[1], os.O_RDWR | os.O_CREAT))"
    path = device_lock.lock_folder() / "cpu.queue"
    command = [sys.executable, "-c", f"{drawing}; print('drawing', flush=True); time.sleep(60)", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"drawing\n"
        process.send_signal(signal.SIGSTOP)
        with timing(CPU):
            pass
        process.kill()


class Ear:
    """A stderr that acts when something is said."""

    def __init__(self, act) -> None:
        self.said, self.act = "", act

    def write(self, text: str) -> None:
        self.said += text
        if text.strip():
            self.act()

    def flush(self) -> None:
        pass


def test_a_wait_says_for_whom(monkeypatch):
    monkeypatch.setattr(Notice, "AFTER_SECONDS", 0.05)
    with other("timing") as holder:
        assert holder.said() == "inside"
        ear = Ear(holder.leave)
        monkeypatch.setattr(sys, "stderr", ear)
        with working(CPU):
            pass
    assert ear.said.startswith(f"segsearch: waiting for cpu: process {holder.pid} (python")
    assert ear.said.endswith(") is timing there\n") and ear.said.count("\n") == 1 and len(ear.said) < 200


@pytest.mark.parametrize(
    ("mode", "number", "said"),
    [
        ("once", signal.SIGINT, ["interrupted"]),
        ("notes", signal.SIGINT, ["noted", "interrupted"]),
        ("notes", signal.SIGTERM, ["noted", "interrupted"]),
    ],
)
def test_one_ctrl_c_ends_the_wait(mode, number, said, queue):
    with timing(CPU), other("working", mode) as waiter:
        waiting(queue, waiter)
        time.sleep(0.3)  # it is in the queue a moment before it can be interrupted
        waiter.signal(number)
        assert [waiter.said() for _ in said] == said
        assert waiter.said() == "left"
        assert len(list(queue.iterdir())) == 1, "ours"


def test_handlers_are_as_before_after_a_wait():
    """Also where one that was told of a signal has put another in its place."""
    before, told = signal.getsignal(signal.SIGINT), []

    def once(number, frame):
        told.append(number)
        signal.signal(signal.SIGINT, before)

    def hold():
        with timing(CPU):
            inside.set()
            leave.wait(20)

    for interrupt in (False, True):
        inside, leave = threading.Event(), threading.Event()
        thread = in_thread(hold)
        inside.wait(20)
        signal.signal(signal.SIGINT, once)
        try:
            threading.Timer(0.1, (lambda: signal.raise_signal(signal.SIGINT)) if interrupt else leave.set).start()
            if interrupt:
                with pytest.raises(KeyboardInterrupt), working(CPU):
                    pass
            else:
                with working(CPU):
                    assert signal.getsignal(signal.SIGINT) is once
            assert signal.getsignal(signal.SIGINT) is (before if interrupt else once)
        finally:
            signal.signal(signal.SIGINT, before)
            leave.set()
            thread.join(20)
    assert told == [signal.SIGINT]


@pytest.mark.parametrize(("outer", "inner"), [(working, timing), (timing, working), (timing, timing)])
def test_a_thread_that_would_wait_for_itself_is_told(outer, inner):
    with outer(CPU), pytest.raises(AssertionError, match="would wait for itself"), inner(CPU):
        pass
    with inner(CPU):
        pass


def test_what_is_raised_inside_lets_go(queue):
    for lock in (working, timing):
        with pytest.raises(ZeroDivisionError), lock(CPU):
            raise ZeroDivisionError
    with timing(CPU):
        pass
    assert list(queue.iterdir()) == []
