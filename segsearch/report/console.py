"""Tables on standard output."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType

from segsearch.errors import SegsearchError, one_line

WIDTH = 140
"""Of a log or a pipe, in columns: a table cut to 80 is of no use there."""


def show(*shown: RenderableType) -> None:
    """Print tables and lines whole; text is text: what stands in brackets, as in errors of libraries, is no markup."""
    width = None if sys.stdout.isatty() else WIDTH
    console = Console(width=width, markup=False, emoji=False, highlight=False)
    for each in shown:
        console.print(each, soft_wrap=isinstance(each, str))


@contextmanager
def optional(what: str, *, refusals: bool = False) -> Iterator[None]:
    """Run a last step that may fail without harm, as what it shows is stored: then a line says that it was left out.

    A file that cannot be written is no such failure, unless ``refusals`` are to be told in the same way.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, SegsearchError) and not refusals:
            raise
        print(f"note: {what} was left out: {one_line(error)}", file=sys.stderr)
