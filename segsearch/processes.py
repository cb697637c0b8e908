"""Other processes of this machine, as those who share something with them need to know them."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import psutil

_SAME_START_SECONDS = 2.0
"""A process's start is computed from the clock, which may be set a little in between."""
KILLED_BY = frozenset({signal.SIGKILL, signal.SIGTERM})
"""Signals from outside, such as the system's where memory is short; others are crashes of the process itself."""
_ENDED = frozenset({psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD})


class Process(NamedTuple):
    """One process: its number, which the system uses again, and the time when it started, which it does not."""

    pid: int
    start: float
    """Seconds since 1970."""

    @classmethod
    def this(cls) -> "Process":
        """Return the process that runs now."""
        return _this(os.getpid())

    @classmethod
    def tagged(cls, tag: str) -> "Process | None":
        """Return the process of a `tag`; None for any other text."""
        pid, _, start = tag.partition("-")
        return cls(int(pid), int(start) / 100) if pid.isdecimal() and start.isdecimal() else None

    @property
    def tag(self) -> str:
        """``PID-START``, START in hundredths of seconds, as a part of the name of a file that belongs to a process."""
        return f"{self.pid}-{round(100 * self.start)}"

    @property
    def state(self) -> Literal["running", "stopped", "ended"]:
        """``stopped`` by Ctrl-Z or SIGSTOP: it uses no processor until it is continued."""
        try:
            found = psutil.Process(self.pid)
            if abs(found.create_time() - self.start) > _SAME_START_SECONDS:
                return "ended"
            status = found.status()
        except psutil.NoSuchProcess:
            return "ended"
        except psutil.AccessDenied:
            return "running"
        return "ended" if status in _ENDED else "stopped" if status == psutil.STATUS_STOPPED else "running"

    def __str__(self) -> str:
        """Name it in a sentence, by number and command."""
        try:
            words = psutil.Process(self.pid).cmdline() if self.state != "ended" else []
        except psutil.Error:
            words = []
        command = " ".join([os.path.basename(words[0]), *words[1:]]) if words else "ended"
        command = "".join(letter if letter.isprintable() else " " for letter in command)
        return f"process {self.pid} ({command if len(command) <= 100 else command[:99] + '…'})"


@lru_cache(maxsize=1)
def _this(pid: int) -> Process:
    return Process(pid, psutil.Process().create_time())


class Notice:
    """Tells a loop that waits when to say for what: after `AFTER_SECONDS`, and then every `EVERY_SECONDS`."""

    AFTER_SECONDS, EVERY_SECONDS = 2.0, 30.0

    def __init__(self) -> None:
        self._at = time.monotonic() + self.AFTER_SECONDS

    def due(self) -> bool:
        """Return True if it is time to, and count from now on."""
        now = time.monotonic()
        if now < self._at:
            return False
        self._at = now + self.EVERY_SECONDS
        return True


def python_module(module: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Return command and environment of a new interpreter that runs a module of the very package that runs now."""
    here = str(Path(__file__).parents[1])
    search = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    # -P: modules of the working folder are not taken for those of the library
    return [sys.executable, "-P", "-m", module, *arguments], os.environ | {"PYTHONPATH": search}


def die_with_parent() -> None:
    """Have the system kill this process when the thread that started it ends, however that ends (Linux only)."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            sys.exit("the process that started this one has ended")


def end_for_good(process: subprocess.Popen[bytes], seconds: float = 1.0) -> None:
    """End a process that leads a group, and all that it started: by SIGTERM, and after ``seconds`` by SIGKILL."""
    if not hasattr(os, "killpg"):
        process.kill()
    else:
        _signal_group(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        _signal_group(process.pid, signal.SIGKILL)
    process.wait()


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def memory_bytes(pid: int) -> int:
    """Return the resident memory of a process; 0 where it has ended."""
    try:
        held: int = psutil.Process(pid).memory_info().rss
    except psutil.Error:
        return 0
    return held


def machine_memory_bytes() -> int:
    """Return the memory of this machine, or of the container that this process runs in where that has less."""
    total: int = psutil.virtual_memory().total
    with contextlib.suppress(OSError, ValueError):  # no such file, or "max"
        total = min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return total
