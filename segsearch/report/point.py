"""What `segsearch show` and `segsearch points` print."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from segsearch.deployment.markdown import percent

if TYPE_CHECKING:  # these load torch, which the list of points does without
    from segsearch.count.conventions import OtherCount
    from segsearch.describe import Description
    from segsearch.published import Comparison
    from segsearch.space.points import NamedPoint


def engineering(value: float) -> str:
    """Write a count with three digits and its factor: ``12.9 M``."""
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if value >= factor:
            return f"{value / factor:.4g} {unit}"
    return f"{value:g}"


def description(shown: "Description") -> Group:
    """Point, spec and id, cost per part, published beside ours, deviations."""
    height, width = shown.size_hw
    title = Text.assemble((shown.name, "bold"), f"  id {shown.spec.id}  at {height}x{width}, {shown.classes} classes")
    pieces: list[object] = [title, _point(shown), _parts(shown), Text("spec  " + shown.spec.canonical(), "dim")]
    if shown.comparisons:
        pieces.append(_published(shown.comparisons))
    if shown.named:
        pieces += [Text(f"deviates: {sentence}") for sentence in shown.named.deviations]
    if shown.collapsed:
        levels = ", ".join(f"P{k}" for k in shown.collapsed)
        pieces.append(Text(f"note: at this size {levels} only repeat the single pixel of the level above", "yellow"))
    return Group(*pieces)  # type: ignore[arg-type]  # all are renderables


def others(counts: "list[OtherCount]") -> Table:
    """Render other tools' counts of the same network."""
    table = _table("counted by others", ("tool", "left"), ("count", "right"), ("what it counts", "left"))
    for count in counts:
        table.add_row(f"{count.name} {count.version}", f"{count.value:,}", count.counts_what)
    return table


def points(listed: Iterable["NamedPoint"]) -> Table:
    """List named points, one line each: our counts as their file states them, and what was published of it."""
    columns = (("name", "left"), ("id", "left"), ("params", "right"), ("MACs", "right"), ("at", "left"))
    table = _table("named points", *columns, no_wrap=True)
    table.add_column("published")
    last = None
    for point in listed:
        if point.paper != last:
            table.add_section()
        last = point.paper
        counted = ("", "", "", "")
        if (own := point.expected) is not None:
            counted = (own.spec_id, f"{own.params:,}", engineering(own.macs), f"{own.size[0]}x{own.size[1]}")
        table.add_row(point.name, *counted, _headline(point))
    return table


def _headline(point: "NamedPoint") -> str:
    """Write the first accuracy and the first speed that were published, and on what."""
    first = {row.metric: row for row in reversed(point.published)}
    words = []
    if (miou := first.get("miou")) is not None:
        words.append(" ".join(filter(None, (f"{miou.printed} %", miou.dataset, miou.split))))
    if (fps := first.get("fps")) is not None:
        words.append(" ".join(filter(None, (f"{fps.printed} FPS", fps.device and f"on {fps.device}"))))
    return ", ".join(words)


def _table(title: str, *columns: tuple[str, str], no_wrap: bool = False) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for name, side in columns:
        table.add_column(name, justify=side, no_wrap=no_wrap)  # type: ignore[arg-type]  # left or right
    return table


def _point(shown: "Description") -> Table:
    table = Table.grid(padding=(0, 2))
    for name, value in shown.point.items():
        table.add_row(f"  {name}", json.dumps(value))
    return table


def _parts(shown: "Description") -> Table:
    table = _table("cost", ("part", "left"), ("params", "right"), ("MACs", "right"), ("share", "right"))
    for part in shown.cost.parts:
        table.add_row(part.name, f"{part.params:,}", f"{part.macs:,}", percent(part.macs / max(1, shown.cost.macs)))
    table.add_section()
    table.add_row("total", f"{shown.cost.params:,}", f"{shown.cost.macs:,}", "")
    return table


def _published(comparisons: "tuple[Comparison, ...]") -> Table:
    columns = (("figure", "left"), ("where", "left"), ("published", "right"), ("ours", "right"), ("residual", "right"))
    table = _table("published beside ours", *columns, ("counted", "left"))
    for c in comparisons:
        ours = "" if c.ours is None else engineering(c.ours)
        residual = "" if c.residual is None else "same digits" if c.same_digits else f"{c.residual:+.1%}"
        table.add_row(_figure(c), c.row.where, c.row.printed, ours, residual, _how(c))
    return table


def _figure(c: "Comparison") -> str:
    size = "" if c.row.size is None else f" {c.row.size[0]}x{c.row.size[1]}"
    return f"{c.row.metric}{size}"


def _how(c: "Comparison") -> str:
    row = c.row
    where = " ".join(x for x in (row.dataset, row.split, row.device) if x)
    counted = f"rule {row.convention}" if row.convention else ""
    auxiliary = f"with {row.auxiliary} auxiliary head" if row.auxiliary != "none" else ""
    return ", ".join(x for x in (where, counted, auxiliary, row.note) if x)
