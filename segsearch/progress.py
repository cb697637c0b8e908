"""How work tells where it stands: to whoever listens, or in a line for people."""

import contextlib
import sys
from collections.abc import Callable

Report = Callable[[str, int, int], None]
"""Called as ``report(what, done, total)``; must be quick. What it raises ends the work: KeyboardInterrupt a trial."""


def silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""


def say(line: str) -> None:
    """Print a line on standard error; where it cannot be written, nobody wants to know, and no work ends for it."""
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)
