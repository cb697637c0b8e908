"""What scripts that train many networks share: commands in turn, and records that a repository keeps."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from safetensors import safe_open
from safetensors.torch import save

from segsearch.run.folder import RunFile
from segsearch.study_files import RESULT, RUN, WEIGHTS

LARGEST_WEIGHTS = 4_000_000
"""Bytes of a checkpoint that is kept in the repository."""
KEPT = (RUN, RESULT, "curves.png", "metrics.jsonl")
BEGIN, END = "<!-- tables -->\n", "<!-- end of tables -->\n"
PAUSE_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Job:
    """One command of the product. It goes on where it was stopped."""

    name: str
    """Of its log, too."""
    words: Callable[[], list[str]]
    """Behind ``segsearch``; asked for when the job begins, as they may depend on what earlier jobs found."""
    after: tuple[str, ...] = ()
    """Jobs that must be done before."""


def next_job(waiting: Sequence[Job], done: Collection[str]) -> Job | None:
    """Give the first job that waits for nothing any more."""
    return next((job for job in waiting if all(name in done for name in job.after)), None)


def run_jobs(
    jobs: Sequence[Job],
    folder: Path,
    *,
    at_once: int,
    minutes: float | None = None,
    done: Collection[str] = (),
    finished: Callable[[str], None] = lambda name: None,
) -> bool:
    """Run commands in their order, so many at once, each on one thread and with a log in ``folder``.

    A job whose predecessor failed is left out. Whatever ends this interrupts the commands that run, as Ctrl-C does, and
    waits until they have saved their state.

    Args:
        jobs: what is missing.
        folder: made if missing.
        at_once: commands side by side.
        minutes: no command begins later than that, and those that run are interrupted then; default: no end.
        done: names of jobs that were done before.
        finished: told the name of every job that ends well.

    Returns:
        Whether all are done.
    """
    folder.mkdir(parents=True, exist_ok=True)
    waiting, over = list(jobs), set(done)
    running: dict[str, subprocess.Popen[bytes]] = {}
    end = float("inf") if minutes is None else time.monotonic() + 60 * minutes
    before = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it, and so would ours
    signal.signal(signal.SIGTERM, _leave)
    try:
        while time.monotonic() < end:
            for name in [name for name, process in running.items() if process.poll() is not None]:
                code = running.pop(name).returncode
                print(f"{name}: {'done' if code == 0 else f'exit code {code}, see {folder / name}.log'}", flush=True)
                if code == 0:
                    over.add(name)
                    finished(name)
            while len(running) < at_once and (job := next_job(waiting, over)) is not None:
                waiting.remove(job)
                running[job.name] = _started(job, folder)
            if not running:
                break
            time.sleep(PAUSE_SECONDS)
    finally:
        for process in running.values():
            process.send_signal(signal.SIGINT)
        for name, process in running.items():
            print(f"{name}: stopped, exit code {process.wait()}", flush=True)
        for number, handler in before:
            signal.signal(number, handler)
    return all(job.name in over for job in jobs)


def _started(job: Job, folder: Path) -> "subprocess.Popen[bytes]":
    """Begin a command in a session of its own, so that Ctrl-C reaches it from here alone, and once."""
    print(f"{job.name}: begun", flush=True)
    with (folder / f"{job.name}.log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "segsearch", *job.words()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def keep_run(source: Path, target: Path, *, root: str | None, more: Sequence[str] = (), weights: bool = True) -> None:
    """Copy the records of a run, without paths of this machine, and its weights, see `keep_weights`.

    Args:
        source: the run's folder.
        target: made if missing.
        root: what stands in place of the path of its data; None: the data has none.
        more: names of further files.
        weights: whether weights are kept.
    """
    target.mkdir(parents=True, exist_ok=True)
    for name in (*KEPT, *more):
        shutil.copyfile(source / name, target / name)
    asked = json.loads((target / RUN).read_text("utf-8"))
    if root is not None:
        asked["data"]["root"] = root
    (target / RUN).write_text(RunFile.parse(asked, target / RUN).lines(), "utf-8")
    if weights:
        keep_weights(source / WEIGHTS, target / WEIGHTS)


def keep_weights(source: Path, target: Path) -> None:
    """Copy weights that are small enough, or are so once kernels are halved to float16; others are left out."""
    if source.stat().st_size < LARGEST_WEIGHTS:
        shutil.copyfile(source, target)
    elif source.stat().st_size < 2 * LARGEST_WEIGHTS:
        with safe_open(source, framework="pt") as file:
            tensors, told = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()
        # statistics and scales of BatchNorm are few, and variances may be larger than float16 can tell
        halved = {name: tensor.half() if tensor.ndim > 1 else tensor for name, tensor in tensors.items()}
        content = save(halved, told)
        if len(content) < LARGEST_WEIGHTS:
            target.write_bytes(content)


def put_between_marks(page: Path, text: str) -> None:
    """Replace what stands between the marks of a page."""
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}{text}\n{END}{after}", "utf-8")
