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


def share(value: float | None, missing: str = "not measured") -> str:
    """Write a fraction as per cent."""
    return missing if value is None else f"{100 * value:.2f} %"
