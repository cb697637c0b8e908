"""Rewriting rules from foreign tensor names to ours."""

import re
from collections.abc import Callable

Rules = tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]


def renamed(name: str, rules: Rules) -> str | None:
    """Return our name of a released tensor; None if no rule knows it."""
    for pattern, replacement in rules:
        new, hits = re.subn(pattern, replacement, name)
        if hits:
            return new
    return None
