"""Tables and picture of `benchmarks/flagship.py`, from the records that the repository keeps, and from nothing else."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from flagship_compare import POINTS, SAVING, Difference, Network, difference, fastest, front, met, most_accurate
from flagship_jobs import PAPERS
from flagship_results import COST, IMAGES, IMPORTANCE, KIND, LATENCY, RUNS

from segsearch.deployment.card import read_card
from segsearch.deployment.markdown import table
from segsearch.files import write_atomic
from segsearch.report.canvas import INK, canvas, write_png
from segsearch.report.labels import Label, text_box, write_labels
from segsearch.run.folder import read_result, read_run
from segsearch.study_files import WEIGHTS
from segsearch.training.per_image import PerImage

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {
    "yardstick": "#d9480f",
    "first": "#b197fc",
    "second": "#3bc9db",
    "third": "#0b7285",
    "control": "#868e96",
}
LABELS = {
    "yardstick": "published",
    "first": "found by the first search",
    "second": "found by the second search",
    "third": "found by the third search",
    "control": "found by random search",
}
SEARCHES = ("first", "second", "third")
QUESTIONS = {
    "The most accurate found network at equal or lower latency": most_accurate,
    "The fastest found network at equal or higher mIoU": fastest,
}
MOST_CHOICES = 12
Compared = Sequence[tuple[Network, Sequence[Difference]]]
"""Networks of the yardstick, each with all found ones beside it."""


def read_rows(results: Path) -> pd.DataFrame:
    """Read all trainings, a row each, in the order of kind, latency and seed."""
    latencies = pd.read_csv(results / LATENCY).set_index("network")
    rows = []
    for folder in sorted((results / RUNS).iterdir()):
        network, _, seed = folder.name.rpartition("_seed")
        file, result, card = read_run(folder), read_result(folder), read_card(folder)
        if network not in latencies.index or result is None:
            continue
        timed = latencies.loc[network]
        rows.append(
            {
                "network": network,
                "kind": (folder / KIND).read_text("utf-8").strip(),
                "name": file.name,
                "seed": int(seed),
                "miou": round(100 * result.scores.miou, 3),
                "latency_ms": timed.latency_ms,
                "steady": timed.steady,
                "params": card.params,
                "macs": card.macs,
                "epochs": file.recipe.epochs,
                "minutes": round(result.seconds / 60, 1),
                "recipe_id": file.recipe.id,
                "spec_id": file.spec.id,
                "file_agrees": round(card.agreement.fraction, 6),
                "file_miou": None if card.artefact_miou is None else round(100 * card.artefact_miou, 3),
                "weights_kept": (folder / WEIGHTS).exists(),
                "hardware": file.hardware,
                "timed_on": timed.device,
                "commit": file.commit[:7],
            }
        )
    order = {kind: place for place, kind in enumerate(COLOURS)}
    return pd.DataFrame(rows).sort_values(
        ["kind", "latency_ms", "seed"], key=lambda c: c.map(order) if c.name == "kind" else c, ignore_index=True
    )


def read_networks(results: Path, rows: pd.DataFrame) -> dict[str, list[Network]]:
    """Gather the seeds of each network, by kind. Images are those of the first one, in the same order everywhere."""
    found: dict[str, list[Network]] = {kind: [] for kind in COLOURS}
    images: tuple[str, ...] = ()
    for (kind, name), group in rows.groupby(["kind", "network"], sort=False):
        counts = [PerImage.read(results / RUNS / f"{name}_seed{seed}" / IMAGES) for seed in group.seed]
        images = images or counts[0].images
        assert all(each.images == images for each in counts), f"{name} was scored on other images"
        network = Network(
            name=str(name),
            latency_ms=float(group.latency_ms.iloc[0]),
            hits=np.stack([each.hits for each in counts]),
            unions=np.stack([each.unions for each in counts]),
        )
        assert np.allclose(network.mious, group.miou, atol=2e-3), f"{name}: scores per image are of other weights"
        found[str(kind)].append(network)
    return found


def compare(networks: Mapping[str, Sequence[Network]]) -> dict[str, Compared]:
    """Set every network that a search has found beside each of the yardstick, for each search that has found some."""
    return {
        search: [(other, [difference(n, other) for n in networks[search]]) for other in networks["yardstick"]]
        for search in SEARCHES
        if networks[search]
    }


def comparison_rows(searches: Mapping[str, Compared]) -> pd.DataFrame:
    """Give two rows per network of the yardstick: the most accurate one that is no slower, the fastest no worse one."""
    rows = []
    for search, (other, found) in ((search, pair) for search, compared in searches.items() for pair in compared):
        for question, choose in QUESTIONS.items():
            row: dict[str, object] = {
                "search": search,
                "paper": PAPERS[other.name],
                "network": other.name,
                "miou": round(other.miou, 3),
                "error": other.standard_error,
                "seeds": len(other.hits),
                "latency_ms": other.latency_ms,
                "question": question,
            }
            if (taken := choose(found)) is not None:
                row |= {
                    "found": taken.found.name,
                    "found_miou": round(taken.found.miou, 3),
                    "found_error": taken.found.standard_error,
                    "found_seeds": len(taken.found.hits),
                    "found_ms": taken.found.latency_ms,
                    "points": round(taken.points, 3),
                    "low": round(taken.low, 3),
                    "high": round(taken.high, 3),
                    "saved": round(taken.saved, 4),
                    "goal": taken.ahead or taken.quicker,
                }
            rows.append(row)
    return pd.DataFrame(rows).round({"found_error": 3, "error": 3})


def comparison_page(searches: Mapping[str, Compared]) -> Iterator[str]:
    """Write both questions as tables, and whether each paper's goal is met, by which network."""
    yield "# Found networks beside published ones\n"
    yield (
        "Means over seeds on the images that are only reported on, in percent, plus and minus the standard error over"
        " seeds; the difference in points with its interval of 95 %, * where one of the two has a single seed.\n"
    )
    head = ("published", "mIoU", "ms", "found", "mIoU", "ms", "difference", "latency saved")
    for search, compared in searches.items():
        yield f"## The {search} search\n"
        for question, choose in QUESTIONS.items():
            yield f"{question}:\n"
            yield table(head, [_line(other, choose(found)) for other, found in compared])
            yield ""
    yield "## The goal\n"
    yield (
        f"At no more latency {POINTS:g} points better, or at no less mIoU {100 * SAVING:.0f} % faster, and the interval"
        " above 0: by which found network, the most accurate one of several.\n"
    )
    lines = [
        (PAPERS[other.name], f"`{other.name}`", search, *_goal(met(found)))
        for search, compared in searches.items()
        for other, found in compared
    ]
    yield table(("paper", "network", "search", "met by", "difference", "latency saved"), sorted(lines))


