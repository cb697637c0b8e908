"""What reading a data set found, as tables, sentences and plain data."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.table import Table

from segsearch.data.config import DataSpec, FileData
from segsearch.data.survey import Survey, Verdict

MOST_PROBLEMS, MOST_SIZES = 20, 3
SAME_SHAPE = 0.03
"""Shapes that differ by less are called the same."""


def sound(surveys: Sequence[Survey], verdict: Verdict) -> bool:
    """Whether nothing was found that would spoil a study."""
    return not (verdict.refused or verdict.spoiled or any(found.problems for found in surveys))


def splits_table(surveys: Sequence[Survey]) -> Table:
    """Give a row for each split: images, files that cannot be used, sizes."""
    table = Table(title="Splits")
    for name in ("split", "images", "unusable", "skipped files", "height x width", "width / height"):
        table.add_column(name, overflow="fold")
    for found in surveys:
        sizes = list(found.sizes.items())
        shown = ", ".join(f"{h}x{w} ({count})" for (h, w), count in sizes[:MOST_SIZES])
        more = f", {len(sizes) - MOST_SIZES} more" if len(sizes) > MOST_SIZES else ""
        numbers = map(str, (found.files, len(found.problems), len(found.skipped)))
        table.add_row(found.part, *numbers, shown + more, _shapes(found))
    return table


def _shapes(found: Survey) -> str:
    shapes = sorted(width / height for height, width in found.sizes)
    if not shapes:
        return ""
    return f"{shapes[0]:.2f}" if shapes[-1] - shapes[0] < 0.005 else f"{shapes[0]:.2f} to {shapes[-1]:.2f}"


def classes_table(surveys: Sequence[Survey]) -> Table:
    """Give a row for each class, and for pixels to ignore: their share, and the images that show it, per split."""
    table = Table(title="Classes")
    table.add_column("class", overflow="fold")
    for found in surveys:
        table.add_column(f"{found.part}: pixels", justify="right")
        table.add_column(f"{found.part}: images", justify="right")
    totals = [sum(found.pixels) + sum((*found.ignored.values(), *found.unknown.values())) for found in surveys]
    for index, name in enumerate(surveys[0].classes):
        cells = []
        for found, total in zip(surveys, totals, strict=True):
            cells += [_share(found.pixels[index], total), f"{found.images[index]:,}"]
        table.add_row(name, *cells)
    for word in ("ignored", "unknown"):
        counts = [getattr(found, word) for found in surveys]
        if any(counts):
            values = sorted({value for each in counts for value in each}, key=lambda value: (len(value), value))
            shown = ", ".join(values[:8]) + (" ..." if len(values) > 8 else "")
            shares = (_share(sum(c.values()), total) for c, total in zip(counts, totals, strict=True))
            table.add_row(f"({word}: {shown})", *(cell for share in shares for cell in (share, "")))
    return table


def _share(pixels: int, total: int) -> str:
    return f"{100 * pixels / total:.3g} %" if pixels else "none"


def words(surveys: Sequence[Survey], verdict: Verdict) -> Iterator[str]:
    """Say what is wrong, a line each: the first files that cannot be used, then what it means for a study."""
    problems = [problem for found in surveys for problem in found.problems]
    yield from map(str, problems[:MOST_PROBLEMS])
    if len(problems) > MOST_PROBLEMS:
        yield f"... and {len(problems) - MOST_PROBLEMS} more (--json lists all)"
    for found in surveys:
        if found.skipped:
            first = ", ".join(found.skipped[:MOST_SIZES]) + (" ..." if len(found.skipped) > MOST_SIZES else "")
            count = len(found.skipped)
            what = "file that is no image or label" if count == 1 else "files that are no images or labels"
            yield f"{found.part}: skipped {count} {what}: {first}"
    yield from (f"error: {line}" for line in (*map(str, verdict.refused), *verdict.spoiled))
    yield from (f"warning: {line}" for line in verdict.warned)
    if problems:
        yield f"{len(problems)} file{'s' if len(problems) > 1 else ''} cannot be used"
    elif sound(surveys, verdict):
        yield f"all {sum(found.files for found in surveys):,} images and labels can be used"


def reshaped(surveys: Sequence[Survey], config: DataSpec) -> Iterator[str]:
    """Say which splits hold images of another shape than the study's size, and what becomes of them."""
    if not isinstance(config, FileData):
        return
    wanted = config.size[1] / config.size[0]
    for found in surveys:
        other = sum(n for (height, width), n in found.sizes.items() if abs(width / height / wanted - 1) > SAME_SHAPE)
        if other:
            done = "stretched; `fit: pad` keeps their shape" if config.fit == "stretch" else "padded"
            yield f"{found.part}: {other:,} images are of another shape than {config.size[0]}x{config.size[1]}: {done}"


def as_plain(surveys: Sequence[Survey], verdict: Verdict) -> dict[str, Any]:
    """Everything as plain data, with every file that cannot be used."""
    return {
        "sound": sound(surveys, verdict),
        "refused": [str(error) for error in verdict.refused],
        "spoiled": list(verdict.spoiled),
        "warned": list(verdict.warned),
        "splits": {found.part: _plain(found) for found in surveys},
    }


def _plain(found: Survey) -> dict[str, Any]:
    counts = zip(found.classes, found.pixels, found.images, strict=True)
    return {
        **{key: getattr(found, key) for key in ("place", "files", "looked", "ignored", "unknown", "skipped")},
        "classes": {name: {"pixels": pixels, "images": images} for name, pixels, images in counts},
        "sizes": [{"height": height, "width": width, "images": n} for (height, width), n in found.sizes.items()],
        "problems": [{"file": problem.place, "problem": str(problem)} for problem in found.problems],
    }
