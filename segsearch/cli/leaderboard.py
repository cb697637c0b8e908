"""Verbs that time many networks under one protocol: leaderboard, rerank."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segsearch.cli.arguments import size_hw
from segsearch.cli.study import StudyFolderArgument

if TYPE_CHECKING:
    from segsearch.leaderboard.protocol import MeasuringProtocol
    from segsearch.measure.conditions import Unsteady
    from segsearch.space.points import NamedPoint

PrecisionOption = Annotated[
    str | None,
    typer.Option("--precision", metavar="NAME", help="Number format, such as float16; float32 without."),
]
BusyOption = Annotated[
    bool, typer.Option("--allow-busy", help="Keep a latency, with a note, even if the machine did not stand still.")
]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="Processor threads; torch's number without.")]


def leaderboard(
    size: Annotated[str, typer.Option("--size", metavar="HxW", help="Input height x width in pixels.")] = "1024x2048",
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    backend: Annotated[
        list[str] | None, typer.Option("--backend", metavar="NAME", help="Software that runs them; may be repeated.")
    ] = None,
    precision: PrecisionOption = None,
    points: Annotated[
        list[str] | None, typer.Option("--points", metavar="NAME", help="Only this point; may be repeated.")
    ] = None,
    paper: Annotated[str | None, typer.Option("--paper", metavar="NAME", help="Only the points of one paper.")] = None,
    threads: ThreadsOption = None,
    samples: Annotated[
        int | None,
        typer.Option("--samples", min=1, help="Least samples per network, taken in a hurry; with care without."),
    ] = None,
    allow_busy: BusyOption = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder; runs/leaderboard-SIZE-DEVICE without.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be timed and how long it takes.")] = False,
) -> None:
    """Time all published networks in one way, and say which printed speeds hold up in order.

    The same command goes on with one that was stopped; what was measured in the same way is not measured again.
    Each is timed with the care that `segsearch measure` takes. Writes leaderboard.csv, leaderboard.png and
    leaderboard.md.
    """
    from segsearch.leaderboard.points import choose_points
    from segsearch.leaderboard.protocol import settle
    from segsearch.measure.timer import CAREFUL, TimerSettings

    wanted = size_hw(size)
    chosen, left_out = choose_points(points or [], paper, wanted)
    timer = TimerSettings(min_samples=samples) if samples else CAREFUL
    protocols = [
        settle(wanted, device=device, backend=name, precision=precision, threads=threads, timer=timer)
        for name in dict.fromkeys(backend or ["eager"])
    ]
    folder = out or Path("runs") / f"leaderboard-{wanted[0]}x{wanted[1]}-{device.replace(':', '')}"
    if dry_run:
        _dry_run(protocols, chosen, left_out, folder)
        return
    if left_out:
        _say(f"left out, too large for these images: {', '.join(left_out)}")
    _leaderboard(protocols, chosen, folder, "note" if allow_busy else "refuse")


def _dry_run(
    protocols: "list[MeasuringProtocol]", chosen: "tuple[NamedPoint, ...]", left_out: tuple[str, ...], folder: Path
) -> None:
    from segsearch.leaderboard.plan import plan
    from segsearch.leaderboard.run import MEASURED, candidates_of
    from segsearch.leaderboard.store import MeasuredStore
    from segsearch.report.bars import bar
    from segsearch.report.console import show
    from segsearch.report.leaderboard import plan_table

    for protocol in protocols:
        with bar("dry run") as report:
            planned = plan(MeasuredStore(folder / MEASURED, protocol), candidates_of(chosen), report=report)
        show(plan_table(planned, left_out))


def _leaderboard(
    protocols: "list[MeasuringProtocol]", chosen: "tuple[NamedPoint, ...]", folder: Path, unsteady: "Unsteady"
) -> None:
    from segsearch.leaderboard.run import run_leaderboard
    from segsearch.report.bars import bar
    from segsearch.report.console import show
    from segsearch.report.leaderboard import shown, write_leaderboard

    with _kept(folder), bar("leaderboard") as report:
        found = run_leaderboard(chosen, protocols, folder, unsteady=unsteady, report=report, note=_say)
    show(shown(found))
    if not any(board.entries for board in found.boards):
        raise typer.Exit(1)
    paths = write_leaderboard(found, folder, command=shlex.join(["segsearch", *sys.argv[1:]]))
    print("  ".join(map(str, paths)))
    if found.failed:
        raise typer.Exit(1)


def rerank(
    study: StudyFolderArgument,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or cuda:N; the study's own without.")] = None,
    backend: Annotated[str | None, typer.Option(metavar="NAME", help="The study's own without.")] = None,
    precision: PrecisionOption = None,
    size: Annotated[
        str | None, typer.Option("--size", metavar="HxW", help="Input height x width; the study's own without.")
    ] = None,
    threads: ThreadsOption = None,
    allow_busy: BusyOption = False,
    all_trials: Annotated[bool, typer.Option("--all", help="Every trained network, not only the front.")] = False,
) -> None:
    """Time a study's networks again for another device or backend, without training; show the new Pareto front.

    Writes into the study's folder rerank/ and nowhere else; the same command goes on with one that was stopped.
    """
    from segsearch.leaderboard.rerank import FOLDER, study_protocol
    from segsearch.leaderboard.rerank import rerank as run
    from segsearch.report.bars import bar
    from segsearch.report.console import show
    from segsearch.report.rerank import shown, write_rerank

    wanted = size_hw(size) if size else None
    protocol = study_protocol(
        study, size_hw=wanted, device=device, backend=backend, precision=precision, threads=threads
    )
    unsteady: Unsteady = "note" if allow_busy else "refuse"
    with _kept(study / FOLDER), bar("rerank") as report:
        found = run(study, protocol, all_trials=all_trials, unsteady=unsteady, report=report, note=_say)
    show(shown(found))
    print("  ".join(map(str, write_rerank(found, study))))


@contextmanager
def _kept(folder: Path) -> Iterator[None]:
    """Say on Ctrl-C that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        _say(f"what is measured is kept in {folder}; the same command goes on")
        raise


def _say(line: str) -> None:
    print(line, file=sys.stderr)
