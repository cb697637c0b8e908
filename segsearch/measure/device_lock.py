"""Nothing of ours works on a device while it is being timed: one queue per device, over threads and processes.

The queue is a folder under the temporary one. Whoever wants the device creates an empty file there, whose name says its
turn, what it is doing, and its process. `working` starts when no earlier entry is timing; `timing` starts when there is
no earlier entry at all. As entries are served in the order in which they came, a stream of short works cannot starve a
measurement.

* An entry whose process has ended, however it ended, is removed by whoever meets it.
* An entry whose process is stopped (Ctrl-Z, SIGSTOP) is passed over, and that is said. This is safe: a stopped process
  uses no processor, and a GPU runs what was launched to its end in milliseconds, so it disturbs nothing that is timed.
  When it is continued while it waits, it draws a new turn. When it is continued in the middle of its own measurement or
  training step, both may overlap; then the load that every measurement watches, and the reference network beside it,
  mark the measurement as unsteady.

No library does this: the reader-writer lock of ``fasteners`` polls for a POSIX lock, which a stream of readers never
leaves free and which does not keep threads apart; that of ``filelock`` is a SQLite transaction; and neither can be
taken from a stopped process. ``filelock`` guards the moment in which a turn is drawn.
"""

import contextlib
import errno
import os
import signal
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Literal

from filelock import lock_descriptor, unlock_descriptor

from segsearch.errors import InputError
from segsearch.processes import Notice, Process
from segsearch.progress import say

if TYPE_CHECKING:
    import torch

Doing = Literal["working", "timing"]

_DRAW_SECONDS = 2.0
"""Drawing a turn takes a fraction of a millisecond; a process that takes longer was stopped in the middle of it."""
_ASLEEP_SECONDS = 1.0
"""A wait that was not looked after for so long was that of a stopped process: others may have passed it over."""
_LOOK_SECONDS = 0.02
_ELSEWHERE = "another temporary folder, by TMPDIR"


def lock_folder() -> Path:
    """Folder under the temporary one for what processes of one user tell each other about this machine's devices.

    Raises:
        InputError: it cannot be made, or is not this user's alone: its name is known to all on the machine.
    """
    user = os.getuid() if hasattr(os, "getuid") else 0
    try:
        folder = Path(tempfile.gettempdir()) / f"segsearch-{user}"
    except OSError as error:
        raise InputError("TMPDIR", f"no temporary folder can be written: {error.strerror}") from None
    _make_own(folder)
    return folder


def _make_own(folder: Path) -> None:
    try:
        if not os.path.lexists(folder):
            folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise InputError(folder, f"cannot be made: {error.strerror}", _ELSEWHERE) from error
    foreign = hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & 0o022)
    if not stat.S_ISDIR(found.st_mode) or foreign:
        raise InputError(folder, "is not a folder of yours alone", _ELSEWHERE)


@contextlib.contextmanager
def working(device: "torch.device") -> Iterator[None]:
    """Hold the device together with others that work; waits while somebody times on it."""
    with _inside(device, "working"):
        yield


@contextlib.contextmanager
def timing(device: "torch.device") -> Iterator[None]:
    """Hold the device alone; waits until all works of now have ended, and lets no new one begin."""
    with _inside(device, "timing"):
        yield


_inside_now: set[tuple[int, int, str]] = set()
"""Process, thread and device of every block that runs; a forked child has its parent's set, but another number."""
_passed_over: set[str] = set()


@contextlib.contextmanager
def _inside(device: "torch.device", doing: Doing) -> Iterator[None]:
    name = hardware_name(device)
    here = (os.getpid(), threading.get_ident(), name)
    assert here not in _inside_now, f"this thread is already on {name}: it would wait for itself"
    entry = _Entry(name, doing)
    try:
        entry.wait()
        _inside_now.add(here)
        yield
    finally:
        _inside_now.discard(here)
        entry.leave()


