"""How long work tells where it stands, without knowing who listens."""

from collections.abc import Callable

Report = Callable[[str, int, int], None]
"""Called as ``report(what, done, total)``; must be quick. What it raises ends the work: KeyboardInterrupt a trial."""


def silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""