def _line(other: Network, taken: Difference | None) -> tuple[str, ...]:
    published = f"`{other.name}`", _mean(other), f"{other.latency_ms:.2f}"
    if taken is None:
        return (*published, "none", "", "", "", "")
    return (*published, f"`{taken.found.name}`", _mean(taken.found), f"{taken.found.latency_ms:.2f}", *_gain(taken))


def _mean(network: Network) -> str:
    error = network.standard_error
    return f"{network.miou:.1f}" if error is None else f"{network.miou:.1f} ± {error:.1f}"


def _gain(taken: Difference) -> tuple[str, str]:
    alone = "*" if 1 in (len(taken.found.hits), len(taken.other.hits)) else ""
    points = f"{taken.points:+.1f} ({taken.low:+.1f} to {taken.high:+.1f}){alone}"
    return points, f"{100 * taken.saved:.0f} %"


def _goal(taken: Difference | None) -> tuple[str, str, str]:
    return ("not met", "", "") if taken is None else (f"`{taken.found.name}`", *_gain(taken))


def cost_page(rows: pd.DataFrame, studies: Sequence[Mapping[str, object]]) -> Iterator[str]:
    """Write what everything cost: epochs, and hours on one thread."""
    yield "# What it cost\n"
    yield (
        "Epochs of the studies are of the four fifths of the train split that are not held out. Hours are of one thread"
        " while another one was busy; those of the second and the third search of two.\n"
    )
    lines = [
        (str(s["study"]), f"{s['measured']} measured, {s['trained']} trained", f"{s['epochs']}", f"{s['hours']}")
        for s in studies
    ]
    for kind, group in rows.groupby("kind", sort=False):
        networks = f"{group.network.nunique()} networks, {len(group)} trainings"
        words = f"{LABELS[str(kind)]}, final trainings" if kind != "yardstick" else "yardstick"
        lines.append((words, networks, f"{group.epochs.sum()}", f"{group.minutes.sum() / 60:.1f}"))
    yield table(("", "networks", "epochs", "hours"), lines)


