"""What `segsearch tune` prints and writes: a table, a picture, and a page that says what was chosen and why."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table

from segsearch.deployment.markdown import table as markdown_table
from segsearch.files import write_atomic
from segsearch.report.canvas import INK, SOFT, canvas, write_png
from segsearch.report.console import optional
from segsearch.report.labels import Label, write_labels
from segsearch.report.plot import ACCENT, BEATEN, PAPER
from segsearch.report.words import percent
from segsearch.tuning.record import Tried, lossy_int8
from segsearch.tuning.tune import Tuned

if TYPE_CHECKING:
    from pandas import DataFrame

CSV, PICTURE, PAGE, DATA = "tuned.csv", "tuned.png", "TUNED.md", "tuned.json"
DOUBT = "`!`: the machine was not steady in any process that timed this file."
HEADINGS = ("file", "mIoU", "points lost", "ms", "of processes", "times faster", "pixels equal", "MB")
ASIDE = ("of processes", "MB")
"""Columns that a terminal has no room for."""


def write_tuned(tuned: Tuned, folder: Path, *, files: Sequence[Path], within_points: float, command: str) -> list[Path]:
    """Write CSV, JSON, picture and page into ``folder``; return their paths.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    paths = [folder / name for name in (CSV, DATA, PICTURE, PAGE)]
    write_atomic(paths[0], frame(tuned).to_csv(index=False, lineterminator="\n"))
    write_atomic(paths[1], json.dumps(plain(tuned, within_points), indent=2, ensure_ascii=False) + "\n")
    with optional(PICTURE):
        plot(tuned, paths[2], within_points)
    write_atomic(paths[3], page(tuned, files, within_points, command))
    return paths


def plain(tuned: Tuned, within_points: float) -> dict[str, Any]:
    """All of it for other programs: mIoU as fractions, times in milliseconds."""
    return {
        "header": tuned.header.model_dump(mode="json"),
        "within_points": within_points,
        "finished": tuned.finished,
        "chosen": None if tuned.chosen is None else tuned.chosen.candidate.model_dump(mode="json"),
        "times_faster": tuned.gain,
        "tried": [
            tried.model_dump(mode="json") | {"latency_ms": tried.latency_ms, "times_faster": tuned.times_faster(tried)}
            for tried in tuned.tried
        ],
    }


