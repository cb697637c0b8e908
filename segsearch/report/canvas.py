"""Figures that are drawn into files, alike under whatever notebook or settings of matplotlib."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from segsearch.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 150
INK, SOFT = "#1f2933", "#8a97a6"
_BACKEND = "MPLBACKEND"


@contextmanager
def canvas(width_inches: float, height_inches: float, *, font_points: float) -> Iterator["Figure"]:
    """Give an empty white figure that Agg draws, in our style, not in the one of the user's settings."""
    with _style({"font.size": font_points, "axes.edgecolor": SOFT, "text.color": INK, "axes.labelcolor": INK}):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(width_inches, height_inches), dpi=DPI, facecolor="white")
        FigureCanvasAgg(figure)
        yield figure


def write_png(figure: "Figure", path: Path) -> None:
    """Write a figure; equal figures give equal bytes under one matplotlib.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    buffer = io.BytesIO()
    with _style({}):
        figure.savefig(buffer, format="png", metadata={"Software": None})
    write_atomic(path, buffer.getvalue())


def write_svg(figure: "Figure", path: Path, *, title: str) -> None:
    """Write a figure with its text as shapes; equal figures give equal bytes under one matplotlib.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    buffer = io.BytesIO()
    with _style({"svg.hashsalt": "segsearch", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Title": title})
    write_atomic(path, buffer.getvalue())


@contextmanager
def _style(changes: dict[str, object]) -> Iterator[None]:
    """Load matplotlib without the backend that a notebook names, which may not be installed here, and set its style."""
    named = os.environ.pop(_BACKEND, None)
    try:
        import matplotlib
    finally:
        if named is not None:
            os.environ[_BACKEND] = named
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(changes)
        yield
