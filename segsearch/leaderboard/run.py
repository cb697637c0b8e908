"""All named points under one or several protocols, one after another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from segsearch.files import make_folder
from segsearch.leaderboard.board import Agreement, Board, agreement, board_of
from segsearch.leaderboard.fill import Candidate, fill, unique
from segsearch.leaderboard.protocol import MeasuringProtocol
from segsearch.leaderboard.store import MeasuredStore
from segsearch.progress import Report, silent
from segsearch.search.lock import locked
from segsearch.space.points import NamedPoint

MEASURED = "measured"
"""Folder of the measurements, below that of a leaderboard."""


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """What was measured of some points, one board per protocol."""

    boards: tuple[Board, ...]
    failed: dict[str, str]
    """Networks that could not be measured, each with the reason."""

    @property
    def agreements(self) -> tuple[Agreement, ...]:
        """Each protocol beside the first."""
        first, *others = self.boards
        return tuple(agreement(first, other) for other in others)


def run_leaderboard(
    points: Sequence[NamedPoint],
    protocols: Sequence[MeasuringProtocol],
    folder: Path,
    *,
    report: Report = silent,
    note: Callable[[str], None] = lambda line: None,
) -> Leaderboard:
    """Time every network that the folder lacks; points that are one network share its measurement.

    Each measurement is on disk before the next begins: after an interruption the same call goes on.

    Raises:
        InputError: another process is at it, a file is damaged, or the disk is full.
    """
    make_folder(folder)
    boards, failed = [], dict[str, str]()
    with locked(folder, "timing these networks"):
        for protocol in protocols:
            store = MeasuredStore(folder / MEASURED, protocol)
            note(f"{protocol}: {store.path}")
            failed |= fill(store, candidates_of(points), report=report, note=note)
            boards.append(board_of(store, points))
    return Leaderboard(boards=tuple(boards), failed=failed)


def candidates_of(points: Sequence[NamedPoint]) -> tuple[Candidate, ...]:
    """One candidate per network, in the order of the points."""
    return unique({point.name: point.spec for point in points})
