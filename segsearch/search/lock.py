"""One process per study folder: an advisory lock that the system drops when its holder dies, however it dies."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from segsearch.errors import InputError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock while the block runs.

    Raises:
        InputError: another process drives this study; names it. Or nothing can be written there.
    """
    try:
        import fcntl
    except ImportError:  # Windows has no flock: there the person keeps to one process
        yield
        return
    with _opened(folder / ".lock") as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
            raise InputError(folder, f"another process (pid {holder}) is running this study") from error
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
