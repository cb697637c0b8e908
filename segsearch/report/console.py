"""What a terminal shows: tables on standard output, a progress bar on standard error."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType

from segsearch.errors import SegsearchError, one_line
from segsearch.progress import Report, say, silent

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
        say(f"note: {what} was left out: {one_line(error)}")


@contextmanager
def bar(title: str, *, shown: bool = True) -> Iterator[Report]:
    """Show a bar while the block runs, if stderr is a terminal; yields what functions take as ``report=``."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal or not shown:
        yield silent
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=None)

        def report(what: str, done: int, total: int) -> None:
            progress.update(task, description=f"{title}: {what}", completed=done, total=total)

        yield report