def frame(tuned: Tuned) -> "DataFrame":
    """Return a row per candidate, the fastest first, those that failed last."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                **tried.candidate.model_dump(),
                "miou": tried.proven and round(tried.proven.miou, 6),
                "latency_ms": tried.latency_ms and round(tried.latency_ms, 4),
                "times_faster": (gain := tuned.times_faster(tried)) and round(gain, 4),
                "processes": len(tried.timed),
                "agreement": tried.proven and round(tried.proven.agreement.fraction, 6),
                "size_bytes": tried.proven and tried.proven.size_bytes,
                "chosen": tuned.chosen is not None and tried.candidate == tuned.chosen.candidate,
                "failed": tried.failed,
            }
            for tried in by_cost(tuned)
        ]
    )


def shown(tuned: Tuned, within_points: float, fps: float | None = None) -> Group:
    """Return the table and, in words, what was chosen."""
    table = Table(title=title(tuned), title_justify="left")
    kept = [place for place, heading in enumerate(HEADINGS) if heading not in ASIDE]
    for heading in (HEADINGS[place] for place in kept):
        words = heading == "file"  # which may take two lines, where figures must not be cut
        table.add_column(heading, justify="left" if words else "right", no_wrap=not words)
    for tried in by_cost(tuned):
        if tried.failed is None:
            style = "bold" if tuned.chosen and tried.candidate == tuned.chosen.candidate else None
            row = cells(tuned, tried)
            table.add_row(*(row[place] for place in kept), style=style)
    table.caption = DOUBT.replace("`", "")
    return Group(table, *failures(tuned), *verdict(tuned, within_points, fps))


def title(tuned: Tuned) -> str:
    """Name the network and what it was tried on."""
    head = tuned.header
    threads = f", {head.threads} thread{'s' if head.threads > 1 else ''}" if head.device == "cpu" else ""
    height, width = head.size_hw
    return f"{head.name} at {height}x{width} on {head.device_name}{threads}; mIoU {percent(head.miou, digits=2)}"


def verdict(tuned: Tuned, within_points: float, fps: float | None) -> list[str]:
    """Say what was chosen and why, and what a frame rate that was asked for means."""
    said = [] if tuned.finished else ["stopped before all was tried; the same command goes on"]
    if tuned.chosen is None or tuned.chosen.latency_ms is None:
        said.append(f"none of the files keeps the mIoU within {within_points:g} points")
    else:
        than = "" if tuned.gain is None else f", {tuned.gain:.2f} times as fast as a plain export"
        said.append(
            f"chosen: {tuned.chosen.candidate}, {tuned.chosen.latency_ms:.2f} ms"
            f" ({1000 / tuned.chosen.latency_ms:.1f} FPS){than}: the fastest that loses no more than"
            f" {within_points:g} points"
        )
    lossy = lossy_int8(tuned.tried, tuned.header.miou, within_points)
    if lossy and not any(one.candidate.fine_tuned_epochs for one in tuned.tried):
        loss = lossy[0].loss_points(tuned.header.miou)
        said.append(f"int8 loses {loss:.2f} points: with --qat 4 the network is trained for it, four epochs long")
    return said + ([] if fps is None else _rate(tuned, fps))


def _rate(tuned: Tuned, fps: float) -> list[str]:
    if tuned.chosen is not None and meets(tuned.chosen, fps):
        return []
    loose = [tried for tried in tuned.tried if meets(tried, fps) and not tried.candidate.yardstick]
    if not loose:
        return [f"no file reaches {fps:g} FPS"]
    best = min(loose, key=lambda tried: tried.loss_points(tuned.header.miou) or 0.0)
    loss = best.loss_points(tuned.header.miou) or 0.0
    assert best.latency_ms is not None
    return [f"only {best.candidate} reaches {fps:g} FPS ({1000 / best.latency_ms:.1f}), and it loses {loss:.2f} points"]


def meets(tried: Tried, fps: float) -> bool:
    """Whether a file reaches so many images per second."""
    return tried.failed is None and tried.latency_ms is not None and 1000 / tried.latency_ms >= fps


def failures(tuned: Tuned) -> list[str]:
    """Say why candidates failed, a line each."""
    return [f"failed: {tried.candidate}: {tried.failed}" for tried in tuned.tried if tried.failed is not None]


def page(tuned: Tuned, files: Sequence[Path], within_points: float, command: str) -> str:
    """Write the card of the chosen file: what it is, why it was taken, and all that was tried."""
    rows = [cells(tuned, tried) for tried in by_cost(tuned) if tried.failed is None]
    head = tuned.header
    versions = ", ".join(f"{name} {version}" for name, version in head.versions.items())
    return "\n".join(
        [
            f"# The fastest file of {head.name}",
            "",
            f"Written by `{command}`.",
            "",
            *(f"- {line}" for line in (title(tuned), *verdict(tuned, within_points, None))),
            *(f"- `{path.name}`, {path.stat().st_size / 1e6:.1f} MB" for path in files),
            "",
            "Every file was run on all validation images: its masks were compared with the trained network's, pixel by"
            f" pixel, and scored ({head.data}, {head.images} images; masks are brought to the labels' size to the"
            " nearest). Latency is of one image, bytes to class indices, in new processes by turns; of a plain export"
            " it is of the normalised image to class indices. Files are compared by their latency over that of a"
            " reference network in the same process, as a machine's speed wanders from one process to the next.",
            DOUBT,
            "",
            markdown_table(HEADINGS, rows),
            "",
            *(f"- {line}" for line in failures(tuned)),
            f"- {versions}",
            "",
        ]
    )


def plot(tuned: Tuned, path: Path, within_points: float) -> None:
    """Draw mIoU over latency; what was chosen stands out, and so does the plain export."""
    there = [tried for tried in by_cost(tuned) if tried.latency_ms is not None and tried.proven is not None]
    with canvas(8.0, 4.8, font_points=9) as figure:
        axes = figure.add_axes((0.09, 0.12, 0.88, 0.77))
        least = 100 * tuned.header.miou - within_points
        axes.axhline(least, color=SOFT, linewidth=0.9, linestyle="--")
        marks, labels = list[tuple[float, float]](), list[Label]()
        for tried in there:
            assert tried.latency_ms is not None and tried.proven is not None
            mark = (tried.latency_ms, 100 * tried.proven.miou)
            best = tuned.chosen is not None and tried.candidate == tuned.chosen.candidate
            colour = ACCENT if best else PAPER if tried.candidate.yardstick else BEATEN
            axes.scatter(*mark, s=60 if best else 32, color=colour, zorder=3)
            marks.append(mark)
            labels.append(
                Label(x=mark[0], y=mark[1], text=str(tried.candidate), color=ACCENT if best else INK, bold=best)
            )
        axes.set(xlabel="latency of one image, milliseconds", ylabel="mIoU on validation images, %")
        axes.margins(0.15, 0.25)
        axes.grid(color="#e9ecef", linewidth=0.8)
        figure.text(0.09, 0.94, title(tuned), fontsize=10, fontweight="bold")
        figure.canvas.draw()
        write_labels(axes, labels, marks)
        write_png(figure, path)


def by_cost(tuned: Tuned) -> list[Tried]:
    """All that was tried, the fastest first, what failed last."""
    return sorted(tuned.tried, key=lambda tried: (tried.failed is not None, tried.cost or float("inf")))


def cells(tuned: Tuned, tried: Tried) -> list[str]:
    """Write a row of the table under `HEADINGS`; of a candidate that did not fail."""
    assert tried.proven is not None, "only what failed has no proof"
    medians, loss = [each.median_ms for each in tried.timed], tried.loss_points(tuned.header.miou)
    gain = tuned.times_faster(tried)
    return [
        str(tried.candidate),
        percent(tried.proven.miou, digits=2),
        f"{loss:.2f}",
        "" if tried.latency_ms is None else f"{tried.latency_ms:.2f}{'' if tried.steady else ' !'}",
        f"{min(medians):.2f}-{max(medians):.2f}" if len(medians) > 1 else "",
        "" if gain is None else f"{gain:.2f}",
        percent(tried.proven.agreement.fraction, digits=3),
        f"{tried.proven.size_bytes / 1e6:.1f}",
    ]
