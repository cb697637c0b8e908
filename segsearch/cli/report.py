"""The verb that writes a page: report."""

from pathlib import Path
from typing import Annotated

import typer

from segsearch.cli.outputs import PAGE, check_output


def report(
    what: Annotated[
        Path,
        typer.Argument(
            metavar="STUDY|RUN|LEADERBOARD",
            help="Folder of a study, a run or a leaderboard, or a leaderboard's CSV file.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.html", help="Default: report.html in the folder.")
    ] = None,
    compare: Annotated[
        Path | None, typer.Option("--compare", metavar="STUDY", help="Folder of another study, to be set beside it.")
    ] = None,
    pictures: Annotated[
        int, typer.Option(min=0, max=12, help="Predictions to draw, where weights and data are there.")
    ] = 3,
) -> None:
    """Write one HTML file to look into: a chart to point at, tables to sort, curves, predictions, and commands.

    It needs no network and no other file, so that it can be sent to anybody. A study's page has the Pareto front with a
    budget that can be moved, and says which network is best within it.

    Example: segsearch report runs/my_study --out my_study.html

    Example: segsearch report runs/tpe --compare runs/random
    """
    from segsearch.report.console import bar
    from segsearch.report.page.html import write_page
    from segsearch.report.page.page import page_of

    path = out or (what if what.is_dir() else what.parent) / "report.html"
    if out is not None or path.exists():
        check_output("--out", path, PAGE)
    with bar("report") as moved:
        page = page_of(what, compare, pictures, moved)
    write_page(page, path)
    print(path)
