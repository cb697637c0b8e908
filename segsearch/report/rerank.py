"""A study under another protocol: what `segsearch rerank` prints and writes into the study's ``rerank`` folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table

from segsearch.files import write_atomic
from segsearch.leaderboard.rerank import FOLDER, Reranked, Retimed
from segsearch.report.canvas import INK, canvas, write_png
from segsearch.report.console import optional
from segsearch.report.labels import Label, write_labels
from segsearch.report.latency import marked
from segsearch.report.plot import ACCENT, BEATEN, LIMIT, PAPER
from segsearch.report.words import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

SIZE_INCHES = (11.0, 5.2)


def write_rerank(found: Reranked, study: Path) -> tuple[Path, Path]:
    """Write CSV and picture, named by the protocol, beside its measurements; return their paths.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    stem = study / FOLDER / found.protocol.words
    csv, png = stem.with_name(f"{stem.name}.csv"), stem.with_name(f"{stem.name}.png")
    write_atomic(csv, rerank_frame(found).to_csv(index=False, lineterminator="\n"))
    with optional(png.name):
        plot_rerank(found, png)
    return csv, png


def rerank_frame(found: Reranked) -> "DataFrame":
    """Return a row per network."""
    import pandas as pd

    return pd.DataFrame([_row(found, net) for net in found.networks])


def shown(found: Reranked) -> Group:
    """Return old and new front side by side, and in words what changed."""
    table = Table(title=f"{found.study} under {found.protocol}", title_justify="left")
    for heading in ("trial", "network", "mIoU", "study's ms", "ms now", "ratio", "front then", "front now"):
        table.add_column(heading, justify="left" if heading == "network" else "right", no_wrap=True)
    for net in found.networks:
        record, number = net.record, net.record.number
        table.add_row(
            str(number),
            record.name,
            percent(record.miou),
            f"{record.latency_ms:.2f}",
            marked(net.again),
            f"{net.again.median_ms / record.latency_ms:.3f}",
            "*" if number in found.old_front else "",
            "*" if number in found.new_front else "",
            style=None if number in (*found.old_front, *found.new_front) else "dim",
        )
    return Group(table, *lines(found))


def lines(found: Reranked) -> list[str]:
    """Say what entered the front, what left it, and how far the two rankings agree."""
    tau = "none" if found.tau is None else f"{found.tau:.2f}"
    entered, unsteady = ", ".join(found.entered) or "none", sum(not net.again.steady for net in found.networks)
    if found.only_front:
        entered = "none can, only the study's front was timed (--all times every trained network)"
    return [
        f"entered the front: {entered}",
        f"left the front: {', '.join(found.left) or 'none'}",
        *([f"! {unsteady} of {len(found.networks)} measurements were not steady"] if unsteady else []),
        f"Kendall's tau {tau} between the two rankings of {len(found.networks)} networks,"
        f" latency x {found.ratio:.3f} in geometric mean",
        *(f"not measured: {name}: {reason}" for name, reason in found.failed.items()),
    ]


def plot_rerank(found: Reranked, path: Path) -> None:
    """Draw mIoU over latency twice: as the study measured it, and under the new protocol; the front in each.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    with canvas(*SIZE_INCHES, font_points=10) as figure:
        old = figure.add_axes((0.07, 0.17, 0.43, 0.65))
        new = figure.add_axes((0.555, 0.17, 0.43, 0.65), sharey=old)
        _panel(old, found, [net.record.latency_ms for net in found.networks], found.old_front, "as in the study")
        _panel(new, found, [net.again.median_ms for net in found.networks], found.new_front, "now")
        old.set_ylabel("mIoU on validation images, %")
        figure.text(0.07, 0.94, f"{found.study}, timed again", fontsize=13, fontweight="bold", va="center")
        figure.text(0.07, 0.89, str(found.protocol), fontsize=9, color="#52606d", va="center")
        _legend(figure)
    write_png(figure, path)


def _row(found: Reranked, net: Retimed) -> dict[str, object]:
    record, latency = net.record, net.again
    return {
        "number": record.number,
        "name": record.name,
        "spec_id": record.spec_id,
        "miou": record.miou,
        "study_ms": round(record.latency_ms, 4),
        "again_ms": round(latency.median_ms, 4),
        "again_p10_ms": round(latency.p10_ms, 4),
        "again_p90_ms": round(latency.p90_ms, 4),
        "ratio": round(latency.median_ms / record.latency_ms, 4),
        "on_front_study": record.number in found.old_front,
        "on_front_again": record.number in found.new_front,
        "steady": latency.steady,
        "unsteady": latency.unsteady,
        "others_percent": round(latency.contention.others_percent_during, 1),
    }


def _panel(axes: "Axes", found: Reranked, times: Sequence[float], front: Sequence[int], title: str) -> None:
    """Dots, the stepped front, and the names of what is on it; those that are on one front only stand out."""
    dots = {net.record.number: (ms, 100 * net.record.miou) for net, ms in zip(found.networks, times, strict=True)}
    kept = set(found.old_front) & set(found.new_front)
    colors = {number: ACCENT if number in kept else LIMIT for number in front}
    for number, (x, y) in dots.items():
        axes.scatter([x], [y], s=38, color=colors.get(number, BEATEN), edgecolors="white", linewidths=0.9, zorder=4)
    steps = [dots[number] for number in front]
    axes.plot(*zip(*steps, strict=True), drawstyle="steps-post", color=ACCENT, linewidth=1.4, alpha=0.8, zorder=3)
    axes.set_xscale("log")
    axes.set_xlim(min(times) / 1.25, max(times) * 1.6)
    ys = [y for _, y in dots.values()]
    axes.set_ylim(min(ys) - 2, max(ys) + 2)
    _frame(axes, title)
    names = {net.record.number: net.record for net in found.networks}
    labels = [
        Label(x=dots[n][0], y=dots[n][1], text=names[n].name, color=PAPER if names[n].named else INK) for n in front
    ]
    write_labels(axes, labels, list(dots.values()))


def _frame(axes: "Axes", title: str) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("latency of one image, milliseconds")
    axes.set_title(title, fontsize=10.5, loc="left")
    axes.grid(color="#e9ecef", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _legend(figure: Any) -> None:
    from matplotlib.lines import Line2D

    marks = (("on both fronts", ACCENT), ("on this front only", LIMIT), ("beaten", BEATEN))
    handles = [
        Line2D([], [], linestyle="", marker="o", color=color, label=label, markersize=6) for label, color in marks
    ]
    figure.legend(handles=handles, loc="lower center", ncols=3, frameon=False, fontsize=9, handletextpad=0.2)
