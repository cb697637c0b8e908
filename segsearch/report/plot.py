"""The picture of a study: mIoU against latency, the Pareto front, the papers' networks by name, and the budget."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segsearch.files import write_atomic
from segsearch.report.plot_names import FOOT, write_names
from segsearch.search.budget import Budget
from segsearch.search.pareto import front
from segsearch.search.record import TrialRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME = "pareto.png"
SIZE_INCHES, DPI = (8.0, 5.2), 150
INK, SOFT, BEATEN, ACCENT, PAPER, LIMIT = "#1f2933", "#8a97a6", "#b8c4ce", "#0b7285", "#d9480f", "#c92a2a"
WIDE = 4.0
"""From this ratio between slowest and fastest on, latency is drawn on a log scale."""


def plot_study(
    records: Sequence[TrialRecord], path: Path, *, title: str, subtitle: str = "", budget: Budget | None = None
) -> None:
    """Draw a study as a PNG; equal records give equal bytes under one matplotlib.

    Trained networks are dots; those no other one beats lie on the stepped front. Named points are squares with names.
    Networks rejected before training have no mIoU: they are ticks at the foot. What failed is left out. What the budget
    forbids is shaded.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    measured = [record for record in records if record.latency is not None and record.state != "failed"]
    with rc_context({"font.size": 10.5, "axes.edgecolor": SOFT, "text.color": INK, "axes.labelcolor": INK}):
        figure = Figure(figsize=SIZE_INCHES, dpi=DPI, facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.09, 0.165, 0.885, 0.695))
        _frame(axes, measured, budget)
        _forbidden(axes, budget)
        _rejected(axes, measured)
        _trained(axes, measured, budget)
        write_names(axes, measured, PAPER)
        _headings(figure, axes, measured, title, subtitle)
        _legend(figure, measured)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    write_atomic(path, buffer.getvalue())


def _frame(axes: "Axes", measured: Sequence[TrialRecord], budget: Budget | None) -> None:
    """Set the limits, the scale, and a quiet frame."""
    limit_ms = budget.limit_ms if budget else None
    times = [record.latency_ms for record in measured] + ([limit_ms] if limit_ms else [])
    low, high = (min(times), max(times)) if times else (1.0, 10.0)
    if high / low > WIDE:
        axes.set_xscale("log")
        margin = (high / low) ** 0.06
        axes.set_xlim(low / margin, high * margin)
        _plain_ticks(axes, high / low)
    else:
        margin = 0.08 * (high - low) or 0.1 * high
        axes.set_xlim(max(0.0, low - margin), high + margin)
    shares = [100 * record.miou for record in measured if record.trained] or [0.0, 100.0]
    margin = max(2.0, 0.12 * (max(shares) - min(shares)))
    axes.set_ylim(max(0.0, min(shares) - margin), min(102.0, max(shares) + margin))
    axes.grid(color="#e9ecef", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, length=3, color=SOFT)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _plain_ticks(axes: "Axes", ratio: float) -> None:
    """Write latencies as 1, 2, 5, 10, not as powers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    steps = (1.0, 2.0, 5.0) if ratio < 1000 else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=steps))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _forbidden(axes: "Axes", budget: Budget | None) -> None:
    """Shade what is too slow, and say the limit beside its line."""
    if budget is None or budget.limit_ms is None:
        return
    limit_ms = budget.limit_ms
    axes.axvspan(limit_ms, axes.get_xlim()[1], color=LIMIT, alpha=0.06, linewidth=0, zorder=0)
    axes.axvline(limit_ms, color=LIMIT, linewidth=1.2, zorder=1)
    across = axes.transAxes.inverted().transform(axes.transData.transform((limit_ms, 0)))[0]
    left = across > 0.8  # no room for the words on the right
    place: dict[str, Any] = {
        "xytext": (-5 if left else 5, -4),
        "textcoords": "offset points",
        "va": "top",
        "ha": "right" if left else "left",
        "color": LIMIT,
        "fontsize": 9.5,
    }
    label = f"budget: {1000 / limit_ms:g} FPS"
    axes.annotate(label, (limit_ms, 1.0), xycoords=axes.get_xaxis_transform(), **place)


def _rejected(axes: "Axes", measured: Sequence[TrialRecord]) -> None:
    """Put what was never trained at the foot, where no mIoU can be read off; the papers' in their colour."""
    foot: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "markersize": 9, "markeredgewidth": 1.3}
    for named, color in ((False, SOFT), (True, PAPER)):
        times = [r.latency_ms for r in measured if not r.trained and (r.named is not None) == named]
        axes.plot(times, [FOOT] * len(times), "|", color=color, zorder=2 + named, **foot)


