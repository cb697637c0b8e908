"""Tries every way to ship one network on this device, and picks the fastest that keeps its mIoU."""

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from segsearch.artefacts.formats import BIN, ONNX, XML, libraries
from segsearch.artefacts.load import batched
from segsearch.data.normalise import MEAN, STD
from segsearch.deployment.artefact import File
from segsearch.deployment.deploy import network_masks
from segsearch.deployment.openvino import to_openvino
from segsearch.deployment.parity import Comparison, Masks, prove
from segsearch.errors import DeviceError, MissingExtraError, SegsearchError, machine_fault, unknown
from segsearch.files import make_folder, write_atomic
from segsearch.lock import locked
from segsearch.measure.backends.table import FILE_BACKENDS, file_backend
from segsearch.measure.conditions import Conditions, torch_threads
from segsearch.measure.machine import device_name, find_device
from segsearch.measure.timer import TimerSettings
from segsearch.progress import Report, silent
from segsearch.timing import FileSubject, latency_of
from segsearch.training.evaluate import evaluate_masks
from segsearch.tuning.files import FOLDER, Files, Subject
from segsearch.tuning.process import FileProcess
from segsearch.tuning.record import DEPLOYED, PLAIN, Book, Candidate, Header, Proven, Timed, Tried, fastest

