"""A limit on the time of one training step, so that a network that hangs does not hold up its study for ever."""

import faulthandler
import math
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Protocol

from segsearch.engine.executors.base import Task, Work
from segsearch.errors import SegsearchError
from segsearch.progress import Report
from segsearch.result import TrialResult

TICKS = 20
"""In which a limit is counted, by a thread: a process that is stopped for a night has lost no more than one of them."""
FIRST = 10
"""The first step of anything may take so many times as long: before it, a data set may be read whole, or a network
built for a runtime."""
HARD = 3
"""After so many times the limit, what does not even take an exception ends the process."""


class HungError(SegsearchError):
    """A training step took too long. The trial has failed: its network would hang again."""


class Alive(Protocol):
    """Says that a step has ended, or that something begins whose first step is to come."""

    def __call__(self, begins: bool = False) -> None: ...  # noqa: D102


def run_watched(work: Work, task: Task, report: Report, step_seconds: float) -> TrialResult:
    """Run a stage; one in which a training step, or an image to score, takes longer than ``step_seconds`` has failed.

    A report of nothing done yet says that something begins.
    """

    def told(what: str, done: int, total: int) -> None:
        alive(begins=not done)
        report(what, done, total)

    try:
        with watched(step_seconds if task.stage == "train" else math.inf) as alive:
            return work(task, told)
    except HungError as error:
        return TrialResult(state="failed", reason=str(error), spec=task.spec, spec_id=task.spec.id, seconds={})


@contextmanager
def watched(seconds: float) -> Iterator[Alive]:
    """Raise HungError in the block once its function has not been called for so long; infinity watches nothing.

    What hangs in a library, where Python takes no exception, ends the process with a traceback; where that happens
    twice in one trial, it has failed. Outside of the main thread, where Python takes no signals, nothing is watched.
    """
    main = threading.main_thread()
    if math.isinf(seconds) or threading.current_thread() is not main:
        yield lambda begins=False: None
        return
    at_first, ended = -(FIRST - 1) * TICKS, threading.Event()
    ticks = at_first

    def alive(begins: bool = False) -> None:
        nonlocal ticks
        ticks = at_first if begins else 0

    def expired(number: int, frame: FrameType | None) -> None:
        raise HungError(f"no training step ended within {seconds:g} s (step_seconds in the study's file)")

    def count() -> None:
        nonlocal ticks
        while not ended.wait(seconds / TICKS):
            ticks += 1
            if ticks == TICKS:
                signal.pthread_kill(main.ident or 0, signal.SIGALRM)
            elif ticks == HARD * TICKS:
                with suppress(OSError, ValueError):
                    print(f"a training step hangs since {HARD * seconds:g} s:", file=sys.__stderr__, flush=True)
                    faulthandler.dump_traceback(sys.__stderr__ or 2)
                os._exit(1)

    before = signal.signal(signal.SIGALRM, expired)
    thread = threading.Thread(target=count, name="watchdog", daemon=True)
    try:
        thread.start()
        yield alive
    finally:
        ended.set()
        thread.join()
        signal.signal(signal.SIGALRM, before)
