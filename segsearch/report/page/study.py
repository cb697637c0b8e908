"""The page of a study, and of two side by side."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from segsearch.report.analysis import growth_line
from segsearch.report.final import final_lines
from segsearch.report.page import blocks
from segsearch.report.page.html import Block, Page, Section
from segsearch.report.page.origin import study_origin
from segsearch.report.page.trials import front_block, trials_block
from segsearch.report.studies import verdict
from segsearch.report.tables import summary
from segsearch.study.analysis import analyse
from segsearch.study.compare import Comparison, compare
from segsearch.study.final import FinalFile, read_final, seed_folder
from segsearch.study.overview import Overview, overview
from segsearch.study.record import TrialRecord

MOST_CURVES, MOST_NETWORKS = 200, 8
"""Curves of rungs in one chart; networks beside one another in the table of classes."""


def study_page(folder: Path, other: Path | None, pictures: Sequence[Block]) -> Page:
    """Gather what a study's page shows.

    Args:
        folder: of the study.
        other: of a second study, to be set beside it.
        pictures: what is shown of its best network.

    Raises:
        InputError: no study, or a damaged file.
    """
    found, final = overview(folder), read_final(folder)
    beside = None if other is None else overview(other)
    names = _names(found, beside)
    studies = [(names[0], found, final)]
    if beside is not None and other is not None:
        studies.append((names[1], beside, read_final(other)))
    side = () if beside is None else tuple(_comparison(compare(found, beside), names))
    counts = blocks.words(summary(found.records, found.file.config.budget))
    sections = (
        Section(title="Networks", blocks=(front_block(studies), counts)),
        Section(title="Side by side", blocks=side),
        Section(title="Trained in full", blocks=tuple(_finals(final, folder))),
        Section(title="All trials", blocks=(trials_block(),) if found.records else ()),
        Section(title="IoU per class", blocks=tuple(_classes(found))),
        Section(title="Predictions", blocks=tuple(pictures)),
        Section(title="How the search went", blocks=tuple(_course(found))),
        Section(title="Where the figures are from", blocks=tuple(study_origin(found))),
    )
    title = names[0] if beside is None else f"{names[0]} and {names[1]}"
    return Page(title=title, subtitle=_subtitle(found), sections=sections)


def _names(found: Overview, beside: Overview | None) -> tuple[str, str]:
    """Name two studies by their own names, or by their folders where these are equal."""
    one, other = found.file.config.name, "" if beside is None else beside.file.config.name
    if beside is None or one != other:
        return one, other
    return str(found.folder), str(beside.folder)


def _subtitle(found: Overview) -> str:
    config, file = found.file.config, found.file
    size = f"{config.data.size[0]}x{config.data.size[1]} pixels"
    threads = f", {file.threads} thread{'s' * (file.threads != 1)}" if config.device == "cpu" else ""
    measured = f"{config.measured_with} on {file.device}{threads}"
    return f"{config.data.name}, {size}; {measured}; budget: {config.budget}; {found.state}"


def _finals(final: FinalFile | None, folder: Path) -> Iterator[Block]:
    if final is None:
        return
    columns: list[blocks.Column] = [("trial", 0), ("network", blocks.TEXT)]
    figures = ("mIoU of the search", "mIoU", "standard deviation", "standard error", "mIoU of report")
    columns += [*((name, "percent") for name in figures), ("seeds", 0), ("ms", 2)]
    rows = [
        (
            *(f.trial, f.name, f.search_miou, f.miou, f.deviation, f.standard_error, f.report_miou),
            *(len(f.trainings), f.latency_ms),
        )
        for f in final.finalists
    ]
    yield blocks.table(f"final figures by {final.recipe_name}", columns, rows)
    yield blocks.words(*final_lines(final, folder))
    yield from _final_curves(final, folder)


def _final_curves(final: FinalFile, folder: Path) -> Iterator[Block]:
    from segsearch.run.folder import METRICS
    from segsearch.run.metrics import read_metrics

    trained = [
        (f"{f.name}, seed {t.seed}", seed_folder(folder, f.trial, t.seed)) for f in final.finalists for t in f.trainings
    ]
    read = [(name, read_metrics(where / METRICS)) for name, where in trained]
    for key, y in (("miou", "mIoU of val"), ("loss", "loss")):
        there = [(name, [line for line in lines if line.get(key) is not None]) for name, lines in read]
        series = [(name, [line["epoch"] for line in lines], [line[key] for line in lines]) for name, lines in there]
        curves = blocks.lines(f"{y} over the epochs of the full trainings", "epochs", y, series, percent=key == "miou")
        if curves["series"]:
            yield curves


def _classes(found: Overview) -> Iterator[Block]:
    """Set the front's networks side by side, the most accurate first."""
    networks = [r for r in reversed(found.front) if r.counted is not None and r.counted.iou][:MOST_NETWORKS]
    if not networks:
        return
    first = networks[0].counted
    assert first is not None
    pixels = [sum(row) for row in first.confusion]
    shares: list[float | None] = [count / (sum(pixels) or 1) for count in pixels]
    shares = shares or [None] * len(first.iou)
    ious = [r.counted.iou for r in networks if r.counted is not None]
    columns = ["labelled pixels", *(f"#{r.number} {r.name}" for r in networks)]
    rows = [(name, [share, *(iou.get(name) for iou in ious)]) for name, share in zip(first.iou, shares, strict=True)]
    yield blocks.matrix(f"networks on the front of {found.file.config.name}, the highest mIoU first", columns, rows)


