"""Studies as tables and sentences: a list of them, one of them, two of them side by side."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import RenderableType
from rich.table import Table

from segsearch.errors import InputError
from segsearch.report.analysis import reference_words
from segsearch.report.tables import front_table
from segsearch.report.words import percent
from segsearch.study.compare import Comparison
from segsearch.study.outcome import of_wanted
from segsearch.study.overview import Overview, disk_use
from segsearch.study.record import TrialRecord


def list_table(found: Mapping[Path, Overview | InputError]) -> Table:
    """Give a row for each study, and one for each that is damaged."""
    table = Table(title="Studies", title_justify="left")
    for heading, side in (("study", "left"), ("state", "left"), ("trained", "right"), ("looked at", "right"),
                          ("best mIoU", "right"), ("ms", "right"), ("budget", "left"), ("device", "left")):  # fmt: skip
        table.add_column(heading, justify=side, overflow="fold")  # type: ignore[arg-type]  # left or right
    for folder, study in found.items():
        name = folder.name or str(folder)
        if isinstance(study, InputError):
            table.add_row(name, "damaged", style="dim")
            continue
        config, best = study.file.config, study.best
        table.add_row(
            name,
            study.state,
            _trained(study).replace(" trained", ""),
            str(len(study.records)),
            percent(best.miou) if best else "",
            f"{best.latency_ms:.2f}" if best else "",
            str(config.budget),
            study.file.device,
        )
    return table


def _trained(study: Overview) -> str:
    """Count trained networks, beside those wanted; of a study with rungs it is the steps that are wanted."""
    config = study.file.config
    return of_wanted(study.counts["complete"], None if config.rungs else config.trials)


def shown(study: Overview) -> Iterator[RenderableType]:
    """Say what a study searches and how far it is, show its front, and say how to go on."""
    config, file = study.file.config, study.file
    yield f"study {config.name} in {study.folder}: {study.state}, {_trained(study)}"
    where = f"{config.measured_with} on {file.device}, threads: {file.threads}"
    yield f"space {config.space} (id {file.space_id}), sampler {config.sampler}, seed {config.seed}"
    yield f"data {config.data.name} at {config.data.size[0]}x{config.data.size[1]}, recipe {config.recipe.id}"
    yield f"budget: {config.budget}; measured with {where}"
    if config.narrow:
        yield "narrowed to " + ", ".join(f"{name}: {json.dumps(values)}" for name, values in config.narrow.items())
    yield "trials: " + ", ".join(f"{count} {state}" for state, count in study.counts.items())
    yield front_table(study.records, title=config.name, budget=config.budget)
    use = disk_use(study.folder)
    yield f"disk: {sum(use.values()) / 1e6:.1f} MB, of which " + ", ".join(
        f"{count / 1e6:.1f} MB {kind}" for kind, count in use.items() if count
    )
    yield f"next: {study.next_command}"


def compared(found: Comparison) -> Iterator[RenderableType]:
    """Show two fronts, what differs, and who is ahead."""
    left, right = found.left.folder, found.right.folder
    for study, beaten in zip((found.left, found.right), found.beaten, strict=True):
        yield _front(study, beaten)
    if found.differences:
        table = Table(title="What differs", title_justify="left")
        for heading in ("", str(left), str(right)):
            table.add_column(heading, overflow="fold")
        for key, pair in found.differences.items():
            table.add_row(key, *map(json.dumps, pair))
        yield table
    yield from verdict(found)
    if found.both and not found.apart:
        changes = [abs(one.miou - other.miou) for one, other in found.both]
        mean = 100 * sum(changes) / len(changes)
        yield f"trained in both: {len(found.both)}, whose mIoU differs by {mean:.1f} points in the mean"


def _front(study: Overview, beaten: Sequence[int]) -> Table:
    table = Table(title=f"{study.folder}: Pareto front", title_justify="left")
    for heading in ("trial", "network", "mIoU", "ms", ""):
        table.add_column(heading, justify="left" if heading == "network" else "right", no_wrap=True)
    for record in study.front:
        table.add_row(*_row(record), "beaten by the other" if record.number in beaten else "")
    return table


def _row(record: TrialRecord) -> tuple[str, ...]:
    return str(record.number), record.name, percent(record.miou), f"{record.latency_ms:.2f}"


def verdict(found: Comparison) -> Iterator[str]:
    """Say which front is ahead, or why neither can be."""
    left, right = found.left.folder, found.right.folder
    if found.apart:
        yield f"figures of different things, so that no front beats the other: {', '.join(found.apart)}"
        return
    if found.areas is None or found.reference is None:
        yield "no network is trained yet"
        return
    yield (
        f"hypervolume up to {reference_words(found.objectives, found.reference)}: {found.areas[0]:.4g} of {left},"
        f" {found.areas[1]:.4g} of {right}"
    )
    for study, beaten, other in ((found.left, found.beaten[0], right), (found.right, found.beaten[1], left)):
        yield f"beaten by {other}: {len(beaten)} of {len(study.front)} on the front of {study.folder}"
