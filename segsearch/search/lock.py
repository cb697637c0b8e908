"""One process per study folder: an advisory lock that the system drops when its holder dies, however it dies."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from segsearch.errors import InputError


@contextmanager
def locked(folder: Path, doing: str = "running this study") -> Iterator[None]:
    """Hold the folder's lock while the block runs; ``doing`` tells others what its holder is at.

    Raises:
        InputError: another process holds it; names that. Or nothing can be written there.
    """
    try:
        import fcntl
    except ImportError:  # Windows has no flock: there the person keeps to one process
        yield
        return
    with _opened(folder / ".lock") as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
            raise InputError(folder, f"another process (pid {holder}) is {doing}") from error
        except OSError as error:
            allowed = "a folder on a file system with flock"
            raise InputError(folder / ".lock", f"cannot be locked: {error.strerror}", allowed) from error
        with suppress(OSError):  # on a full disk it still locks; only its holder's number is missing
            os.truncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
        yield


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError as error:
        raise InputError(path, f"cannot be written: {error.strerror}") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)
