"""Where a study keeps what, and how one of its trials is named: the one place that knows its files' names.

A study's folder holds ``study.json`` and ``trials/0001/``, ``trials/0002/`` and so on. A trial is finished if and only
if its ``result.json`` exists.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, TypeVar

from segsearch.errors import InputError
from segsearch.files import check_folder

STUDY, SPENT, TRIALS, PROPOSAL, RESULT = "study.json", "spent.json", "trials", "proposal.json", "result.json"
RUN = "run.json"
"""In the folder of a run, which `segsearch train` makes; it has weights and a result as a trial has."""
LATENCY, CHECKPOINT, WEIGHTS = "latency.json", "checkpoint.pt", "weights.safetensors"
"""Beside them in a trial's folder, in the order in which they appear; the checkpoint goes once there is a result."""
PAUSED = "paused.json"
"""Beside its checkpoint: the result so far of a trial that is paused at a rung."""
REJECTED = "rejected.json"
"""The former result of a trial that was rejected once and runs again, as it may meet the budget after all."""
ERROR, MEMORY = "error.txt", "out_of_memory.txt"
"""In the folders of trials that failed, and of those that were short of memory once."""
LEAST_ID = 6
"""Fewest digits of a spec id that name a trial."""


class TornError(InputError):
    """A file that is not there, or not whole, as a crash leaves it."""


class Trial(Protocol):
    """What a trial is found by."""

    @property
    def number(self) -> int: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def spec_id(self) -> str: ...  # noqa: D102


T = TypeVar("T", bound=Trial)


def trial_folders(study: Path) -> list[Path]:
    """Folders of all trials, finished or not, in the order of their numbers. Raises InputError for a file instead."""
    trials = study / TRIALS
    check_folder(trials)
    folders = trials.glob("*") if trials.is_dir() else ()
    numbered = (path for path in folders if re.fullmatch("[0-9]{4,}", path.name) and path.is_dir())
    return sorted(numbered, key=lambda path: int(path.name))


def read_json(path: Path) -> object:
    """Read a JSON file.

    Raises:
        TornError: it is not there, or not whole. InputError: it cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise TornError(path, "cannot be read: No such file or directory") from error
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise TornError(path, "is not whole JSON") from error


def split_trial(written: str) -> tuple[Path, str] | None:
    """Split ``runs/my_study#12`` into the study's folder and the key of a trial; None where no study is named."""
    for mark in re.finditer("#", written):
        folder = Path(written[: mark.start()] or ".")
        if (folder / STUDY).is_file():
            return folder, written[mark.end() :]
    return None


def find_trial(trials: Iterable[T], key: str) -> T | None:
    """Find a trial by its number, else its network's name, or its spec id, of which the printed digits are enough.

    Raises:
        InputError: the name, or the first digits of an id, fit several networks.
    """
    trials = list(trials)
    if key.isdecimal() and len(key) < 10 and (numbered := [t for t in trials if t.number == int(key)]):
        return numbered[0]
    found = [trial for trial in trials if key in (trial.name, trial.spec_id)]
    if len({trial.spec_id for trial in found}) > 1:
        numbers = ", ".join(str(trial.number) for trial in found)
        raise InputError(key, "is the name of several networks", f"their numbers, {numbers}")
    found = found or [trial for trial in trials if len(key) >= LEAST_ID and trial.spec_id.startswith(key)]
    if len({trial.spec_id for trial in found}) > 1:
        raise InputError(key, "fits the ids of several networks", [trial.spec_id for trial in found])
    return found[0] if found else None
