"""The networks of a study under another protocol: timed again, not trained again, and what that does to the front."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from segsearch.data.config import DataSpec
from segsearch.data.open import open_data
from segsearch.errors import DeviceError, InputError
from segsearch.files import make_folder
from segsearch.leaderboard.order import geometric_mean
from segsearch.leaderboard.run import MEASURED, Candidate, fill, unique
from segsearch.lock import locked
from segsearch.measure.conditions import Conditions
from segsearch.measure.record import LatencyRecord
from segsearch.measure.timer import TimerSettings
from segsearch.progress import Report, silent
from segsearch.study.pareto import front
from segsearch.study.promotion import kendall
from segsearch.study.record import TrialRecord
from segsearch.study.store import StudyFolder
from segsearch.timing import LatencyProtocol, LatencyStore, protocol_for

FOLDER = "rerank"
"""Below the study's folder; nothing else in it is touched."""


@dataclass(frozen=True, kw_only=True)
class Retimed:
    """One trained trial and its latency under the new protocol."""

    record: TrialRecord
    again: LatencyRecord


@dataclass(frozen=True, kw_only=True)
class Reranked:
    """Trials of a study under a new protocol."""

    study: str
    protocol: LatencyProtocol
    networks: tuple[Retimed, ...]
    """Fastest first by the new latency."""
    only_front: bool
    """Whether only the study's front was timed, so that nothing could enter."""
    failed: dict[str, str]
    """Networks that could not be measured, each with the reason."""

    @cached_property
    def old_front(self) -> tuple[int, ...]:
        """Numbers of the trials on the front by the study's latencies, fastest first."""
        return tuple(record.number for record in front(net.record for net in self.networks))

    @cached_property
    def new_front(self) -> tuple[int, ...]:
        """Numbers of the trials on the front by the new latencies, fastest first; of equals the earliest trial."""
        chosen: list[Retimed] = []
        for net in sorted(self.networks, key=lambda n: (n.again.median_ms, -n.record.miou, n.record.number)):
            if not chosen or net.record.miou > chosen[-1].record.miou:
                chosen.append(net)
        return tuple(net.record.number for net in chosen)

    @property
    def entered(self) -> tuple[str, ...]:
        """Names of those on the new front that were not on the old one."""
        return self._names(set(self.new_front) - set(self.old_front))

    @property
    def left(self) -> tuple[str, ...]:
        """Names of those on the old front that are not on the new one."""
        return self._names(set(self.old_front) - set(self.new_front))

    @property
    def tau(self) -> float | None:
        """Kendall's tau-b between the two rankings by latency."""
        return kendall([(net.record.latency_ms, net.again.median_ms) for net in self.networks])

    @property
    def ratio(self) -> float:
        """Geometric mean of the new latency over the study's."""
        return geometric_mean([net.again.median_ms / net.record.latency_ms for net in self.networks])

    def _names(self, numbers: set[int]) -> tuple[str, ...]:
        return tuple(net.record.name for net in self.networks if net.record.number in numbers)


def study_protocol(
    folder: Path,
    *,
    size_hw: tuple[int, int] | None = None,
    device: str | None = None,
    backend: str | None = None,
    precision: str | None = None,
    threads: int | None = None,
    timer: TimerSettings | None = None,
    processes: int | None = None,
) -> LatencyProtocol:
    """Take a study's way of measuring, with what is given here in its place; under another backend float32.

    Raises: as `segsearch.timing.protocol_for`, and InputError where there is no study, nothing is trained, or neither
    scores nor the data tell the number of classes, and for int8, which a quantised file is timed in, not a network.
    """
    if precision == "int8":
        cure = "`segsearch export STUDY --int8`, whose card has its latency and mIoU"
        raise InputError("precision", "int8 is of quantised files, and a study holds none", cure)
    store = StudyFolder(folder)
    config = store.read_study().config
    under = Conditions(
        device=device or config.device,
        backend=backend or config.backend,
        precision=precision or (config.precision if backend in (None, config.backend) else None),
        threads=threads or config.threads,
        timer=timer or config.timer,
    )
    return protocol_for(size_hw or config.data.size, under, classes=_classes(store, config.data), processes=processes)


def rerank(
    folder: Path,
    protocol: LatencyProtocol,
    *,
    all_trials: bool = False,
    report: Report = silent,
    note: Callable[[str], None] = lambda line: None,
) -> Reranked:
    """Time a study's front, or all that it has trained, under a protocol; what is timed already is read.

    Measurements lie in ``rerank/`` below the study's folder; the study's own files are only read.

    Raises:
        InputError: there is no study, nothing is trained, another process is at it, or the disk is full.
        DeviceError: none of the networks could be measured.
    """
    study = StudyFolder(folder)
    trained = _trained(study)
    chosen = trained if all_trials else front(trained)
    candidates = unique(Candidate(name=f"{r.name} (trial {r.number})", spec=r.spec) for r in chosen)
    make_folder(folder / FOLDER)
    with locked(folder / FOLDER, "timing these networks"):
        store = LatencyStore(folder / FOLDER / MEASURED)
        failed = fill(store, [protocol], candidates, report=report, note=note)
    found = ((record, store.get(protocol, record.spec_id)) for record in chosen)
    networks = [Retimed(record=record, again=again) for record, again in found if again is not None]
    if not networks:
        raise DeviceError(f"none of the networks could be timed: {next(iter(failed.values()))}")
    networks.sort(key=lambda net: (net.again.median_ms, net.record.number))
    name = study.read_study().config.name
    return Reranked(study=name, protocol=protocol, networks=tuple(networks), only_front=not all_trials, failed=failed)


def _classes(study: StudyFolder, data: DataSpec) -> int:
    """Count the classes; a network that somebody's own code scored does not name them, the data does."""
    named = (len(record.scores.iou) for record in _trained(study) if record.scores is not None)
    return next(filter(None, named), 0) or len(open_data(data, check=False).train.classes)


def _trained(study: StudyFolder) -> list[TrialRecord]:
    study.read_study()
    trained = [record for record in study.records() if record.trained]
    if not trained:
        raise InputError(study.path, "has no trained network yet")
    return trained
