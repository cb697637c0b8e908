"""The picture of a run: loss, learning rate and mIoU over the epochs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segsearch.report.canvas import INK, canvas, write_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE_INCHES = (7.0, 6.4)
LINE, DOT = "#0b7285", "#d9480f"
PANELS = {"loss": "loss", "rate": "learning rate", "miou": "mIoU of val, %"}
"""Key of a line of ``metrics.jsonl``, and the name of its axis."""


def plot_curves(lines: Sequence[Mapping[str, Any]], path: Path, *, title: str, printed: float | None = None) -> None:
    """Draw the lines of ``metrics.jsonl`` as a PNG; equal lines give equal bytes under one matplotlib.

    Args:
        lines: as `segsearch.run.metrics.read_metrics` gives them.
        path: the file.
        title: what was trained.
        printed: a paper's mIoU in percent, drawn as a line across.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    write_png(curves_figure(lines, title=title, printed=printed), path)


def curves_figure(lines: Sequence[Mapping[str, Any]], *, title: str, printed: float | None = None) -> "Figure":
    """Draw three panels below one another. Arguments as of `plot_curves`."""
    with canvas(*SIZE_INCHES, font_points=9.5) as figure:
        figure.text(0.11, 0.965, title, fontsize=12, fontweight="bold", va="center")
        panels = figure.subplots(len(PANELS), 1, sharex=True)
        figure.subplots_adjust(left=0.11, right=0.97, top=0.935, bottom=0.08, hspace=0.12)
        for axes, (key, name) in zip(panels, PANELS.items(), strict=True):
            there = [line for line in lines if key in line]
            factor = 100 if key == "miou" else 1
            style = {"marker": "o", "markersize": 4, "color": DOT} if key == "miou" else {"color": LINE}
            axes.plot([line["epoch"] for line in there], [factor * line[key] for line in there], linewidth=1.3, **style)
            axes.set_ylabel(name)
            axes.grid(color="#e9ecef", linewidth=0.8)
            axes.tick_params(colors=INK, length=3)
            for side in ("top", "right"):
                axes.spines[side].set_visible(False)
        if printed is not None:
            panels[-1].axhline(printed, color=INK, linewidth=1, linestyle="--")
            panels[-1].annotate(f"printed: {printed:g}", (0.01, printed), (0, 3), textcoords="offset points",
                                xycoords=panels[-1].get_yaxis_transform(), fontsize=8.5)  # fmt: skip
        panels[-1].set_xlabel("epochs")
        figure.align_ylabels(panels)
    return figure
