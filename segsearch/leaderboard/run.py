"""Networks timed under one or several protocols: which, in what order, and each only once."""

import contextlib
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from segsearch.errors import DeviceError, InputError, ProofError, machine_fault
from segsearch.files import make_folder
from segsearch.leaderboard.board import Agreement, Board, agreement, board_of
from segsearch.lock import locked
from segsearch.measure.backends.table import FILE_BACKENDS, file_backend
from segsearch.measure.record import LatencyRecord
from segsearch.progress import Report, silent
from segsearch.space.points import NamedPoint, named_point, points_of
from segsearch.spec.network import NetworkSpec, check_size
from segsearch.timing import LatencyProtocol, LatencyStore, NetworkSubject, Subject, exported, latency_of

MEASURED = "measured.jsonl"
"""File of the measurements, in the folder of a leaderboard."""

Note = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A network to be timed, under the name that lines tell it by, which is no other's."""

    name: str
    spec: NetworkSpec


def unique(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Keep one candidate per network, named as the first of those who share it."""
    first: dict[str, Candidate] = {}
    for candidate in candidates:
        first.setdefault(candidate.spec.id, candidate)
    return tuple(first.values())


def candidates_of(points: Sequence[NamedPoint]) -> tuple[Candidate, ...]:
    """One candidate per network, in the order of the points."""
    return unique(Candidate(name=point.name, spec=point.spec) for point in points)


def choose_points(
    names: Sequence[str], paper: str | None, size_hw: tuple[int, int]
) -> tuple[tuple[NamedPoint, ...], tuple[str, ...]]:
    """Return the points named, or all of a paper or of all papers; and the names of those too large for the images.

    Each paper's lead comes first, so that a run cut short has one network of every paper; then the others by name.

    Raises:
        InputError: no such point or paper; or images too small for every point, or for one asked for by name.
    """
    if names and paper is not None:
        raise InputError("--paper", "cannot be given beside --points")
    if names:
        chosen = [named_point(name, "--points") for name in dict.fromkeys(names)]
        for point in chosen:
            check_size(point.spec, size_hw, f"--size for {point.name}")
    else:
        chosen = list(points_of(paper, "--paper").values())
    fitting = [point for point in chosen if _fits(point, size_hw)]
    if not fitting:
        check_size(chosen[0].spec, size_hw, "--size")
    fitting.sort(key=lambda point: (not point.lead, point.name))
    return tuple(fitting), tuple(point.name for point in chosen if not _fits(point, size_hw))


def _fits(point: NamedPoint, size_hw: tuple[int, int]) -> bool:
    try:
        check_size(point.spec, size_hw)
    except InputError:
        return False
    return True


def fill(
    store: LatencyStore,
    protocols: Sequence[LatencyProtocol],
    candidates: Sequence[Candidate],
    *,
    report: Report = silent,
    note: Note = lambda line: None,
) -> dict[str, str]:
    """Measure the candidates that the store lacks, each under all protocols; each is on disk before the next begins.

    An interruption loses the measurement under way and nothing else. Returns the names of the networks that could not
    be measured, each with the reason: too little memory, or a backend that cannot take it. They are tried again next
    time.

    Raises:
        MissingExtraError: the backend is not installed. MachineError: no disk space, memory or file handles are left.
        InputError: the file cannot be written.
    """
    failed: dict[str, str] = {}
    pairs = [(candidate, protocol) for candidate in candidates for protocol in protocols]
    for candidate, own in itertools.groupby(enumerate(pairs, start=1), key=lambda pair: pair[1][0]):
        with contextlib.ExitStack() as files:
            subjects = _Subjects(candidate, files)
            for number, (_, protocol) in own:
                report("measure", number - 1, len(pairs))
                if store.get(protocol, candidate.spec.id) is not None:
                    continue
                try:
                    record = latency_of(subjects.under(protocol), protocol.conditions, processes=protocol.processes)
                except (DeviceError, InputError, ProofError) as error:
                    if fault := machine_fault(error):
                        raise fault from error
                    failed[candidate.name] = str(error)
                    note(f"{candidate.name}: {error}")
                    continue
                store.add(protocol, candidate.spec.id, record)
                graph = " plain" if protocol.graph == "plain" else ""
                note(f"[{number}/{len(pairs)}] {_line(candidate.name + graph, record)}")
    report("measure", len(pairs), len(pairs))
    return failed


class _Subjects:
    """A candidate as the subject of each protocol: backends that run the same file share one, exported once."""

    def __init__(self, candidate: Candidate, files: contextlib.ExitStack) -> None:
        self._candidate, self._stack, self._files = candidate, files, dict[object, Subject]()

    def under(self, protocol: LatencyProtocol) -> Subject:
        """Return the subject for a protocol; an exported file lives as long as the stack."""
        spec, size_hw = self._candidate.spec, protocol.size_hw
        subject = NetworkSubject(spec=spec, classes=protocol.classes, size_hw=size_hw, label=self._candidate.name)
        if protocol.backend not in FILE_BACKENDS:
            return subject
        holds, plain = file_backend(protocol.backend).weights[protocol.precision], protocol.graph == "plain"
        key = (size_hw, protocol.classes, holds, plain)
        if key not in self._files:
            self._files[key] = self._stack.enter_context(exported(subject, holds, plain=plain))
        return self._files[key]


def with_plain(protocols: Sequence[LatencyProtocol]) -> list[LatencyProtocol]:
    """Add the protocol of plain exports behind each whose backend runs files.

    Raises:
        InputError: none of them does.
    """
    found = [each for p in protocols for each in ((p, p.of_plain) if p.backend in FILE_BACKENDS else (p,))]
    if len(found) == len(protocols):
        raise InputError("--plain", "needs a backend that runs exported files", FILE_BACKENDS)
    return found


def _line(name: str, record: LatencyRecord) -> str:
    doubt = "" if record.steady else f"; not steady: {record.unsteady}"
    return f"{name}: {record.backend} {record.median_ms:.2f} ms ({record.fps:.1f} FPS){doubt}"


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
    protocols: Sequence[LatencyProtocol],
    folder: Path,
    *,
    plain: bool = False,
    report: Report = silent,
    note: Note = lambda line: None,
) -> Leaderboard:
    """Time every network that the folder lacks; points that are one network share its measurement.

    Each measurement is on disk before the next begins: after an interruption the same call goes on. ``plain`` times
    plain exports, too, under those protocols whose backend runs files.

    Raises:
        InputError: another process is at it, a file is damaged, or the disk is full.
    """
    make_folder(folder)
    with locked(folder, "timing these networks"):
        store = LatencyStore(folder / MEASURED)
        failed = fill(
            store, with_plain(protocols) if plain else protocols, candidates_of(points), report=report, note=note
        )
        boards = tuple(board_of(store, protocol, points) for protocol in protocols)
    return Leaderboard(boards=boards, failed=failed)
