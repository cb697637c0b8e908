"""Other processes of this machine, as those who share something with them need to know them."""

import os
from typing import Literal, NamedTuple

import psutil

_SAME_START_SECONDS = 2.0
"""A process's start is computed from the clock, which may be set a little in between."""
_STOPPED = frozenset({psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP})
_ENDED = frozenset({psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD})


class Process(NamedTuple):
    """One process: its number, which the system uses again, and the time when it started, which it does not."""

    pid: int
    start: float
    """Seconds since 1970."""

    @classmethod
    def this(cls) -> "Process":
        """Return the process that runs now."""
        return cls(os.getpid(), psutil.Process().create_time())

    @property
    def state(self) -> Literal["running", "stopped", "ended"]:
        """``stopped`` by Ctrl-Z, SIGSTOP or a debugger: it uses no processor until it is continued."""
        try:
            found = psutil.Process(self.pid)
            if abs(found.create_time() - self.start) > _SAME_START_SECONDS:
                return "ended"
            status = found.status()
        except psutil.NoSuchProcess:
            return "ended"
        except psutil.AccessDenied:
            return "running"
        return "ended" if status in _ENDED else "stopped" if status in _STOPPED else "running"

    def __str__(self) -> str:
        """Name it in a sentence, by number and command."""
        try:
            words = psutil.Process(self.pid).cmdline() if self.state != "ended" else []
        except psutil.Error:
            words = []
        command = " ".join([os.path.basename(words[0]), *words[1:]]) if words else "ended"
        command = "".join(letter if letter.isprintable() else " " for letter in command)
        return f"process {self.pid} ({command if len(command) <= 100 else command[:99] + '…'})"
