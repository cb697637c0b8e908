"""Small pieces of Markdown."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table; every cell may hold any text."""
    lines = [head, ["---"] * len(head), *([cell(text) for text in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(text: str) -> str:
    """Keep a name from breaking the table it stands in."""
    return " ".join(text.split()).replace("|", "\\|")


def pairs(items: Iterable[tuple[str, object]]) -> str:
    """Write names and values in one line."""
    return ", ".join(f"{key} {value}" for key, value in items) or "none"


def percent(fraction: float | None, missing: str = "not measured", digits: int = 1) -> str:
    """Write an IoU, or any fraction 0..1, for people: ``29.6 %``. Files for programs hold the fraction itself."""
    return missing if fraction is None else f"{100 * fraction:.{digits}f} %"
