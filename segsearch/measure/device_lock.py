"""Nothing of ours works on a device while it is being timed: a lock per device, over threads and processes.

Two files per device under the temporary folder are locked by ``flock``. Whoever works holds ``room`` together with
others; whoever times holds it alone. Everybody goes in through ``door``, one at a time, and a timer stands in the door
while it waits for the room to empty, so that a row of short works cannot keep it out for ever.
"""

import contextlib
import os
import stat
import tempfile
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import torch

from segsearch.errors import InputError

try:
    import fcntl
except ImportError:  # Windows has no flock: there threads are kept apart and processes are not
    fcntl = None  # type: ignore[assignment]


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
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise InputError(folder, f"cannot be made: {error.strerror}", _ELSEWHERE) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != user or (os.name == "posix" and found.st_mode & 0o022):
        raise InputError(folder, "is not a folder of yours alone", _ELSEWHERE)
    return folder


_ELSEWHERE = "another temporary folder, by TMPDIR"


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except OSError as error:
        raise InputError(path, f"cannot be opened: {error.strerror}", _ELSEWHERE) from error


class _Files:
    """Door and room of one device, open for one thread."""

    def __init__(self, name: str) -> None:
        folder = lock_folder()
        self.door = _open(folder / f"{name}.door")
        self.room = _open(folder / f"{name}.room")

    def __del__(self) -> None:
        for which in ("door", "room"):
            with contextlib.suppress(AttributeError, TypeError, OSError):  # half made, or at the end of the process
                os.close(getattr(self, which))


class _Held(threading.local):
    """What this thread holds: open files by device, of this process only, and the devices it is on."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.files: dict[str, _Files] = {}
        self.inside: set[str] = set()

    def of(self, name: str) -> _Files:
        """Files of a device; a thread and a forked child each need their own, or they share the lock."""
        if self.process != os.getpid():
            self.process, self.files, self.inside = os.getpid(), {}, set()
        if name not in self.files:
            self.files[name] = _Files(name)
        return self.files[name]


_held = _Held()
_threads: dict[str, threading.Lock] = {}


@contextlib.contextmanager
def working(device: torch.device) -> Iterator[None]:
    """Hold the device together with others that work; waits while somebody times on it."""
    with _inside(device, alone=False):
        yield


@contextlib.contextmanager
def timing(device: torch.device) -> Iterator[None]:
    """Hold the device alone; waits until all works of now have ended, and lets no new one begin."""
    with _inside(device, alone=True):
        yield


@contextlib.contextmanager
def _inside(device: torch.device, alone: bool) -> Iterator[None]:
    name = hardware_name(device)
    assert name not in _held.inside, f"this thread is already on {name}: it would wait for itself"
    with _flocked(name, alone) if fcntl else _threads.setdefault(name, threading.Lock()):
        _held.inside.add(name)
        try:
            yield
        finally:
            _held.inside.discard(name)


@contextlib.contextmanager
def _flocked(name: str, alone: bool) -> Iterator[None]:
    files = _held.of(name)
    try:
        fcntl.flock(files.door, fcntl.LOCK_EX)
        try:
            fcntl.flock(files.room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        finally:
            fcntl.flock(files.door, fcntl.LOCK_UN)
        yield
    finally:
        fcntl.flock(files.room, fcntl.LOCK_UN)


@cache
def hardware_name(device: torch.device) -> str:
    """One name for one piece of hardware: ``cuda:0`` of two processes may be two GPUs."""
    if device.type != "cuda":
        return device.type
    index = torch.cuda.current_device() if device.index is None else device.index
    return f"cuda-{getattr(torch.cuda.get_device_properties(index), 'uuid', index)}"