CLOSE = 1.3
"""Files this much slower than the fastest, or less, are timed in further processes."""
BY_FAR = 0.97
"""A graph takes at most this share of another one's time if it is faster by more than chance."""
ROUNDED = frozenset({"int8", "float16", "bfloat16", "tf32"})
"""Precisions whose masks may differ from the network's: their mIoU decides."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is asked for.

    Attributes:
        within_points: points of mIoU that the file may lose.
        device, threads: what it will run on.
        backends, precisions: those to try; empty for all that are here.
        variants: whether the network is also exported without each step that changes its graph.
        minutes: begin nothing after so long; None for no limit.
        patience_seconds: for one answer of a file that runs.
        processes: new ones that time each file that is close to the fastest.
        timer: how long each of them samples.
    """

    within_points: float = 0.2
    device: str = "cpu"
    threads: int = 1
    backends: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    variants: bool = True
    minutes: float | None = None
    patience_seconds: float = 120.0
    processes: int = 3
    timer: TimerSettings = field(default_factory=TimerSettings)


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What came of it.

    Attributes:
        header: of what network, on what.
        tried: every candidate with what came of it.
        chosen: the fastest within the allowed loss; None where there is none.
        finished: whether all was tried that was to be.
    """

    header: Header
    tried: tuple[Tried, ...]
    chosen: Tried | None
    finished: bool

    @property
    def plain(self) -> Tried | None:
        """The plain export under onnxruntime, which all are compared with; None where it could not be timed."""
        return next((one for one in self.tried if one.candidate.yardstick and one.latency_ms is not None), None)

    @property
    def gain(self) -> float | None:
        """How many times faster than the plain export the chosen file is."""
        return None if self.chosen is None else self.times_faster(self.chosen)

    def times_faster(self, tried: Tried) -> float | None:
        """How many times faster than the plain export a file is; None where either was not timed."""
        return None if self.plain is None or self.plain.cost is None or not tried.cost else self.plain.cost / tried.cost


def abilities(wish: Wish) -> dict[str, tuple[str, ...]]:
    """Return the backends that are to be tried, each with its precisions on the device.

    Raises:
        InputError: an unknown backend or precision, or one that no backend here has. MissingExtraError: a backend that
            was asked for by name is not installed. DeviceError: the device is not here.
    """
    kind, found = find_device(wish.device).type, dict[str, tuple[str, ...]]()
    for name in wish.backends or FILE_BACKENDS:
        if name not in FILE_BACKENDS:
            raise unknown("--backend", name, FILE_BACKENDS)
        backend = file_backend(name)
        try:
            backend.version()
        except MissingExtraError:
            if wish.backends:
                raise
            continue
        able = [p for p in backend.precisions if kind == "cuda" or p not in backend.cuda_precisions]
        if kind in backend.devices:
            found[name] = tuple(p for p in able if not wish.precisions or p in wish.precisions or p == "float32")
    known = sorted({precision for able in found.values() for precision in able})
    for precision in wish.precisions:
        if precision not in known:
            raise unknown("--precision", precision, known)
    if not found:
        raise DeviceError(f"device: no runtime for exported files is installed for {wish.device}")
    return found


def tune(
    subject: Subject, out: Path, wish: Wish, *, report: Report = silent, note: Callable[[str], None] = lambda line: None
) -> Tuned:
    """Try all ways, keep what is found in ``out``, and return it; the same call goes on with one that was stopped.

    A way that fails is a line with the reason, and no error.

    Raises:
        InputError: ``out`` is of another network, data or device, or another process is at it. Others as `abilities`.
    """
    able = abilities(wish)
    make_folder(out)
    with locked(out, "tuning there"), torch_threads(wish.threads):
        search = _Search(subject, out, wish, report, note)
        finished = search.run(able)
        tried = search.book.all()
        assert search.book.header is not None
        chosen = fastest(tried, search.book.header.miou, wish.within_points)
        return Tuned(header=search.book.header, tried=tried, chosen=chosen, finished=finished)


def deliver(tuned: Tuned, out: Path) -> tuple[Path, ...]:
    """Copy the chosen file to ``model.onnx`` in ``out``; for OpenVINO, write its own form beside it.

    Raises:
        InputError: a file cannot be written.
    """
    for name in (ONNX, XML, BIN):  # of a choice of before
        (out / name).unlink(missing_ok=True)
    if tuned.chosen is None or tuned.chosen.proven is None:
        return ()
    write_atomic(out / ONNX, (out / FOLDER / tuned.chosen.proven.file).read_bytes())
    if tuned.chosen.candidate.backend != "openvino":
        return (out / ONNX,)
    return (out / ONNX, *to_openvino(out / ONNX, out / XML))


class _TimeIsUpError(Exception):
    """Nothing more is begun."""


class _Search:
    def __init__(self, subject: Subject, out: Path, wish: Wish, report: Report, note: Callable[[str], None]) -> None:
        self._subject, self._wish, self._report, self._note = subject, wish, report, note
        self._end = None if wish.minutes is None else time.monotonic() + 60 * wish.minutes
        self.book, self._files = Book(out), Files(subject, out, report)
        self._comparison = Comparison()
        report("score the network", 0, 1)
        self.book.begin(self._header(self._score(self._comparison.keeping(network_masks(subject.network, MEAN, STD)))))

    def run(self, able: dict[str, tuple[str, ...]]) -> bool:
        """Try the plain export, graphs, precisions, then time the best again; return whether all was done."""
        try:
            first = next(iter(able))
            self._attempt([Candidate(backend=first, graph=PLAIN)])
            graphs = self._files.graphs() if self._wish.variants else (DEPLOYED,)
            self._attempt([Candidate(backend=name, graph=graph) for graph in graphs for name in able])
            best = {name: self._best_graph(name, graphs) for name in able}
            for name, precisions in able.items():
                for precision in precisions:
                    if precision != "float32":
                        self._attempt([Candidate(backend=name, precision=precision, graph=best[name])])
                if "int8" in precisions:
                    self._keep_layers_exact(name, best[name])
            self._time_again()
        except _TimeIsUpError:
            return False
        return True

    def _header(self, miou: float) -> Header:
        subject, wish = self._subject, self._wish
        return Header(
            name=subject.name,
            weights=subject.checksum,
            size_hw=subject.size_hw,
            classes=len(subject.val.classes),
            data=subject.val.name,
            images=len(subject.val),
            miou=miou,
            device=wish.device,
            device_name=device_name(find_device(wish.device)),
            threads=wish.threads,
            machine=platform.node(),
            versions=libraries(),
        )

    def _attempt(self, candidates: Sequence[Candidate]) -> None:
        """Build, prove and score each candidate that is not known yet, and time all once, one after another."""
        for candidate in candidates:
            if self.book.get(candidate) is None:
                self._check_time()
                self._report(f"prove {candidate}", 0, 1)
                self.book.add(self._proven(candidate))
        for candidate in candidates:
            known = self.book.get(candidate)
            if known is not None and known.failed is None and not known.timed:
                self._check_time()
                self._time(known)

    def _proven(self, candidate: Candidate) -> Tried:
        wish = self._wish
        try:
            path = self._files.path(candidate)
            with FileProcess(
                path, candidate.backend, candidate.precision, wish.device, wish.threads, wish.patience_seconds
            ) as process:
                masks, agreed = self._comparison.of(process.predict)
                miou = self._score(masks)
                if candidate.precision not in ROUNDED:
                    prove(agreed(), name=str(candidate))
        except SegsearchError as error:
            if fault := machine_fault(error):
                raise fault from error
            self._note(f"{candidate}: {error}")
            return Tried(candidate=candidate, failed=str(error))
        file = File.of(path)
        proven = Proven(file=file.name, size_bytes=file.size_bytes, sha256=file.sha256, agreement=agreed(), miou=miou)
        return Tried(candidate=candidate, proven=proven)

    def _score(self, masks: Masks) -> float:
        return evaluate_masks(batched(masks), self._subject.val, report=self._report).miou

    def _time(self, tried: Tried) -> None:
        """Time a file in one new process more."""
        candidate, wish = tried.candidate, self._wish
        under = Conditions(
            device=wish.device,
            backend=candidate.backend,
            precision=candidate.precision,
            threads=wish.threads,
            timer=wish.timer,
        )
        self._report(f"time {candidate}", 0, 1)
        try:
            found = latency_of(FileSubject(path=self._files.path(candidate), label=str(candidate)), under, processes=1)
        except SegsearchError as error:
            if fault := machine_fault(error):
                raise fault from error
            self.book.add(Tried(candidate=candidate, failed=str(error)))
            self._note(f"{candidate}: {error}")
            return
        timed = Timed(median_ms=found.median_ms, reference_ms=found.reference_ms, unsteady=found.unsteady)
        self.book.add(Tried(candidate=candidate, timed=(timed,)))
        assert tried.proven is not None
        self._note(f"{candidate}: {found.median_ms:.2f} ms, mIoU {100 * tried.proven.miou:.1f} %")

    def _best_graph(self, backend: str, graphs: Sequence[str]) -> str:
        """Return the graph that is fastest in float32 under a backend: ``deployed``, unless another is so by far."""
        times: dict[str, float] = {}
        for graph in graphs:
            tried = self.book.get(Candidate(backend=backend, graph=graph))
            if tried is not None and tried.failed is None and tried.cost is not None:
                times[graph] = tried.cost
        best = min(times, key=times.__getitem__, default=DEPLOYED)
        return best if times.get(best, 0.0) < BY_FAR * times.get(DEPLOYED, np.inf) else DEPLOYED

    def _keep_layers_exact(self, backend: str, graph: str) -> None:
        """Where int8 loses too much, find how few layers have to stay in float32, by halving."""
        assert self.book.header is not None
        rounded = self.book.get(Candidate(backend=backend, precision="int8", graph=graph))
        if rounded is None or rounded.failed is not None or not self._loses(rounded):
            return
        few, many = 0, len(self._files.layers(graph))
        while many - few > max(1, many // 8):
            middle = (few + many) // 2
            candidate = Candidate(backend=backend, precision="int8", graph=graph, exact_layers=middle)
            self._attempt([candidate])
            known = self.book.get(candidate)
            if known is None or known.failed is not None or self._loses(known):
                few = middle
            else:
                many = middle

    def _loses(self, tried: Tried) -> bool:
        assert self.book.header is not None
        loss = tried.loss_points(self.book.header.miou)
        return loss is None or loss > self._wish.within_points

    def _time_again(self) -> None:
        """Time the plain export and all that come close to the fastest in further processes, by turns."""
        assert self.book.header is not None
        for turn in range(1, self._wish.processes):
            best = fastest(self.book.all(), self.book.header.miou, self._wish.within_points)
            limit = np.inf if best is None or best.cost is None else CLOSE * best.cost
            for tried in self.book.all():
                close = tried.cost is not None and (tried.cost <= limit or tried.candidate.yardstick)
                if close and tried.failed is None and len(tried.timed) <= turn:
                    self._check_time()
                    self._time(tried)

    def _check_time(self) -> None:
        if self._end is not None and time.monotonic() > self._end:
            raise _TimeIsUpError
