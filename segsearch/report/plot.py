"""The picture of a study: mIoU against latency, the Pareto front, the papers' networks by name, and the budget."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segsearch.report.canvas import INK, SOFT, canvas, write_png
from segsearch.report.labels import Box, Label, Segment, text_box, write_labels
from segsearch.report.words import aims
from segsearch.study.budget import USUAL, Budget
from segsearch.study.pareto import front
from segsearch.study.pick import candidates, pick
from segsearch.study.record import TrialRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME = "pareto.png"
SIZE_INCHES = (8.0, 5.2)
BEATEN, ACCENT, PAPER, LIMIT = "#b8c4ce", "#0b7285", "#d9480f", "#c92a2a"
LEAST_POINTS = 6.0
"""Size of the smallest letters."""
FOOT = 0.018
"""Height of the untrained, as a share of the picture's."""
HATCH = "//////"
WIDE = 4.0
"""From this ratio between slowest and fastest on, latency is drawn on a log scale."""


def plot_study(
    records: Sequence[TrialRecord], path: Path, *, title: str, subtitle: str = "", budget: Budget | None = None
) -> None:
    """Draw a study as a PNG; equal records give equal bytes under one matplotlib.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    write_png(study_figure(records, title=title, subtitle=subtitle, budget=budget), path)


def study_figure(
    records: Sequence[TrialRecord], *, title: str, subtitle: str = "", budget: Budget | None = None
) -> "Figure":
    """Draw a study: trained networks are dots, those that no other one beats lie on the stepped front.

    Named points are squares. Networks rejected before training have no mIoU: they are ticks at the foot. What failed,
    or was stopped at a rung, is left out. What the budget forbids is shaded. The winner, the papers' networks and the
    front have their names, or, in a crowd, their trial's number. A hollow mark has a latency that
    was measured on an unsteady machine.

    Args:
        records: the study's trials.
        title: the study's name.
        subtitle: the data's name; size, device, backend and threads are added.
        budget: what the winner keeps.
    """
    measured = [r for r in records if r.latency is not None and r.state not in ("failed", "stopped")]
    with canvas(*SIZE_INCHES, font_points=10.5) as figure:
        axes = figure.add_axes((0.09, 0.195, 0.885, 0.675))
        _frame(axes, measured, budget)
        texts = _forbidden(axes, budget)
        _rejected(axes, measured)
        steps = _trained(axes, measured, budget)
        best = _winner(measured, budget)
        if best is not None:
            axes.scatter([best.latency_ms], [100 * best.miou], s=110, facecolors="none", edgecolors=INK, zorder=4)
        _headings(figure, axes, title, _measured_on(measured, subtitle, sum(r.state == "stopped" for r in records)))
        marks = [_place(axes, record) for record in measured]
        write_labels(
            axes, _labels(axes, measured, best, budget), marks, taken=texts, lines=_segments(axes, steps, budget)
        )
        _legend(figure, measured, best, budget, shortened=any(text.get_text().startswith("#") for text in axes.texts))
    return figure


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


def _forbidden(axes: "Axes", budget: Budget | None) -> list[Box]:
    """Shade what is too slow, and say the limit beside its line; return the rectangle of these words."""
    if budget is None or budget.limit_ms is None:
        return []
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
    label = f"budget: {1000 / limit_ms:.4g} FPS"
    return [text_box(axes.annotate(label, (limit_ms, 1.0), xycoords=axes.get_xaxis_transform(), **place))]


def _rejected(axes: "Axes", measured: Sequence[TrialRecord]) -> None:
    """Put what was never trained at the foot, where no mIoU can be read off; the papers' in their colour."""
    foot: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "markersize": 9, "markeredgewidth": 1.3}
    for named, color in ((False, SOFT), (True, PAPER)):
        times = [r.latency_ms for r in measured if not r.trained and (r.named is not None) == named]
        axes.plot(times, [FOOT] * len(times), "|", color=color, zorder=2 + named, **foot)


