"""How words on the command line become values."""

from typing import Annotated

import typer

from segsearch.errors import InputError
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
