import itertools
import math
import random
from functools import cache
from pathlib import Path

import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from PIL import Image

from segsearch.report.canvas import DPI
from segsearch.report.labels import Box, overlap, text_box
from segsearch.report.plot import SIZE_INCHES, plot_study, study_figure
from segsearch.space.nodes import Point
from segsearch.study.budget import Budget
from segsearch.study.pareto import front
from segsearch.study.pick import pick
from segsearch.study.record import TrialRecord
from tests.engine.builders import record, some_point

SIZE = tuple(round(side * DPI) for side in SIZE_INCHES)
NAMES = ("fpenet", "sfnet_r18", "eseg_lite_s", "dfanet")


def many(seed: int = 1, count: int = 24, decades: float = 1.5, slowest_ms: float = 25.0) -> list[TrialRecord]:
    """Trials of latencies over so many decades; the slow ones are rejected, each fourth was measured under load."""
    rng = random.Random(seed)
    records = []
    for i in range(count):
        latency_ms = 2 * 10 ** (decades * rng.random())
        miou = None if latency_ms > slowest_ms else min(1.0, 0.3 + 0.1 * math.log10(latency_ms) + 0.05 * rng.random())
        origin = f"named:{NAMES[i]}" if i < len(NAMES) else "sampler"
        made = record(i, point_of(i), miou=miou, latency_ms=latency_ms, origin=origin)
        records.append(unsteady(made) if i % 4 == 0 else made)
    return records


@cache
def point_of(number: int) -> Point:
    return some_point(number)


def unsteady(made: TrialRecord) -> TrialRecord:
    assert made.latency is not None
    busy = made.latency.contention.model_copy(update={"others_percent_during": 80.0})
    return made.model_copy(update={"latency": made.latency.model_copy(update={"contention": busy, "steady": False})})


@pytest.mark.parametrize(
    "records",
    [
        many(),
        [],
        [record(0, latency_ms=30.0)],
        [record(0, miou=0.0, latency_ms=30.0)],
        [record(i, miou=1.0, latency_ms=5.0, origin="named:twin") for i in range(3)],
        [record(0, latency_ms=None, state="failed", reason="x")],
    ],
    ids=["many", "none", "rejected", "one", "equal", "unmeasured"],
)
@pytest.mark.parametrize("budget", [None, Budget(fps=40), Budget(params=3)], ids=["free", "40fps", "params"])
def test_the_picture_is_a_png_of_the_promised_size(
    records: list[TrialRecord], budget: Budget | None, tmp_path: Path
) -> None:
    plot_study(records, tmp_path / "p.png", title="a study", budget=budget)
    with Image.open(tmp_path / "p.png") as image:
        assert image.format == "PNG" and image.size == SIZE


def test_equal_records_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        plot_study(many(), tmp_path / name, title="t", budget=Budget(fps=40))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_marks_budget_and_names_are_drawn(tmp_path: Path) -> None:
    """Each ink is there exactly if what it stands for is."""

    def inks(records: list[TrialRecord], budget: Budget | None) -> set[str]:
        plot_study(records, tmp_path / "p.png", title="t", budget=budget)
        with Image.open(tmp_path / "p.png") as image:
            colors = {c for _, c in image.convert("RGB").getcolors(10**6) or []}
        known = {
            "#0b7285": "front",
            "#b8c4ce": "beaten",
            "#d9480f": "paper",
            "#8a97a6": "rejected",
            "#c92a2a": "budget",
        }
        return {known[k] for k in known if tuple(bytes.fromhex(k[1:])) in colors}

    beaten = [record(0, miou=0.5, latency_ms=5.0), record(1, miou=0.4, latency_ms=6.0)]
    frame = inks([], None)
    assert inks(beaten[:1], None) - frame == {"front"}
    assert inks(beaten, None) - frame == {"front", "beaten"}
    assert inks([record(0, miou=0.5, origin="named:x")], Budget(fps=10)) - frame == {"front", "paper", "budget"}


def words(figure: Figure) -> dict[str, Box]:
    """Every text that is drawn, and its rectangle in pixels."""
    (axes,) = figure.axes
    ticks = [
        text
        for axis, (low, high), across in ((axes.xaxis, axes.get_xlim(), 0), (axes.yaxis, axes.get_ylim(), 1))
        for text in axis.get_ticklabels()
        if low <= text.get_position()[across] <= high
    ]
    labels = [axes.xaxis.label, axes.yaxis.label, *(text for legend in figure.legends for text in legend.get_texts())]
    texts = [text for text in (*axes.texts, *figure.texts, *ticks, *labels) if text.get_text()]
    return {f"{i}: {text.get_text()}": text_box(text) for i, text in enumerate(texts)}