def _trained(axes: "Axes", measured: Sequence[TrialRecord], budget: Budget | None) -> list[tuple[float, float]]:
    """Draw the front of mIoU and latency as a line, and what is trained; return the line's corners in data units."""
    best = front(measured, budget)
    numbers = {record.number for record in best}
    trained = [record for record in measured if record.trained]
    corners: list[tuple[float, float]] = []
    if line := front(measured, budget and budget.towards(USUAL)):
        floor, right = axes.get_ylim()[0], (budget and budget.limit_ms) or axes.get_xlim()[1]
        heights = [floor, *(100 * r.miou for r in line)]
        corners = [(r.latency_ms, y) for r, pair in zip(line, itertools.pairwise(heights), strict=True) for y in pair]
        corners.append((max(right, line[-1].latency_ms), heights[-1]))
        axes.plot(*zip(*corners, strict=True), color=ACCENT, linewidth=1.6, alpha=0.8, zorder=3)
    _dots(axes, [r for r in trained if r.number not in numbers and not r.named], "o", BEATEN, 34)
    _dots(axes, [r for r in best if not r.named], "o", ACCENT, 48)
    _dots(axes, [r for r in trained if r.named], "s", PAPER, 46)
    return corners


def _dots(axes: "Axes", records: Sequence[TrialRecord], marker: str, color: str, size: float) -> None:
    """Draw filled marks; hollow ones where the latency is of an unsteady machine, hatched ones where it is unsure."""
    for doubt in ("steady", "unsteady", "unsure"):
        those = [r for r in records if r.doubt == doubt]
        style: dict[str, Any] = {"color": color, "edgecolors": "white", "linewidths": 0.9}
        if doubt != "steady":
            style = {"facecolors": "white", "edgecolors": color, "linewidths": 1.4}
        if doubt == "unsure":
            style |= {"hatch": HATCH, "linewidths": 1.0}
        xs, ys = [r.latency_ms for r in those], [100 * r.miou for r in those]
        axes.scatter(xs, ys, marker=marker, s=size, zorder=4, **style)


def _winner(measured: Sequence[TrialRecord], budget: Budget | None) -> TrialRecord | None:
    """Return the network that `segsearch export` tries first."""
    if not any(record.trained for record in measured):
        return None
    return pick(candidates(measured, budget or Budget()), "miou").record


def _labels(
    axes: "Axes", measured: Sequence[TrialRecord], best: TrialRecord | None, budget: Budget | None
) -> list[Label]:
    """Names of the winner, the papers' networks and the front, in the order in which they get their places."""
    named = sorted((r for r in measured if r.named), key=lambda r: (not r.trained, r.latency_ms, r.number))
    wanted = {r.number: r for r in ([best] if best else []) + named + front(measured, budget)}
    return [
        Label(
            x=_place(axes, record)[0],
            y=_place(axes, record)[1],
            text=record.name,
            short=None if record.named else f"#{record.number}",
            color=PAPER if record.named else INK,
            needed=True,
            bold=record is best,
        )
        for record in wanted.values()
    ]


def _place(axes: "Axes", record: TrialRecord) -> tuple[float, float]:
    """Where a record lies: (latency in ms, mIoU in percent), or at the foot if it was not trained."""
    low, high = axes.get_ylim()
    return record.latency_ms, 100 * record.miou if record.trained else low + FOOT * (high - low)


def _segments(axes: "Axes", corners: Sequence[tuple[float, float]], budget: Budget | None) -> list[Segment]:
    """Return the front and the budget's line, in pixels."""
    low, high = axes.get_ylim()
    lines = list(itertools.pairwise(corners))
    if budget and budget.limit_ms:
        lines.append(((budget.limit_ms, low), (budget.limit_ms, high)))
    ends = [axes.transData.transform(line) for line in lines]
    return [(float(a[0]), float(a[1]), float(b[0]), float(b[1])) for a, b in ends]


