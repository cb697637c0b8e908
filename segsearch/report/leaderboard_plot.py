"""The picture of a leaderboard: printed mIoU over measured speed, and printed speed beside measured speed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segsearch.leaderboard.board import Board, Entry, speed_rows
from segsearch.leaderboard.order import geometric_mean
from segsearch.report.canvas import SOFT, canvas, write_png
from segsearch.report.labels import Box, Label, text_box, write_labels
from segsearch.space.points import named_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME = "leaderboard.png"
WIDTH_INCHES, ROW_INCHES = 13.0, 6.0
COLORS = (
    *("#0b7285", "#d9480f", "#5f3dc4", "#2b8a3e", "#c2255c", "#1864ab", "#e67700", "#495057"),
    *("#862e9c", "#087f5b", "#a61e4d", "#364fc7", "#5c940d", "#d6336c", "#00838f", "#795548"),
)
"""One per paper, in the alphabetical order of all papers, so that a paper keeps its colour."""
Dot = tuple[float, float, bool, Entry]
"""x, y, filled, and whose it is."""


def plot_boards(boards: Sequence[Board], path: Path, *, title: str) -> None:
    """Draw one row of two panels per board as a PNG; equal boards give equal bytes under one matplotlib.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    height = ROW_INCHES * len(boards)
    with canvas(WIDTH_INCHES, height, font_points=9.5) as figure:
        for row, board in enumerate(boards):
            _row(figure, board, bottom=(ROW_INCHES * (len(boards) - 1 - row) + 0.85) / height, height=4.25 / height)
        figure.text(0.05, 1 - 0.25 / height, title, fontsize=13, fontweight="bold", va="center")
        _legend(figure, boards)
    write_png(figure, path)


def color_of(paper: str) -> str:
    """Return the paper's colour, the same in every picture."""
    papers = sorted({point.paper for point in named_points().values()})
    return COLORS[papers.index(paper) % len(COLORS)]


def _row(figure: Any, board: Board, *, bottom: float, height: float) -> None:
    left = figure.add_axes((0.05, bottom, 0.44, height))
    right = figure.add_axes((0.545, bottom, 0.44, height))
    figure.text(0.05, bottom + 1.09 * height, f"{board.protocol}{_doubt(board)}", fontsize=9.5, color="#52606d")
    _draw(left, accuracy_dots(board), "measured FPS", "mIoU printed for Cityscapes, %", "mIoU printed, speed measured")
    left.set_xscale("log")
    tau = board.overall.tau
    said = "" if tau is None else f": Kendall's tau {tau:.2f} over {len(board.overall.speeds)} points"
    right.set_xscale("log")
    right.set_yscale("log")
    _draw(right, speed_dots(board), "printed FPS", "measured FPS", f"speed printed and measured{said}")
    _ratio_line(right, board)
    for axes, dots in ((left, accuracy_dots(board)), (right, speed_dots(board))):
        _limits(axes, dots, log_y=axes is right)
        label_dots(axes, dots)


def _doubt(board: Board) -> str:
    unsteady = sum(not entry.latency.steady for entry in board.entries)
    return f"; {unsteady} of {len(board.entries)} measurements not steady" if unsteady else ""


def accuracy_dots(board: Board) -> list[Dot]:
    """Return (measured FPS, printed mIoU in percent); filled where it is of Cityscapes' val split."""
    rows = ((entry, entry.miou) for entry in board.entries)
    return [(entry.latency.fps, row.value, row.split == "val", entry) for entry, row in rows if row is not None]


def speed_dots(board: Board) -> list[Dot]:
    """Return (printed FPS, measured FPS) of every printed frame rate; filled where it is of the measured size."""
    return [
        (row.value, entry.latency.fps, entry.same_size(row), entry)
        for entry in board.entries
        for row in speed_rows(entry.point)
    ]


def label_dots(axes: "Axes", dots: Sequence[Dot]) -> list[Box]:
    """Name the dots, leads first, then those printed for this size; each point once. Returns the names' rectangles.

    Names keep off marks, one another and other text in the axes.
    """
    order = sorted(dots, key=lambda dot: (not dot[3].point.lead, not dot[2], -dot[1], dot[3].point.name))
    once = {dot[3].point.name: dot for dot in reversed(order)}
    labels = [
        Label(x=x, y=y, text=name, color=color_of(entry.point.paper), needed=entry.point.lead)
        for name, (x, y, _, entry) in reversed(once.items())
    ]
    return write_labels(axes, labels, [(x, y) for x, y, _, _ in dots], taken=[text_box(text) for text in axes.texts])


def _draw(axes: "Axes", dots: Sequence[Dot], x_label: str, y_label: str, title: str) -> None:
    for x, y, filled, entry in dots:
        color = color_of(entry.point.paper)
        face, zorder = (color if filled else "white"), 4 if entry.point.lead else 3
        marker, size = ("s", 42) if entry.point.lead else ("o", 26)
        axes.scatter([x], [y], marker=marker, s=size, facecolors=face, edgecolors=color, linewidths=1.1, zorder=zorder)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_title(title, fontsize=10.5, loc="left")
    axes.grid(color="#e9ecef", linewidth=0.8, which="both")
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _limits(axes: "Axes", dots: Sequence[Dot], *, log_y: bool) -> None:
    """Leave room around the dots, on the right more, where names stand; write plain numbers on log axes."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    xs, ys = [dot[0] for dot in dots] or [1.0, 10.0], [dot[1] for dot in dots] or [1.0, 10.0]
    axes.set_xlim(min(xs) / 1.5, max(xs) * 2.2)
    axes.set_ylim(*((min(ys) / 1.5, max(ys) * 1.5) if log_y else (min(ys) - 2, max(ys) + 2)))
    for axis in (axes.xaxis, axes.yaxis) if log_y else (axes.xaxis,):
        axis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


def _ratio_line(axes: "Axes", board: Board) -> None:
    """Where every dot would lie if this device ran each network at the same share of its printed speed."""
    speeds = board.overall.speeds
    if not speeds:
        return
    ratio = geometric_mean([s.measured_fps / s.published_fps for s in speeds])
    axes.axline((1.0, ratio), (10.0, 10 * ratio), color=SOFT, linewidth=1.0, linestyle="--", zorder=1)
    note = f"dashed: {ratio:.3g} of the printed speed, the geometric mean"
    axes.text(0.99, 0.015, note, transform=axes.transAxes, fontsize=7.5, color="#52606d", ha="right")


def _legend(figure: Any, boards: Sequence[Board]) -> None:
    from matplotlib.lines import Line2D

    def mark(label: str, marker: str, color: str, face: str) -> Any:
        return Line2D([], [], linestyle="", marker=marker, color=color, markerfacecolor=face, label=label, markersize=6)

    papers = sorted({entry.point.paper for board in boards for entry in board.entries})
    handles = [mark(paper, "o", color_of(paper), color_of(paper)) for paper in papers]
    handles.append(mark("a paper's lead", "s", SOFT, SOFT))
    handles.append(mark("hollow: test split (left), another size (right)", "o", SOFT, "white"))
    figure.legend(handles=handles, loc="lower center", ncols=9, frameon=False, fontsize=8.5, handletextpad=0.2)
