"""One process per study folder: an advisory lock that the system drops when its holder dies, however it dies."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segsearch.errors import InputError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock while the block runs.

    Raises:
        InputError: another process drives this study; names it.
    """
    try:
        import fcntl
    except ImportError:  # Windows has no flock: there the person keeps to one process
        yield
        return
    with (folder / ".lock").open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise InputError(folder, f"another process (pid {holder}) is running this study") from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
