"""What runs in Ray's processes: one stage of a trial in a temporary folder, and the desk that its reports go to.

Imports no torch: the desk needs none, and a stage brings what it needs.
"""

import pickle
import shutil
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ray

from segsearch.engine.executors.base import Task, Work
from segsearch.engine.executors.parcel import Parcel, packed, unpack
from segsearch.engine.executors.watchdog import run_watched
from segsearch.errors import one_line
from segsearch.processes import Process
from segsearch.result import TrialResult
from segsearch.study_files import CHECKPOINT

TELL_SECONDS = 0.5
"""Least time between two reports of one trial."""
KEEP_BYTES_PER_SECOND = 1e6
"""Larger checkpoints are sent less often, at this rate."""
_PREFIX = "segsearch-trial-"


@dataclass
class Desk:
    """An actor beside the driver: takes reports and checkpoints of stages, and tells the stages to stop."""

    told: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    """The latest report of each stage since they were last asked for."""
    kept: dict[str, Parcel] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)
    stops_all: bool = False

    def tell(self, key: str, said: tuple[str, int, int], kept: Parcel) -> bool:
        """Take a report of a stage; return whether that stage is to stop."""
        if key in self.stopped or self.stops_all:
            return True
        self.told[key] = said
        if kept:
            self.kept[key] = kept
        return False

    def hear(self) -> tuple[dict[str, tuple[str, int, int]], dict[str, Parcel]]:
        """Give all reports and checkpoints that came since the last call."""
        told, kept, self.told, self.kept = self.told, self.kept, {}, {}
        return told, kept

    def stop(self, key: str | None = None) -> None:
        """Have a stage stop at its next report; default: all of them."""
        self.stops_all |= key is None
        self.stopped |= {key} if key is not None else set()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of a stage on some machine."""

    result: TrialResult | None = None
    """None where the stage was stopped, or something was raised."""
    error: Exception | None = None
    parcel: Parcel
    node: str
    """Ray's id of the machine."""
    host: str


def run_stage(
    work: Work,
    task: Task,
    parcel: Parcel,
    key: str,
    desk: Any,
    threads: int,
    keep_seconds: float,
    step_seconds: float,
) -> Answer:
    """Run a stage in a temporary folder that begins with ``parcel``, and return what it left there.

    Args:
        work: runs the stage.
        task: the stage; its folder is another one here.
        parcel: the trial's files so far.
        key: of this very run, on the desk.
        desk: handle of the `Desk`.
        threads: of torch, as Ray's processes are used again by stages that want another number.
        keep_seconds: see `segsearch.engine.executors.ray_cluster.KEEP_SECONDS`.
        step_seconds: most that a training step may take.
    """
    facts: dict[str, Any] = {"node": ray.get_runtime_context().get_node_id(), "host": socket.gethostname()}
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    with _own_folder() as folder:
        line = _Line(desk, key, folder, keep_seconds, task.kept)
        try:
            unpack(parcel, folder, task.files)
            result = run_watched(work, replace(task, folder=folder), line, step_seconds)
            return Answer(result=result, parcel=packed(folder, task.files), **facts)
        except KeyboardInterrupt:
            return Answer(parcel=packed(folder, task.files), **facts)
        except Exception as error:
            return Answer(error=_sendable(error), parcel=packed(folder, task.files), **facts)


class _Line:
    """A stage's report to the desk: at most one under way, and not more often than every `TELL_SECONDS`."""

    def __init__(self, desk: Any, key: str, folder: Path, keep_seconds: float, kept: tuple[str, ...]) -> None:
        self._desk, self._key, self._folder, self._keep_seconds, self._names = desk, key, folder, keep_seconds, kept
        self._pending: Future[bool] | None = None
        self._told = -TELL_SECONDS
        self._kept, self._seen = time.monotonic(), 0

    def __call__(self, what: str, done: int, total: int) -> None:
        """Tell the desk. Raises KeyboardInterrupt once it wants the stage to stop, or is gone with the driver."""
        now = time.monotonic()
        if self._pending is None and now - self._told >= TELL_SECONDS:
            # waiting in a task by ray.get or ray.wait gives its processor away, and Ray would begin another training
            self._pending = self._desk.tell.remote(self._key, (what, done, total), self._checkpoint(now)).future()
            self._told = now
        if self._pending is not None and self._pending.done():
            pending, self._pending = self._pending, None
            try:
                stop = pending.result()
            except ray.exceptions.RayError:
                stop = True
            if stop:
                raise KeyboardInterrupt

    def _checkpoint(self, now: float) -> Parcel:
        """Return the checkpoint where it is a new one and time to send it; else nothing."""
        with suppress(OSError):
            found = (self._folder / CHECKPOINT).stat()
            pause = max(self._keep_seconds, found.st_size / KEEP_BYTES_PER_SECOND)
            if found.st_mtime_ns != self._seen and now - self._kept >= pause:
                self._kept, self._seen = now, found.st_mtime_ns
                return packed(self._folder, self._names)
        return {}


@contextmanager
def _own_folder() -> Iterator[Path]:
    """Give a temporary folder, and remove those that processes left behind that were killed."""
    parent = Path(tempfile.gettempdir())
    for left in parent.glob(f"{_PREFIX}*"):
        process = Process.tagged("-".join(left.name.removeprefix(_PREFIX).split("-")[:2]))
        if process is not None and process.state == "ended":
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{Process.this().tag}-") as folder:
        yield Path(folder)


def _sendable(error: Exception) -> Exception:
    """Return the error with its traceback as text; another kind where it cannot be sent."""
    text = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {one_line(error)}")
    error.__cause__ = error.__context__ = None
    error.add_note(text)
    return error
