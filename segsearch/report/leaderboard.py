"""What `segsearch leaderboard` prints and writes."""

from pathlib import Path

from rich.console import Group
from rich.table import Table

from segsearch.files import write_atomic
from segsearch.leaderboard.board import Board
from segsearch.leaderboard.plan import TimingPlan
from segsearch.leaderboard.run import Leaderboard
from segsearch.report import leaderboard_csv, leaderboard_md, leaderboard_plot
from segsearch.report.console import optional
from segsearch.report.latency import least_most, marked
from segsearch.report.words import duration
from segsearch.study.budget import short


def write_leaderboard(leaderboard: Leaderboard, folder: Path, *, command: str) -> tuple[Path, ...]:
    """Write CSV, picture and Markdown into ``folder``; return their paths.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    paths = tuple(folder / module.NAME for module in (leaderboard_csv, leaderboard_plot, leaderboard_md))
    leaderboard_csv.write_csv(leaderboard.boards, paths[0])
    with optional(paths[1].name):
        leaderboard_plot.plot_boards(leaderboard.boards, paths[1], title="Published networks under one protocol")
    write_atomic(paths[2], leaderboard_md.markdown(leaderboard, command=command))
    return paths


def shown(leaderboard: Leaderboard) -> Group:
    """Return a table per protocol, and beneath it which printed speeds hold up."""
    pieces: list[object] = []
    for board in leaderboard.boards:
        pieces += [_table(board), *leaderboard_md.order_lines(board)]
    pieces += map(leaderboard_md.agreement_line, leaderboard.agreements)
    pieces += [f"not measured: {name}: {reason}" for name, reason in leaderboard.failed.items()]
    return Group(*pieces)  # type: ignore[arg-type]  # all are renderables


def plan_table(plan: TimingPlan, left_out: tuple[str, ...]) -> Group:
    """Return what would be timed, and about how long it takes."""
    table = Table(title=f"would be timed: {plan.protocol}", title_justify="left")
    for heading, side in (("network", "left"), ("MACs", "right"), ("about", "right")):
        table.add_column(heading, justify=side)  # type: ignore[arg-type]  # left or right
    for planned in plan.missing:
        table.add_row(planned.name, short(planned.macs), duration(planned.seconds))
    return Group(
        table,
        *([f"left out, too large for these images: {', '.join(left_out)}"] if left_out else []),
        f"{len(plan.missing)} of {plan.wanted} networks, {duration(plan.seconds)} in all by a rough guess;"
        " nothing was written",
    )


def _table(board: Board) -> Table:
    table = Table(title=str(board.protocol), title_justify="left")
    plain = ("plain ms", "times faster") if board.gains else ()
    for heading in ("", "point", "FPS", "ms", "of processes", "p10-p90", "MACs", *plain, "FPS printed", "mIoU printed"):
        table.add_column(heading, justify="left" if heading == "point" else "right", no_wrap=True)
    for rank, entry in enumerate(board.entries, start=1):
        latency, speed, miou = entry.latency, entry.published, entry.miou
        table.add_row(
            str(rank),
            entry.point.name,
            f"{latency.fps:.2f}",
            marked(latency),
            least_most(latency),
            f"{latency.p10_ms:.2f}-{latency.p90_ms:.2f}",
            short(latency.macs or 0),
            *(leaderboard_md.plain_cells(entry) if plain else ()),
            speed.printed + ("" if entry.same_size(speed) else "*") if speed else "",
            f"{miou.printed} %" if miou else "",
        )
    table.caption = "* printed for another size; ! not steady"
    return table
