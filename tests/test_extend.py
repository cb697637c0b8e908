"""`docs/extend.md` tells the truth: every name stands in the file that it is said to stand in, and code is as it is."""

import inspect
import re
import textwrap
from pathlib import Path

import pytest

from segsearch.models.fusions import Up

REPO = Path(__file__).parents[1]
PAGE = (REPO / "docs/extend.md").read_text()
NAMED = re.findall(r"`(\w[\w.]*)` in\s+`([\w/]+\.\w+)`", PAGE)


@pytest.mark.parametrize(("name", "path"), NAMED)
def test_a_name_stands_in_its_file(name: str, path: str) -> None:
    text = (REPO / path).read_text()
    for part in name.split("."):
        assert re.search(rf"^\s*(?:class |def )?{part}\b", text, re.M), f"docs/extend.md: {path} has no {part}"


def test_each_row_names_a_place() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "| edit |" not in line]
    assert len(NAMED) > len(rows) > 15
    assert not [row for row in rows if not re.search(r"`(?:segsearch|spaces|tests)/", row)]


def test_the_fusion_that_is_shown_is_the_one_in_the_house() -> None:
    assert textwrap.indent(inspect.getsource(Up), " " * 3, lambda line: line.strip() != "") in PAGE
