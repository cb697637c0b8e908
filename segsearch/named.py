"""Which kind of thing a word of a command, or a path, names: a study or its trial, a run, or a point."""

from pathlib import Path
from typing import Literal

from segsearch.deployment.card import JSON_NAME
from segsearch.describe import number_of_trial
from segsearch.errors import InputError, meant
from segsearch.space.points import named_points
from segsearch.study_files import RUN, STUDY, split_trial

Kind = Literal["study", "run", "point"]


def kind_of(written: str, *, sized: bool = False) -> Kind:
    """Tell what a word names. A trial, ``STUDY#12``, is its study's, or, with a size of its own, a point.

    Raises:
        InputError: it is none of them.
    """
    path = Path(written)
    if (path / RUN).is_file():
        return "run"
    if written in named_points() and not (path / STUDY).is_file():
        return "point"
    if split_trial(written) is not None:
        return "point" if sized else "study"
    if path.is_dir():
        return "point" if (path / JSON_NAME).is_file() else "study"
    if path.is_file() or path.suffix in (".yaml", ".yml", ".json"):
        return "point"
    problem = f"is neither a study's folder nor a point{meant(written, named_points())}"
    raise InputError(written, problem, "`segsearch points` lists those with a name")


def trial_of(written: str, point: str | None = None) -> tuple[Path, str | None]:
    """Return a study's folder and the network that is asked for: by ``STUDY#TRIAL``, by ``point``, or by neither.

    A trial is told by its number, as names may be those of several networks.
    """
    trial = split_trial(written)
    if trial is None:
        return Path(written), point
    if point is not None:
        raise InputError("--point", f"names a second network beside '{written}'")
    return trial[0], str(number_of_trial(*trial))
