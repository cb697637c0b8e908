"""The page of whatever lies in a folder."""

from pathlib import Path

from segsearch.errors import InputError
from segsearch.progress import Report, silent
from segsearch.report.page.html import Page
from segsearch.report.page.leaderboard import is_leaderboard, leaderboard_page
from segsearch.report.page.pictures import drawn
from segsearch.study_files import RUN, STUDY


def page_of(what: Path, other: Path | None = None, pictures: int = 0, report: Report = silent) -> Page:
    """Gather the page of a study, a run or a leaderboard.

    Args:
        what: its folder, or a leaderboard's CSV file.
        other: folder of a second study, to be set beside it.
        pictures: how many predictions to draw, where weights and data are there.
        report: told after each of them.

    Raises:
        InputError: it is none of these, or a file of it is damaged.
    """
    if other is not None and not (what / STUDY).is_file():
        raise InputError("--compare", f"is for two studies, and {what} is none", "a study's folder beside another")
    if (what / STUDY).is_file():
        from segsearch.report.page.study import study_page

        return study_page(what, other, drawn(what, pictures, report))
    if (what / RUN).is_file():
        from segsearch.report.page.run import run_page

        return run_page(what, drawn(what, pictures, report))
    if is_leaderboard(what):
        return leaderboard_page(what)
    raise InputError(
        what, "is neither a study's folder, nor a run's, nor a leaderboard's", "what search, train or leaderboard wrote"
    )