def importance_page(importance: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Iterator[str]:
    """Write how much each choice says of being on the front, and of a high mIoU, in studies that trained alike."""
    yield "# Which choices matter\n"
    studies = [name for name, targets in importance.items() if targets]
    if not studies:
        yield "Too few networks were trained to their end to say."
        return
    yield (
        "How much a choice tells the best tenth, or the best five, from all networks that are trained to their end, in"
        " percent (PED-ANOVA). Studies that trained by the same recipe are taken together, their latencies as shares of"
        " their budgets. It says where to look, not what is good."
    )
    for target, title in {"front": "For being on the front", "miou": "For a high mIoU"}.items():
        yield f"\n## {title}\n"
        columns = [importance[name].get(target, {}) for name in studies]
        names = sorted({n for c in columns for n in c}, key=lambda n: (-sum(c.get(n, 0.0) for c in columns), n))
        lines = [(f"`{n}`", *(f"{100 * c.get(n, 0.0):.0f} %" for c in columns)) for n in names[:MOST_CHOICES]]
        yield table(("choice", *studies), lines)


def picture(networks: Mapping[str, Sequence[Network]], path: Path) -> None:
    """Draw mIoU over latency: the yardstick by name, and the fronts of found networks, with standard errors."""
    from matplotlib.ticker import LogLocator

    with canvas(8.2, 5.0, font_points=9.5) as figure:
        axes = figure.add_axes((0.08, 0.11, 0.90, 0.80))
        for kind, colour in COLOURS.items():
            if there := networks[kind]:
                _draw(axes, there, kind, colour)
        axes.set_title("Published networks and found ones, trained alike", loc="left", fontsize=11, color=INK)
        axes.set_xlabel("latency of the exported file, ms (log)", color=INK)
        axes.set_ylabel("mIoU, %", color=INK)
        axes.grid(color="#e9ecef", linewidth=0.8)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        axes.set_xscale("log")
        axes.margins(x=0.08, y=0.08)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
        legend = axes.legend(frameon=False, loc="lower right")
        figure.canvas.draw()
        labels = [Label(x=n.latency_ms, y=n.miou, text=n.name, color=INK, needed=True) for n in networks["yardstick"]]
        marks = [(n.latency_ms, n.miou) for kind in COLOURS for n in networks[kind]]
        write_labels(axes, labels, marks, taken=[text_box(text) for text in legend.get_texts()])
        write_png(figure, path)


def _draw(axes: "Axes", networks: Sequence[Network], kind: str, colour: str) -> None:
    axes.errorbar(
        [n.latency_ms for n in networks],
        [n.miou for n in networks],
        yerr=[n.standard_error or 0.0 for n in networks],
        fmt="s" if kind == "yardstick" else "o",
        color=colour,
        markersize=5,
        elinewidth=0.9,
        label=LABELS[kind],
    )
    if kind != "yardstick":
        best = front(networks)
        axes.plot([n.latency_ms for n in best], [n.miou for n in best], color=colour, linewidth=1.3)


def write_tables(results: Path) -> pd.DataFrame:
    """Write all tables and the picture anew; returns all trainings."""
    rows = read_rows(results)
    networks = read_networks(results, rows)
    compared = compare(networks)
    rows.to_csv(results / "networks.csv", index=False, lineterminator="\n")
    comparison_rows(compared).to_csv(results / "comparison.csv", index=False, lineterminator="\n")
    pages = {
        "comparison.md": comparison_page(compared),
        "cost.md": cost_page(rows, json.loads((results / COST).read_text("utf-8"))),
        "importance.md": importance_page(json.loads((results / IMPORTANCE).read_text("utf-8"))),
    }
    for name, lines in pages.items():
        write_atomic(results / name, "\n".join(lines).rstrip() + "\n")
    picture(networks, results / "front.png")
    return rows
