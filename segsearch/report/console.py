"""Tables on standard output."""

import sys

from rich.console import Console, RenderableType

WIDTH = 140
"""Of a log or a pipe, in columns: a table cut to 80 is of no use there."""


def show(*shown: RenderableType) -> None:
    """Print tables and lines whole; text is text: what stands in brackets, as in errors of libraries, is no markup."""
    width = None if sys.stdout.isatty() else WIDTH
    console = Console(width=width, markup=False, emoji=False, highlight=False)
    for each in shown:
        console.print(each, soft_wrap=isinstance(each, str))
