"""What `segsearch init` found, as lines and a table."""

from collections.abc import Iterator

from rich.table import Table

from segsearch.study.draft import Draft


def lines(found: Draft, *, written: bool) -> Iterator[str]:
    """Say what was found, how it is divided, what was chosen and why, and which files there are now."""
    yield f"{found.layout}: " + ", ".join(f"{count:,} {part}" for part, count in found.images.items())
    yield from found.notes
    speed = found.speed
    yield f"size {speed.size_hw[0]}x{speed.size_hw[1]}: {speed.why}"
    yield f"budget {speed.fps:g} FPS: {speed.how}" if speed.fps else "no budget: nothing was measured"
    word = "wrote" if written else "would write"
    yield f"{word} {', '.join(map(str, found.texts))}"


def classes_table(found: Draft) -> Iterator[Table]:
    """Give a row for each label value: its class, its share of the pixels, and the images that show it."""
    seen, classes = found.seen, found.classes
    if seen is None or classes is None:
        return
    sampled = f"{seen.looked:,} labels" + (f", a sample of {seen.pairs:,}" if seen.looked < seen.pairs else "")
    table = Table(title=f"Classes ({sampled})", title_justify="left")
    for name in ("class", "colour" if seen.encoding == "colours" else "id"):
        table.add_column(name, overflow="fold")
    for name in ("pixels", "images"):
        table.add_column(name, justify="right")
    names = [*classes.names, *["(ignored)"] * len(classes.ignore)]
    for name, value in zip(names, (*classes.values, *classes.ignore), strict=True):
        table.add_row(name, str(value), f"{100 * seen.share(value):.3g} %", f"{seen.images[value]:,}")
    yield table