def _course(found: Overview) -> Iterator[Block]:
    analysis = analyse(found.records, found.file.config.budget)
    growth = analysis.growth
    if growth is not None and growth.areas[-1] > 0:
        series = [("hypervolume", [0.0, *growth.trainings], [0.0, *growth.areas])]
        yield blocks.lines(growth_line(growth), "trainings", "hypervolume", series, steps=True)
    if analysis.importance:
        front, miou = (analysis.importance.get(key, {}) for key in ("front", "miou"))
        names = sorted({*front, *miou}, key=lambda name: (-max(front.get(name, 0), miou.get(name, 0)), name))[:12]
        rows = [(name, [front.get(name), miou.get(name)]) for name in names]
        yield blocks.bars("what choices matter (PED-ANOVA)", ["for being on the front", "for a high mIoU"], rows)
    if analysis.rungs:
        columns: tuple[blocks.Column, ...] = (
            ("epochs", 0),
            ("next", blocks.TEXT),
            ("networks at both", 0),
            ("Kendall's tau", 2),
        )
        told = [
            (epochs, "the end" if after is None else str(after), n, tau) for epochs, after, n, tau in analysis.rungs
        ]
        yield blocks.table("how far the order at a rung is the order at the next", columns, told)
        yield blocks.lines(
            "mIoU at the rungs and at the end", "epochs", "mIoU", _rung_curves(found.records), percent=True
        )


def _rung_curves(records: Sequence[TrialRecord]) -> Iterator[tuple[str, list[float], list[float]]]:
    """Of networks that were scored at a rung: the farthest trained ones, where there are many."""
    there = sorted((r for r in records if r.rungs), key=lambda r: (not r.trained, -r.reached, r.number))[:MOST_CURVES]
    for record in sorted(there, key=lambda r: r.number):
        reached = [rung for rung in record.rungs if rung.epochs]
        xs, ys = [float(rung.epochs or 0) for rung in reached], [rung.miou for rung in reached]
        if record.trained and record.recipe.epochs:
            xs, ys = [*xs, float(record.recipe.epochs)], [*ys, record.miou]
        yield f"#{record.number} {record.name}", xs, ys


def _comparison(found: Comparison, names: tuple[str, str]) -> Iterator[Block]:
    """Say whose front is ahead, what the two decide differently, and what both have trained."""
    yield blocks.words(*verdict(found))
    if found.differences:
        rows = [(key, *map(json.dumps, pair)) for key, pair in found.differences.items()]
        columns: list[blocks.Column] = [("what differs", blocks.TEXT), *((name, blocks.TEXT) for name in names)]
        yield blocks.table("what the two studies decide differently", columns, rows)
    if found.both:
        columns = [("network", blocks.TEXT)]
        columns += [(f"{figure}, {name}", how) for figure, how in (("mIoU", "percent"), ("ms", 2)) for name in names]
        both = [(a.name, a.miou, b.miou, a.latency_ms, b.latency_ms) for a, b in found.both]
        yield blocks.table("networks that both have trained", columns, both)
