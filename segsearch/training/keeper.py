"""When a training writes its checkpoint, and how it starts from one."""

import time
from pathlib import Path

import torch

from segsearch.errors import InputError
from segsearch.training.checkpoint import CURE, Stamp, load_checkpoint, save_checkpoint
from segsearch.training.session import Session

FIRST_PAUSE_SECONDS = 3.0
"""From the start of a session to its first checkpoint; every later pause is twice as long, up to the longest."""


class Keeper:
    """Keeps a session's checkpoint file, or does nothing without a path; counts the seconds."""

    def __init__(
        self, session: Session, path: Path | None, stamp: Stamp, every_seconds: float, writes: bool = True
    ) -> None:
        self._session, self._path, self._stamp, self._every_seconds = session, path, stamp, every_seconds
        self._writes = writes
        self._pause_seconds = min(FIRST_PAUSE_SECONDS, every_seconds)
        self._before = 0.0
        self._begun = self._saved = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Time in the loop so far, earlier sessions included."""
        return self._before + time.perf_counter() - self._begun

    def resume(self) -> None:
        """Go on from the file, if there is one."""
        if self._path is None or not self._path.exists():
            return
        state = load_checkpoint(self._path, self._stamp)
        try:
            self._before = float(state["seconds"])
            self._session.restore(state)
        except torch.OutOfMemoryError:  # of the device, which others may have filled: the file is sound
            raise
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise InputError(self._path, f"does not fit this version ({type(error).__name__})", CURE) from error

    def tick(self) -> None:
        """Save when it is time: soon after the start, as what was killed once may be again, then ever less often."""
        if time.perf_counter() - self._saved >= self._pause_seconds:
            self.save()
            self._pause_seconds = min(2 * self._pause_seconds, self._every_seconds)

    def save(self) -> None:
        """Write the file; not where weights are NaN or infinite: what goes on from there could only fail."""
        if self._path is not None and self._writes and self._session.finite:
            save_checkpoint(self._path, self._stamp, {**self._session.state(), "seconds": self.seconds})
        self._saved = time.perf_counter()
