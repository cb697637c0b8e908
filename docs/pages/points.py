"""`points.md` and the pictures in `points/`, from the named points and their specs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pages.opening import OPENING

LEADS = {
    "sfnet_r18": "SFNet aligns by flow: each coarse map is warped onto the next finer one along a learnt flow field (FAM), and the "
    "head reads all levels.",
    "sfnet_df1": "The same neck over DF1, an encoder of few blocks at high resolution.",
    "dfanet_a": "DFANet runs its encoder's stages again: three networks, each reading the last map and every stage's map of the one "
    "before; a decoder sums the first and the last maps of all.",
    "eseg_s": "ESeg takes levels up to a stride of 512 in place of a context module, and fuses them by BiFPN: cells of a top-down and "
    "a bottom-up path of weighted sums, over again.",
    "fpenet": "FPENet's blocks read at four dilations at once; its decoder lets both maps weigh each other (MEU): the deep one the "
    "channels of the shallow one, the shallow one the places of the deep one.",
    "sgcpnet1": "SGCPNet widens each level, pools coarser ones in the neck, and leads context down, up and down again.",
}
"""The main networks of the five papers, with the idea that the picture is to show."""

READING = """Pictures are drawn from the specs, by `segsearch show POINT --picture FILE.svg`. Rows are strides, coarse above fine; time goes
to the right. A box of the encoder says: block, channels, number of blocks, dilations (`d`). Figures marked as printed are the papers'
own, on their devices; parameters and multiply-adds (MACs) are ours, with 19 classes and at the size that stands beside them."""


def points() -> str:
    """Write the gallery of the papers' main networks, then a table of all named points."""
    from segsearch.space.points import named_points

    found = named_points()
    sections = "\n".join(_lead(found[name], idea) for name, idea in LEADS.items())
    rows = "\n".join(_row(point) for point in found.values())
    return (
        f"# The named points, drawn\n\n{OPENING}\n\n{READING}\n\n{sections}\n## All {len(found)}\n\n"
        "Accuracy is the first mIoU that the paper prints of the network, speed the first frame rate.\n\n"
        "| point | paper | params | MACs | at | mIoU, printed | FPS, printed |\n|---|---|---|---|---|---|---|\n"
        + rows
        + "\n"
    )


def _lead(point: Any, idea: str) -> str:
    own = point.expected
    printed = [row for row in point.published if row.metric in ("miou", "fps")]
    rows = "\n".join(f"| {'mIoU' if r.metric == 'miou' else 'speed'} | {_printed(r)} | {r.where} |" for r in printed)
    height, width = own.size
    return (
        f"## {point.name}\n\n{point.title}; {point.source}.\n\n{idea}\n\n![Topology of {point.name}: {idea}]"
        f"(points/{point.name}.svg)\n\n| figure | value | source |\n|---|---|---|\n| parameters | {own.params:,} | counted |\n"
        f"| MACs at {height}x{width} | {own.macs / 1e9:.2f} G | counted |\n{rows}\n"
    )


def _row(point: Any) -> str:
    own, first = point.expected, {row.metric: row for row in reversed(point.published)}
    cells = [_printed(first[metric]) if metric in first else "" for metric in ("miou", "fps")]
    return (
        f"| `{point.name}` | {point.paper} | {own.params:,} | {own.macs / 1e9:.2f} G | {own.size[0]}x{own.size[1]} | "
        f"{cells[0]} | {cells[1]} |"
    )


def _printed(row: Any) -> str:
    size = f"at {row.size[0]}x{row.size[1]}" if row.size else ""
    if row.metric == "miou":
        return " ".join(filter(None, (f"{row.printed} %", row.dataset, row.split)))
    return " ".join(filter(None, (f"{row.printed} FPS", row.device and f"on {row.device}", size)))


def pictures(folder: Path) -> Iterator[Path]:
    """Draw the gallery's pictures into a folder; gives their files."""
    from segsearch.report.topology.draw import draw_topology
    from segsearch.space.points import named_point

    for name in LEADS:
        path = folder / f"{name}.svg"
        draw_topology(named_point(name).spec, path, title=name)
        yield path