def _headings(figure: "Figure", axes: "Axes", title: str, subtitle: str) -> None:
    """Title, what was measured on what, and the axes' names."""
    _fitted(figure, 0.955, title, 14.0, fontweight="bold")
    _fitted(figure, 0.905, subtitle, 9.5, color="#52606d")
    axes.set_xlabel("latency of one image, milliseconds")
    axes.set_ylabel("mIoU on validation images, %")


def _fitted(figure: "Figure", y: float, words: str, size: float, **style: Any) -> None:
    """Write a line across the picture, smaller if it is long, and cut where it would not be read any more."""
    text = figure.text(0.09, y, words, fontsize=size, va="center", **style)

    def share() -> float:
        box = text_box(text)
        return 0.885 * figure.bbox.width / max(1.0, box[2] - box[0])

    if share() < 1:
        text.set_fontsize(max(LEAST_POINTS, share() * size))
    while share() < 0.999 and len(words) > 1:
        words = words[: min(len(words) - 1, int(share() * len(words)))]
        text.set_text(words + "…")


def _legend(
    figure: "Figure",
    measured: Sequence[TrialRecord],
    best: TrialRecord | None,
    budget: Budget | None,
    *,
    shortened: bool,
) -> None:
    """Explain the marks that are there, in one or two rows beneath the picture."""
    from matplotlib.lines import Line2D

    trained = [record for record in measured if record.trained]
    marks: tuple[tuple[str, str, dict[str, Any], bool], ...] = (
        ("on the Pareto front" + aims(budget), "o", {"color": ACCENT}, bool(trained)),
        ("trained, beaten", "o", {"color": BEATEN}, len(trained) > len(front(trained, budget))),
        ("a paper's network", "s", {"color": PAPER}, any(record.named for record in measured)),
        ("rejected, never trained", "|", {"color": SOFT}, len(measured) > len(trained)),
        (
            "winner",
            "o",
            {"color": INK, "markerfacecolor": "none", "markersize": 9, "markeredgewidth": 1},
            best is not None,
        ),
        (
            "unsteady latency",
            "o",
            {"color": BEATEN, "markerfacecolor": "white"},
            any(record.doubt == "unsteady" for record in trained),
        ),
        ("number of a trial", r"$\#7$", {"color": INK, "markersize": 11, "markeredgewidth": 0.1}, shortened),
    )
    handles: list[Any] = [
        Line2D([], [], linestyle="", marker=marker, label=label, **{"markersize": 7, "markeredgewidth": 1.3} | style)
        for label, marker, style, there in marks
        if there
    ]
    if any(record.doubt == "unsure" for record in trained):
        style: dict[str, Any] = {"facecolors": "white", "edgecolors": BEATEN, "hatch": HATCH}
        handles.append(figure.axes[0].scatter([], [], s=46, label="unsure if in the budget", **style))
    if handles:
        figure.legend(
            handles=handles,
            loc="lower center",
            bbox_to_anchor=(0.53, 0.002),
            ncols=4,
            frameon=False,
            fontsize=9,
            columnspacing=1.6,
            handletextpad=0.2,
            labelspacing=0.25,
        )


def _measured_on(measured: Sequence[TrialRecord], data: str, stopped: int) -> str:
    """Say what stands behind the numbers: data, size, backend, device, threads, and how many networks."""
    latency = measured[0].latency if measured else None
    if latency is None:
        return "; ".join(filter(None, (data, "nothing has been measured yet")))
    trained = sum(record.trained for record in measured)
    threads = f", {latency.threads} thread{'s' * (latency.threads != 1)}" if latency.device_kind == "cpu" else ""
    precision = "" if latency.precision == "float32" else f", {latency.precision},"
    height, width = latency.size_hw
    parts = (data, f"{height}x{width} pixels", f"{latency.backend}{precision} on {latency.where}{threads}")
    counts = f"{trained} trained, {len(measured) - trained} rejected" + (f", {stopped} stopped" if stopped else "")
    return "; ".join(filter(None, (*parts, counts)))
