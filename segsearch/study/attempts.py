"""How often the process has died in a trial, so that a network that kills it does not end the whole study.

A network that takes too much memory is killed by the system together with the process: no record says so. So an attempt
is written down before it begins, and a process that stops it otherwise, by Ctrl-C or an error, takes it back.
"""

from contextlib import suppress
from pathlib import Path

from segsearch.errors import InputError
from segsearch.files import write_atomic
from segsearch.frozen import Frozen
from segsearch.study_files import CHECKPOINT, LATENCY, WEIGHTS, TornError, read_json

ATTEMPT = "attempt.json"
MOST_DEATHS = 2
"""Deaths of the process in one trial, with no progress between them, after which it counts as failed."""


class _Attempt(Frozen):
    running: bool = False
    deaths: int = 0
    """In a row, all at the same point of the trial."""
    reached: tuple[int, ...] | None = None
    """How far the trial had come when the process died last, see `_reached`."""


def begin(folder: Path) -> str | None:
    """Write down that a stage begins in a folder; return why it must not, where the process has died in it twice.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    last, reached = _read(folder), _reached(folder)
    if last.running:
        deaths = last.deaths + 1 if last.reached == reached else 1
        last = _Attempt(deaths=deaths, reached=reached)
    if last.deaths >= MOST_DEATHS:
        return (
            f"the process was killed {last.deaths} times while {_doing(folder)}, with no progress in between: probably"
            " out of memory"
        )
    _write(folder, last.model_copy(update={"running": True}))
    return None


def leave(folder: Path) -> None:
    """Take back that a trial runs, as it is stopped on purpose. Must not fail: the reason to stop is told instead."""
    with suppress(InputError):
        last = _read(folder)
        if last.running:
            _write(folder, last.model_copy(update={"running": False}))


def forget(folder: Path) -> None:
    """Drop the count, as the trial has a result."""
    (folder / ATTEMPT).unlink(missing_ok=True)


def _read(folder: Path) -> _Attempt:
    try:
        return _Attempt.parse(read_json(folder / ATTEMPT), folder / ATTEMPT)
    except TornError:
        return _Attempt()


def _write(folder: Path, attempt: _Attempt) -> None:
    write_atomic(folder / ATTEMPT, attempt.model_dump_json(), durable=False)  # only the process's death is counted


def _reached(folder: Path) -> tuple[int, ...]:
    """Return when each of the files that a trial leaves on its way was last written, 0 where it is not there."""
    return tuple(_written_ns(folder / name) for name in (LATENCY, CHECKPOINT, WEIGHTS))


def _written_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _doing(folder: Path) -> str:
    latency, checkpoint, weights = _reached(folder)
    if not latency:
        return "the network was measured"
    return "it was scored" if weights > checkpoint > 0 else "it was trained"