def _trained(axes: "Axes", measured: Sequence[TrialRecord], budget: Budget | None) -> None:
    """Draw the stepped front, the dots on it, the dots beneath it, and the papers' squares over them."""
    best = front(measured)
    numbers = {record.number for record in best}
    trained = [record for record in measured if record.trained]
    if best:
        floor, right = axes.get_ylim()[0], (budget and budget.limit_ms) or axes.get_xlim()[1]
        xs = [best[0].latency_ms, *(r.latency_ms for r in best), max(right, best[-1].latency_ms)]
        ys = [floor, *(100 * r.miou for r in best), 100 * best[-1].miou]
        axes.plot(xs, ys, drawstyle="steps-post", color=ACCENT, linewidth=1.6, alpha=0.8, zorder=3)
    _dots(axes, [r for r in trained if r.number not in numbers and not r.named], "o", BEATEN, 34)
    _dots(axes, [r for r in best if not r.named], "o", ACCENT, 48)
    _dots(axes, [r for r in trained if r.named], "s", PAPER, 46)


def _dots(axes: "Axes", records: Sequence[TrialRecord], marker: str, color: str, size: float) -> None:
    xs, ys = [r.latency_ms for r in records], [100 * r.miou for r in records]
    axes.scatter(xs, ys, marker=marker, s=size, color=color, edgecolors="white", linewidths=0.9, zorder=4)


def _headings(figure: Any, axes: "Axes", measured: Sequence[TrialRecord], title: str, subtitle: str) -> None:
    """Title, what was measured on what, and the axes' names."""
    figure.text(0.09, 0.95, title, fontsize=14, fontweight="bold", va="center")
    figure.text(0.09, 0.9, subtitle or _measured_on(measured), fontsize=9.5, color="#52606d", va="center")
    axes.set_xlabel("latency of one image, milliseconds")
    axes.set_ylabel("mIoU on validation images, %")


def _legend(figure: Any, measured: Sequence[TrialRecord]) -> None:
    """Explain the marks that are there, in one row beneath the picture."""
    from matplotlib.lines import Line2D

    trained = [record for record in measured if record.trained]
    marks = (
        ("on the Pareto front", "o", ACCENT, bool(trained)),
        ("trained, beaten", "o", BEATEN, len(trained) > len(front(trained))),
        ("a paper's network", "s", PAPER, any(record.named for record in measured)),
        ("rejected, never trained", "|", SOFT, len(measured) > len(trained)),
    )
    handles = [
        Line2D([], [], linestyle="", marker=marker, color=color, label=label, markersize=7, markeredgewidth=1.3)
        for label, marker, color, there in marks
        if there
    ]
    if handles:
        figure.legend(
            handles=handles,
            loc="lower center",
            bbox_to_anchor=(0.53, 0.005),
            ncols=4,
            frameon=False,
            fontsize=9.5,
            columnspacing=1.6,
            handletextpad=0.2,
        )


def _measured_on(measured: Sequence[TrialRecord]) -> str:
    """Say what stood behind the numbers."""
    if not measured or measured[0].latency is None:
        return "nothing has been measured yet"
    latency, trained = measured[0].latency, sum(record.trained for record in measured)
    where = f"{latency.device}, {latency.backend}" + (
        f", {_threads(latency.threads)}" if latency.device_kind == "cpu" else ""
    )
    height, width = latency.size_hw
    return f"{trained} trained, {len(measured) - trained} not; {height}x{width} pixels; {where}"


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"
