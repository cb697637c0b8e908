"""Files that an option names to be written: refused before any work where they would replace what is not ours."""

import csv
import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from segsearch.errors import InputError

SCHEMAS = ("NetworkSpec", "StudyConfig", "Recipe")
"""Titles of what `segsearch schema` writes."""
_HEAD = 4096
"""Bytes of a text file in which its sign stands."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of file.

    Attributes:
        suffix: that its name must have.
        what: the file in words, behind "is not the name of".
        made: what an existing one must be, in words, behind "is not".
        ours: whether an existing file is one that the same option wrote before; may raise OSError or ValueError.
    """

    suffix: str
    what: str
    made: str
    ours: Callable[[Path], bool]


def check_output(option: str, path: Path, kind: Kind) -> None:
    """See that a file can be written, and that no file of another kind is lost by it.

    Raises:
        InputError: another suffix, a folder of that name, no folder to write into, or a file that is not of this kind.
    """
    if path.suffix.lower() != kind.suffix:
        raise InputError(option, f"'{path}' is not the name of {kind.what}", f"FILE{kind.suffix}")
    if path.is_dir():
        raise InputError(option, f"'{path}' is a folder", f"FILE{kind.suffix}")
    if not path.parent.is_dir():
        raise InputError(option, f"'{path.parent}', where '{path.name}' would be written, is no folder that exists")
    if not os.access(path.parent, os.W_OK):
        raise InputError(option, f"'{path}' cannot be written: no right to write into its folder")
    if os.path.lexists(path) and not _replaceable(path, kind):
        raise InputError(option, f"'{path}' exists and is not {kind.made}", "another name")


def _replaceable(path: Path, kind: Kind) -> bool:
    if not path.is_file():  # a device or a pipe, which must not be read, or a link to nothing
        return False
    with suppress(OSError, ValueError):
        return path.stat().st_size == 0 or kind.ours(path)
    return False


def _head(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_HEAD).decode("utf-8", "replace")


def _is_page(path: Path) -> bool:
    """Look for the policy that only our pages have."""
    head = _head(path)
    return head.startswith("<!doctype html>") and "default-src 'none'; img-src data:; style-src" in head


def _is_topology(path: Path) -> bool:
    """Look for our title: a point's name and the id of its network."""
    return re.search(r"<title>[^<]+  [0-9a-f]{12}</title>", _head(path)) is not None


def _is_scores(path: Path) -> bool:
    from segsearch.training.per_image import HIT

    with path.open(encoding="utf-8", newline="") as file:
        names = next(csv.reader(islice(file, 1)), [])
    return len(names) > 1 and names[0] == "image" and names[1].startswith(HIT)


def _is_table(path: Path) -> bool:
    from segsearch.report.published import OPENING

    return _head(path).startswith(OPENING[: OPENING.index(";")])


def _is_schema(path: Path) -> bool:
    found = json.loads(path.read_text(encoding="utf-8"))
    return isinstance(found, dict) and "properties" in found and found.get("title") in SCHEMAS


def _is_imported(path: Path) -> bool:
    """Read the facts beside the tensors: what was trained here names no release."""
    from safetensors import SafetensorError, safe_open

    from segsearch.training.weights import WeightFacts

    try:
        with safe_open(path, framework="numpy") as file:
            return bool(WeightFacts.read(file.metadata() or {}).release)
    except SafetensorError:
        return False


def _is_sheet(path: Path) -> bool:
    from PIL import Image, UnidentifiedImageError

    from segsearch.data.contact_sheet import SOFTWARE

    try:
        with Image.open(path, formats=["PNG"]) as picture:
            return picture.info.get("Software") == SOFTWARE
    except UnidentifiedImageError:
        return False


PAGE = Kind(suffix=".html", what="an HTML file", made="a page of `segsearch report`", ours=_is_page)
TOPOLOGY = Kind(suffix=".svg", what="an SVG", made="a picture of `segsearch show`", ours=_is_topology)
SCORES = Kind(suffix=".csv", what="a CSV file", made="a file of scores per image", ours=_is_scores)
TABLE = Kind(suffix=".md", what="a Markdown file", made="a table of `segsearch points`", ours=_is_table)
SCHEMA = Kind(suffix=".json", what="a JSON file", made="a schema of `segsearch schema`", ours=_is_schema)
IMPORTED = Kind(
    suffix=".safetensors", what="a safetensors file", made="a file of `segsearch import-weights`", ours=_is_imported
)
SHEET = Kind(suffix=".png", what="a PNG", made="a sheet of `segsearch data sheet`", ours=_is_sheet)
