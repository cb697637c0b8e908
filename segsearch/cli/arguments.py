"""How words on the command line become values."""

from pathlib import Path
from typing import Annotated

import typer

from segsearch.errors import InputError, meant
from segsearch.frozen import height_by_width


def size_hw(text: str, place: str = "--size") -> tuple[int, int]:
    """Read ``512x1024``: height, then width, in pixels.

    Raises:
        InputError: anything else, or a side of zero or beyond 16384 pixels.
    """
    sides = height_by_width(text)
    if sides is None or not all(1 <= side <= 16384 for side in sides):
        raise InputError(place, f"'{text}' is not a size", "HEIGHTxWIDTH in pixels, such as 512x1024")
    return sides


POINT_HELP = (
    "A name (see `segsearch points`), a YAML or JSON file of choices, the folder of a run or an exported model, "
    "or a study's trial, runs/NAME#12."
)


def _names(incomplete: str) -> list[str]:
    """Give the named points that a shell may complete a word to; it goes on to files by itself."""
    from segsearch.space.points import named_points

    return [name for name in named_points() if name.startswith(incomplete)]


PointArgument = Annotated[str, typer.Argument(metavar="POINT", help=POINT_HELP, autocompletion=_names)]
SizeOption = Annotated[str, typer.Option("--size", metavar="HxW", help="Input height x width in pixels.")]
ClassesOption = Annotated[int, typer.Option("--classes", min=2, max=256, help="Number of classes.")]
BUDGET_MISSED = 3
"""Exit code: the files are written, and miss the budget."""
JsonOption = Annotated[bool, typer.Option("--json", help="Print plain JSON for other programs.")]


def is_study(what: str, *, sized: bool) -> bool:
    """Tell a study, or one trial of it, from a point to be exported with a size of its own.

    Raises:
        InputError: it is neither.
    """
    from segsearch.deployment.card import JSON_NAME
    from segsearch.space.points import named_points
    from segsearch.study_files import STUDY, split_trial

    path = Path(what)
    if what in named_points() and not (path / STUDY).is_file():
        return False
    if split_trial(what) is not None:
        return not sized
    if path.is_dir() or path.is_file() or path.suffix in (".yaml", ".yml", ".json"):
        return path.is_dir() and not (path / JSON_NAME).is_file()
    problem = f"is neither a study's folder nor a point{meant(what, named_points())}"
    raise InputError(what, problem, "`segsearch points` lists those with a name")


def trial_of(what: str, point: str | None) -> tuple[Path, str | None]:
    """Return a study's folder and the network that is asked for: by ``STUDY#TRIAL``, by ``--point``, or by neither.

    A trial is told by its number, as names may be those of several networks.
    """
    from segsearch.describe import number_of_trial
    from segsearch.study_files import split_trial

    trial = split_trial(what)
    if trial is None:
        return Path(what), point
    if point is not None:
        raise InputError("--point", f"names a second network beside '{what}'")
    return trial[0], str(number_of_trial(*trial))