class _Entry:
    """One place in a device's queue, as a file ``TURN.DOING.TAG``, with the tag of its process."""

    def __init__(self, name: str, doing: Doing) -> None:
        self.name, self.doing = name, doing
        self.folder = lock_folder() / name
        self.path: Path | None = None
        self.looked = 0.0

    def wait(self) -> None:
        """Draw a turn and wait for it."""
        self._draw()
        if not self._before():
            return
        notice = Notice()
        with _interruptible():
            while before := self._before():
                if notice.due():
                    say("segsearch: waiting for {}: {} is {} there".format(self.name, *before[0]))
                time.sleep(_LOOK_SECONDS)

    def leave(self) -> None:
        """Give up the place."""
        if self.path is not None:
            with contextlib.suppress(OSError):
                self.path.unlink()
            self.path = None

    def _draw(self) -> None:
        """Take the place after the last one, instead of the one that this entry has, if it has one."""
        _make_own(self.folder)
        try:
            with self._drawing():
                self.leave()
                turn = 1 + max((_turn(other) for other in os.listdir(self.folder)), default=0)
                self.path = self.folder / f"{turn}.{self.doing}.{Process.this().tag}"  # before it is there: Ctrl-C
                self.looked = time.monotonic()  # before it is there: from then on others may pass it over
                os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):  # another folder would not help
                raise
            place = error.filename or self.folder
            raise InputError(place, f"cannot be written: {error.strerror}", _ELSEWHERE) from error

    @contextlib.contextmanager
    def _drawing(self) -> Iterator[None]:
        """Let nobody else draw; from a process that was stopped while it did, the right to is taken away."""
        path = self.folder.with_suffix(".queue")
        give_up = time.monotonic() + _DRAW_SECONDS
        while True:
            descriptor, locked = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600), False
            try:
                locked = lock_descriptor(descriptor, blocking=False)
                if locked and os.fstat(descriptor).st_nlink:  # else it was taken away between opening and locking
                    yield
                    return
                if not locked and time.monotonic() > give_up:
                    path.unlink(missing_ok=True)
                time.sleep(_LOOK_SECONDS / 20)
            finally:
                if locked:  # closing alone would leave it to a child that was forked meanwhile
                    unlock_descriptor(descriptor)
                os.close(descriptor)

    def _before(self) -> list[tuple[Process, str]]:
        """Return who must leave first, in order; draws anew if this process was stopped since it looked."""
        while True:
            before = self._earlier()
            now = time.monotonic()
            if now - self.looked <= _ASLEEP_SECONDS:
                self.looked = now
                return before
            self._draw()

    def _earlier(self) -> list[tuple[Process, str]]:
        """Return whose earlier entries must be waited for, and what each of them is doing."""
        assert self.path is not None
        mine, found = _turn(self.path.name), []
        for other in sorted(os.listdir(self.folder), key=_turn):
            _, _, rest = other.partition(".")
            doing, _, tag = rest.partition(".")
            process = Process.tagged(tag)
            if process is None or not 0 < _turn(other) < mine:
                continue
            if "timing" not in (doing, self.doing) or self._harmless(process, other):
                continue
            found.append((process, doing))
        return found

    def _harmless(self, process: Process, other: str) -> bool:
        """Whether a process cannot disturb, as it has ended or is stopped."""
        if process.pid == os.getpid():
            return False
        state = process.state
        if state == "ended":
            with contextlib.suppress(OSError):
                (self.folder / other).unlink()
        elif state == "stopped" and other not in _passed_over:
            _passed_over.add(other)
            say(f"segsearch: not waiting for {process}: it is stopped while {other.split('.')[1]} on {self.name}")
        return state != "running"


def _turn(name: str) -> int:
    """Return the turn of an entry; 0 of a file that is none."""
    turn = name.partition(".")[0]
    return int(turn) if turn.isdecimal() else 0


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let one SIGINT or SIGTERM end the block by KeyboardInterrupt, even where somebody's handler only notes it."""
    if threading.current_thread() is not threading.main_thread():  # the only one in which signals arrive
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def interrupt(number: int, frame: FrameType | None) -> None:
        handler = handlers[signal.Signals(number)]
        assert callable(handler)
        handler(number, frame)
        raise KeyboardInterrupt

    mine = [number for number, handler in handlers.items() if callable(handler)]
    for number in mine:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in mine:
            if signal.getsignal(number) is interrupt:  # a handler that was told may have put another in its place
                signal.signal(number, handlers[number])


@cache
def hardware_name(device: "torch.device") -> str:
    """One name for one piece of hardware: ``cuda:0`` of two processes may be two GPUs."""
    if device.type != "cuda":
        return device.type
    import torch

    index = torch.cuda.current_device() if device.index is None else device.index
    return f"cuda-{getattr(torch.cuda.get_device_properties(index), 'uuid', index)}"
