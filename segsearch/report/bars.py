"""One progress bar for one long call."""

from collections.abc import Iterator
from contextlib import contextmanager

from segsearch.progress import Report, silent


@contextmanager
def bar(title: str, *, shown: bool = True) -> Iterator[Report]:
    """Show a bar while the block runs, if stderr is a terminal; yields what functions take as ``report=``."""
    from rich.console import Console
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
