"""What a study's records say of the search: ``analysis.json``, ``analysis.png``, and a few sentences."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from segsearch.files import write_atomic
from segsearch.report.canvas import INK, SOFT, canvas, write_png
from segsearch.report.words import percent
from segsearch.study.analysis import Analysis, Growth
from segsearch.study.budget import COSTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DATA, PICTURE = "analysis.json", "analysis.png"
SIZE_INCHES = (9.0, 3.9)
LINE, BAR = "#0b7285", "#d9480f"
MOST_SAID, MOST_DRAWN = 4, 10
"""Choices."""
WORDS = {"front": "being on the front", "miou": "a high mIoU"}


def analysis_lines(found: Analysis) -> Iterator[str]:
    """Say how far the front has grown, and which choices matter most."""
    if found.growth is not None:
        yield growth_line(found.growth)
    for target, worth in found.importance.items():
        most = ", ".join(f"{name} {percent(share)}" for name, share in list(worth.items())[:MOST_SAID])
        yield f"choices that matter for {WORDS[target]}: {most}"


def growth_line(growth: Growth) -> str:
    """Say how large the area is, and how much of it the last quarter of the trainings has added."""
    total, area = growth.trainings[-1], growth.areas[-1]
    before = max((a for t, a in zip(growth.trainings, growth.areas, strict=True) if t <= 0.75 * total), default=0.0)
    last = f", {percent((area - before) / area)} of it by the last quarter" if area else ""
    upto = reference_words(growth.objectives, growth.reference)
    return f"hypervolume {area:.4g} up to {upto}, by {total:g} trainings{last}"


def reference_words(objectives: Sequence[str], reference: Sequence[float]) -> str:
    """Say up to where a hypervolume counts: ``mIoU 20.0% and 12.50 ms``."""
    named = dict(zip(objectives, reference, strict=True))
    costs = [cost.text(named[name]) + cost.noun for name, cost in COSTS.items() if name in named]
    return " and ".join([f"mIoU {percent(named['miou'])}", *costs])


def write_analysis(found: Analysis, folder: Path, title: str) -> None:
    """Write data and picture into a study's folder.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    write_atomic(folder / DATA, json.dumps(found.as_plain(), indent=2) + "\n")
    write_png(analysis_figure(found, title), folder / PICTURE)


def analysis_figure(found: Analysis, title: str) -> "Figure":
    """Draw the growth of the area under the front on the left, and what each choice is worth on the right."""
    with canvas(*SIZE_INCHES, font_points=9.5) as figure:
        figure.text(0.075, 0.94, title, fontsize=12, fontweight="bold", va="center")
        left = figure.add_axes((0.075, 0.14, 0.40, 0.68))
        right = figure.add_axes((0.70, 0.14, 0.28, 0.68))
        _draw_growth(left, found.growth)
        _draw_importance(right, found)
    return figure


def _draw_growth(axes: "Axes", growth: Growth | None) -> None:
    _quiet(axes)
    axes.set_title("area under the front, % of today's", loc="left", fontsize=9.5, color=INK)
    axes.set_xlabel("trainings")
    axes.set_ylim(0, 104)
    if growth is None or not growth.areas[-1]:
        axes.text(0.5, 0.5, "no network within the budget yet", transform=axes.transAxes, ha="center", color=SOFT)
        return
    shares = [100 * area / growth.areas[-1] for area in growth.areas]
    axes.step([0.0, *growth.trainings], [0.0, *shares], where="post", color=LINE, linewidth=1.6)
    axes.plot([growth.trainings[-1]], [shares[-1]], "o", color=LINE, markersize=5)
    axes.set_xlim(0, 1.03 * growth.trainings[-1])


def _draw_importance(axes: "Axes", found: Analysis) -> None:
    _quiet(axes)
    axes.set_title("what choices matter, % (PED-ANOVA)", loc="left", fontsize=9.5, color=INK)
    if not found.importance:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.text(0.5, 0.5, "too few trained networks", transform=axes.transAxes, ha="center", color=SOFT)
        return
    front, miou = (found.importance.get(target, {}) for target in WORDS)
    names = sorted({*front, *miou}, key=lambda n: (-max(front.get(n, 0.0), miou.get(n, 0.0)), n))[:MOST_DRAWN]
    places = range(len(names))
    for shift, worth, color, label in ((-0.19, front, LINE, WORDS["front"]), (0.19, miou, BAR, WORDS["miou"])):
        lengths = [100 * worth.get(name, 0.0) for name in names]
        axes.barh([place + shift for place in places], lengths, height=0.36, color=color, label=label)
    axes.set_yticks(list(places), names, fontsize=8)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.legend(frameon=False, fontsize=8, loc="lower right")


def _quiet(axes: "Axes") -> None:
    axes.grid(color="#e9ecef", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, length=3, color=SOFT)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