@pytest.mark.parametrize("count", [15, 60, 200])
@pytest.mark.parametrize("decades", [0.4, 1.2])
@pytest.mark.parametrize("budget_ms", [4.0, 12.0, None])
def test_no_text_covers_another_or_a_mark_or_leaves_the_picture(
    count: int, decades: float, budget_ms: float | None
) -> None:
    records = many(count, count, decades, budget_ms or 99.0)
    budget = Budget(latency_ms=budget_ms) if budget_ms else None
    figure = study_figure(records, title="a study", subtitle="streets", budget=budget)
    figure.canvas.draw()
    found = words(figure)
    assert not [pair for pair in itertools.combinations(found, 2) if overlap(found[pair[0]], found[pair[1]]) > 0]
    width, height = figure.bbox.width, figure.bbox.height
    assert all(b[0] >= 0 and b[1] >= 0 and b[2] <= width and b[3] <= height for b in found.values())
    (axes,) = figure.axes
    for dot in (dot for dots in axes.collections if hasattr(dots, "get_sizes") for dot in dots.get_offsets()):
        x, y = axes.transData.transform(dot)
        mark = (x - 6, y - 6, x + 6, y + 6)
        assert not [text for text, box in found.items() if overlap(box, mark) > 0]


@pytest.mark.parametrize(("count", "share"), [(15, 1.0), (60, 0.95), (200, 0.8)])
def test_the_winner_the_papers_and_the_front_are_named(count: int, share: float) -> None:
    records = many(3, count, 1.2, 12.0)
    best = pick([r for r in records if r.trained], "miou").record
    shown = [text.split(": ", 1)[1] for text in words(study_figure(records, title="t", budget=Budget(latency_ms=12.0)))]
    assert best.name in shown
    wanted = [r for r in records if r.named or r in front(records)]
    assert sum(r.name in shown or f"#{r.number}" in shown for r in wanted) >= share * len(wanted)


def test_the_subtitle_says_what_was_measured_on_what() -> None:
    records = many(1, 15)
    shown = " ".join(words(study_figure(records, title="t", subtitle="streets")))
    trained = sum(r.trained for r in records)
    counts = f"{trained} trained, {15 - trained} rejected"
    assert 0 < trained < 15 and f"streets; 32x48 pixels; eager on abacus, 1 thread; {counts}" in shown
    assert "streets; nothing has been measured yet" in " ".join(words(study_figure([], title="t", subtitle="streets")))


def test_long_titles_and_devices_stay_inside() -> None:
    (one,) = many(1, 1)
    assert one.latency is not None
    one = one.model_copy(update={"latency": one.latency.model_copy(update={"device": "a processor " * 20})})
    figure = study_figure([one], title="a name of many words " * 5, subtitle="data " * 10)
    assert all(box[2] <= figure.bbox.width for box in words(figure).values())


def test_hollow_and_hatched_marks_are_told_of_where_there_are_any() -> None:
    steady = record(0, miou=0.5)
    unsure = steady.model_copy(update={"unsure": True})
    for made, told, hatched in ((steady, "", False), (unsteady(steady), "unsteady", False), (unsure, "unsure", True)):
        figure = study_figure([made], title="t")
        shown = " ".join(words(figure))
        assert [word for word in ("unsteady", "unsure") if word in shown] == ([told] if told else [])
        dots = [
            dots
            for dots in figure.axes[0].collections
            if isinstance(dots, PathCollection) and len(dots.get_offsets())  # type: ignore[arg-type]
        ]
        assert any(each.get_hatch() for each in dots) == hatched


@pytest.mark.parametrize("fps", [3, 8, 30, 400])
def test_the_budget_is_written_inside_the_frame(fps: float, tmp_path: Path) -> None:
    """Ink of the budget's words next to the right edge means that they are cut off there."""
    records = [record(0, miou=0.5, latency_ms=4.0), record(1, miou=0.6, latency_ms=100.0)]
    plot_study(records, tmp_path / "p.png", title="t", budget=Budget(fps=fps))
    with Image.open(tmp_path / "p.png") as image:
        edge = image.convert("RGB").crop((SIZE[0] - 25, 0, SIZE[0], SIZE[1]))
        assert (201, 42, 42) not in {c for _, c in edge.getcolors(10**6) or []}


def test_what_was_stopped_at_a_rung_is_no_rejected_network() -> None:
    stopped = record(30, some_point(30), latency_ms=3.0, state="stopped", reason="mIoU 20.0% after 2 epochs")
    figure = study_figure([*many(), stopped], title="t", subtitle="s")
    assert any(text.get_text().endswith(" rejected, 1 stopped") for text in figure.texts)
