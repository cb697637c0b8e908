"""Nested plain data as one level, so that two of a kind can be compared name by name."""

from typing import Any


def flat(data: dict[str, Any], prefix: str = "") -> dict[str, object]:
    """Give every value by its dotted name, ``recipe.iterations`` and its like; an empty dict is a value."""
    found: dict[str, object] = {}
    for key, value in data.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
    return found
