"""One process per folder: an advisory lock that the system drops when its holder dies, however it dies."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from segsearch.errors import InputError
from segsearch.processes import Process


@contextmanager
def locked(folder: Path, doing: str = "running this study") -> Iterator[None]:
    """Hold the folder's lock while the block runs; ``doing`` tells others what its holder is at.

    The file keeps number and start of the process that holds it, or held it last. A holder that is stopped keeps its
    lock, as it would go on writing when it is continued.

    Raises:
        InputError: another process holds it; names that. Or nothing can be written there.
    """
    path = folder / ".lock"
    try:
        lock = FileLock(path, blocking=False, fallback_to_soft=False)
        lock.acquire()
    except Timeout as error:
        raise InputError(folder, f"{_holder(path)} is {doing}") from error
    except OSError as error:
        allowed = "a folder on a file system with locks that you may write to"
        raise InputError(path, f"cannot be locked: {error.strerror}", allowed) from error
    try:
        with suppress(OSError):  # on a full disk it still locks; only its holder's number is missing
            path.write_text(Process.this().tag)
        yield
    finally:
        lock.release()


def in_use(folder: Path) -> bool:
    """Whether a process of this machine holds the folder's lock; changes nothing there."""
    path = folder / ".lock"
    try:
        holder = Process.tagged(path.read_text())
        if holder is None or holder.state == "ended":
            return False
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # never locked, or not ours to read
        return False
    return False


def _holder(path: Path) -> str:
    try:
        holder = Process.tagged(path.read_text())
    except (OSError, ValueError):
        holder = None
    if holder is None:
        return "another process"
    if holder.state == "ended":  # on another machine, or in another container
        return f"process {holder.pid} of another machine"
    cure = f", stopped (continue it with `kill -CONT {holder.pid}`, or end it with `kill -9 {holder.pid}`),"
    return f"another {holder}{cure if holder.state == 'stopped' else ''}"
