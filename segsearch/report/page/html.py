"""The file itself: styles, chart library, data and script in one page that may load nothing from anywhere.

Names in it are written by others, and the file is opened from disk: so the data is JSON that cannot end its element,
the scripts set text and never markup, and the page's policy allows these scripts, by their checksums, and no other.
"""

import base64
import hashlib
import html
import json
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from segsearch.files import write_atomic

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = ("d3.min.js", "plot.min.js", "charts.js", "front.js")
"""In the order in which they run; the first two are others', see ``assets/README.md``."""

Block = dict[str, Any]
"""One thing to be shown: its ``kind`` names the function that draws it, see `segsearch.report.page.blocks`."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading, and what stands beneath it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, kw_only=True)
class Page:
    """All of a page."""

    title: str
    subtitle: str
    sections: tuple[Section, ...]


def write_page(page: Page, path: Path) -> None:
    """Write a page. Raises InputError where the file cannot be written."""
    write_atomic(path, page_html(page))


def page_html(page: Page) -> str:
    """Return the text of the file; equal pages give equal text."""
    scripts = [_asset(name) for name in SCRIPTS]
    policy = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": "'unsafe-inline'",
        "script-src": " ".join(map(_hash, scripts)),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return Template(_asset("page.html")).substitute(
        policy="; ".join(f"{what} {allowed}" for what, allowed in policy.items()),
        title=html.escape(page.title.encode("utf-8", "replace").decode()),
        style=_asset("page.css"),
        data=inert_json(_plain(page)),
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
    )


def inert_json(value: object) -> str:
    """Write JSON that may stand in a ``<script>``: in ASCII, without ``<``, ``>`` and ``&``."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)  # escapes U+2028 and U+2029, too
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _plain(page: Page) -> dict[str, Any]:
    sections = [{"title": section.title, "blocks": section.blocks} for section in page.sections if section.blocks]
    return {"title": page.title, "subtitle": page.subtitle, "sections": sections}


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
