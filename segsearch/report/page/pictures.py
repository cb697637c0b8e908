"""Pictures for a page: predictions beside their labels, drawn anew or as they lie there, small enough to be inside."""

import base64
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from segsearch.deployment.images import opened
from segsearch.errors import InputError, SegsearchError, one_line
from segsearch.progress import Report, silent
from segsearch.report.page import blocks
from segsearch.report.page.html import Block
from segsearch.study_files import RUN

if TYPE_CHECKING:
    from segsearch.run.subject import Subject

WIDEST, QUALITY = 1280, 82
"""Pixels across, and of WebP."""
MOST_PIXELS = 40_000_000
"""A picture may unpack to so many; it may be anybody's file."""
EXAMPLES = ("winner/example.png", "pictures/*.png")
"""Where a study's or a run's folder may hold pictures: of `segsearch export` and `segsearch visualize`."""
TOLD = "input, label, prediction, errors (red: wrong, grey: no label), then flow fields or attention where it has any"


def drawn(folder: Path, count: int, report: Report = silent) -> tuple[Block, ...]:
    """Draw predictions of a run, or of the network that a study exports; where that cannot be, show what lies there.

    Args:
        folder: of the run or study.
        count: of the images, spread over the validation images; 0 draws none.
        report: told after each picture.
    """
    found, why = list(lying(folder)), ""
    if count:
        try:
            found = [*_predictions(folder, count, report), *found]
        except SegsearchError as error:  # no weights, or data that is elsewhere: the page is of use without
            why = f"predictions were not drawn: {one_line(error)}"
    return tuple(([blocks.pictures(found)] if found else []) + ([blocks.words(why)] if why else []))


def lying(folder: Path) -> Iterator[tuple[str, str]]:
    """Take pictures that earlier commands have left in a folder, at most eight; what is no picture is passed over."""
    paths = [path for pattern in EXAMPLES for path in sorted(folder.glob(pattern))]
    for path in paths[:8]:
        try:
            yield str(path.relative_to(folder)), data_url(path)
        except InputError:
            continue


def data_url(path: Path) -> str:
    """Write a picture as a URL that holds all of it. Raises InputError where it is none, or too large."""
    from PIL import Image

    with opened(path) as picture:
        if picture.width * picture.height > MOST_PIXELS:
            raise InputError(path, "has too many pixels")
        small = picture.convert("RGB")
        if small.width > WIDEST:
            small = small.resize((WIDEST, max(1, round(small.height * WIDEST / small.width))), Image.Resampling.LANCZOS)
    written = io.BytesIO()
    small.save(written, "WEBP", quality=QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(written.getvalue()).decode()}"


def _predictions(folder: Path, count: int, report: Report) -> list[tuple[str, str]]:
    from segsearch.run.subject import images_for
    from segsearch.run.visualize import visualize

    who, subject, data = _subject(folder)
    dataset, _ = images_for(subject, data, root=None, size_hw=None, split="val")  # type: ignore[arg-type]  # a DataSpec
    with tempfile.TemporaryDirectory() as made:
        paths = visualize(subject, dataset, Path(made), count=count, report=report)
        return [(f"{who}, {path.stem.replace('_', ' image ')}: {TOLD}", data_url(path)) for path in paths]


def _subject(folder: Path) -> "tuple[str, Subject, object]":
    """Load what is shown: its name, the network, and the data of a study."""
    from segsearch.run.subject import load_subject

    if (folder / RUN).is_file():
        subject = load_subject(str(folder))
        return (subject.run.name if subject.run else folder.name), subject, None
    from segsearch.study.store import StudyFolder
    from segsearch.winner.pool import open_pool

    store = StudyFolder(folder)
    config = store.read_study().config
    pool = open_pool(store, config.budget, "miou", None)
    record = pool.pick(pool.records).record
    return record.name, load_subject(f"{folder}#{record.number}", pool.weights[record.number]), config.data
