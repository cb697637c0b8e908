"""What a page is made of, as plain data: a function of the same name in ``assets/charts.js`` draws each of these.

A cell is a text, a number, or None for nothing. Columns say how numbers are written: ``percent`` of a fraction,
``count`` with K, M and G, or digits after the point.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from segsearch.report.page.html import Block

Cell = str | float | None
Column = tuple[str, str | int]
"""Heading; ``text``, ``percent``, ``count``, or the number of digits after the point."""
TEXT = "text"


def facts(rows: Mapping[str, object]) -> Block:
    """Pair names and what they are; empty ones are left out."""
    return {"kind": "facts", "rows": [[name, str(value)] for name, value in rows.items() if value not in (None, "")]}


def tiles(rows: Iterable[tuple[str, str, str]]) -> Block:
    """Show a few figures in large letters: what each is, the figure, and a remark."""
    return {"kind": "tiles", "rows": list(rows)}


def words(*lines: str) -> Block:
    """Sentences, a paragraph each."""
    return {"kind": "words", "lines": lines}


def command(told: str, text: str) -> Block:
    """Text to be copied, such as a command, and what it does."""
    return {"kind": "command", "told": told, "text": text}


def table(caption: str, columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> Block:
    """Rows to be sorted and filtered."""
    return {
        "kind": "table",
        "caption": caption,
        "columns": columns,
        "rows": [[_finite(c) for c in row] for row in rows],
    }


def matrix(caption: str, columns: Sequence[str], rows: Iterable[tuple[str, Sequence[float | None]]]) -> Block:
    """Fractions 0..1 as shaded cells, a name before each row."""
    return {"kind": "matrix", "caption": caption, "columns": columns, "rows": list(rows)}


def bars(caption: str, series: Sequence[str], rows: Iterable[tuple[str, Sequence[float | None]]]) -> Block:
    """Fractions 0..1 as bars, one for each series beside one another."""
    return {"kind": "bars", "caption": caption, "series": series, "rows": list(rows)}


def lines(
    caption: str,
    x: str,
    y: str,
    series: Iterable[tuple[str, Sequence[float], Sequence[float]]],
    *,
    steps: bool = False,
    percent: bool = False,
    rule: tuple[str, float] | None = None,
) -> Block:
    """Curves over one axis.

    Args:
        caption: what is seen.
        x: name of the axis across.
        y: name of the axis upwards.
        series: name, places across, and values; what is no number is left out.
        steps: a value holds until the next one.
        percent: values are fractions.
        rule: a line across, its name and value.
    """
    kept = [[name, *_points(xs, ys)] for name, xs, ys in series]
    return {
        "kind": "lines",
        "caption": caption,
        "x": x,
        "y": y,
        "series": [each for each in kept if each[1]],
        "steps": steps,
        "percent": percent,
        "rule": rule,
    }


def pictures(items: Iterable[tuple[str, str]]) -> Block:
    """Pictures as data URLs, each with what it shows."""
    return {"kind": "pictures", "items": list(items)}


def _points(xs: Sequence[float], ys: Sequence[float]) -> tuple[list[float], list[float]]:
    kept = [(x, y) for x, y in zip(xs, ys, strict=True) if math.isfinite(x) and math.isfinite(y)]
    return [round(x, 4) for x, _ in kept], [float(f"{y:.6g}") for _, y in kept]


def _finite(cell: Any) -> Any:
    """Leave out what JSON has no word for, and pandas' word for nothing."""
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell
