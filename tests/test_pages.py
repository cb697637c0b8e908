"""The generated pages of the documentation: fresh, and complete."""

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import matplotlib
import pytest

DOCS = Path(__file__).parents[1] / "docs"
EMPTY = re.compile(r"^\| `[^|]*\|[^|]*\|[^|]*\|\s*\|$", re.M)


@pytest.fixture(scope="module")
def make() -> Any:
    sys.path.insert(0, str(DOCS))
    try:
        return import_module("make")
    finally:
        sys.path.remove(str(DOCS))


def test_the_pages_are_what_their_command_writes(make, tmp_path) -> None:
    """Pictures are compared under the matplotlib that drew them."""
    committed = {name: (DOCS / name).read_text() for name in make.PAGES}
    assert {name: write() for name, write in make.PAGES.items()} == committed, "write them anew: python docs/make.py"
    drawn = list(make.pictures(tmp_path))
    assert {path.name for path in drawn} == {path.name for path in (DOCS / "points").iterdir()}
    for path in drawn:
        text = (DOCS / "points" / path.name).read_text()
        assert f"Matplotlib v{matplotlib.__version__}," not in text or path.read_text() == text, "python docs/make.py"


def test_every_key_and_choice_has_a_meaning() -> None:
    page = (DOCS / "study_file.md").read_text()
    assert len(re.findall(r"^\| `", page, re.M)) > 150
    assert not EMPTY.findall(page), "a key needs a description, a choice a comment beside it in spaces/unified.yaml"
    assert EMPTY.findall("| `key` | text | none |  |")


def test_every_verb_has_an_example_and_pictures_have_a_text() -> None:
    sections = re.split(r"^## `", (DOCS / "verbs.md").read_text(), flags=re.M)[1:]
    assert len(sections) > 20 and all("Example:\n\n```\nsegsearch " in section for section in sections)
    pictures = re.findall(r"!\[([^\]]*)\]\(([^)]*)\)", (DOCS / "points.md").read_text())
    assert len(pictures) == 6 and all(len(text) > 40 and (DOCS / path).is_file() for text, path in pictures)


def test_arguments_are_in_capitals() -> None:
    usages = re.findall(r"^segsearch .*\[OPTIONS\].*$", (DOCS / "verbs.md").read_text(), re.M)
    assert len(usages) > 20
    assert not [usage for usage in usages if re.search(r"[\[{][a-z]", usage)], "an argument needs a metavar"
