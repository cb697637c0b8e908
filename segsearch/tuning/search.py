"""The order in which ways to ship a network are tried, and how each of them is proven, scored and timed."""

import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from segsearch.artefacts.formats import libraries
from segsearch.artefacts.load import batched
from segsearch.data.normalise import MEAN, STD
from segsearch.deployment.artefact import File
from segsearch.deployment.deploy import network_masks
from segsearch.deployment.parity import Comparison, Masks, prove
from segsearch.errors import EndedError, SegsearchError, machine_fault
from segsearch.measure.conditions import Conditions
from segsearch.measure.machine import device_name, find_device
from segsearch.progress import Report
from segsearch.timing import FileSubject, latency_of
from segsearch.training.evaluate import evaluate_masks
from segsearch.tuning.files import Files
from segsearch.tuning.process import FileProcess
from segsearch.tuning.record import DEPLOYED, PLAIN, Book, Candidate, Header, Proven, Timed, Tried, fastest, lossy_int8
from segsearch.tuning.subjects import Subject
from segsearch.tuning.wish import Wish

CLOSE = 1.3
"""Files this much slower than the fastest, or less, are timed in further processes."""
BY_FAR = 0.97
"""A graph takes at most this share of another one's time if it is faster by more than chance."""
ROUNDED = frozenset({"int8", "float16", "bfloat16", "tf32"})
"""Precisions whose masks may differ from the network's: their mIoU decides."""


class _TimeIsUpError(Exception):
    """Nothing more is begun."""


class Search:
    """One network's candidates, tried in turn; what is known of them from before stands in its book."""

    def __init__(self, subject: Subject, out: Path, wish: Wish, report: Report, note: Callable[[str], None]) -> None:
        self._subject, self._wish, self._report, self._note = subject, wish, report, note
        self._end = None if wish.minutes is None else time.monotonic() + 60 * wish.minutes
        self.book, self._files = Book(out), Files(subject, out, self._tell, wish.device)
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
                    self._mend_int8(name, best[name])
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
            return self._failed(candidate, error)
        file = File.of(path)
        proven = Proven(file=file.name, size_bytes=file.size_bytes, sha256=file.sha256, agreement=agreed(), miou=miou)
        return Tried(candidate=candidate, proven=proven)

    def _failed(self, candidate: Candidate, error: SegsearchError) -> Tried:
        """Tell of a failure. Raises MachineError where the machine is at fault."""
        if fault := machine_fault(error):
            raise fault from error
        self._note(f"{candidate}: {error}")
        return Tried(candidate=candidate, failed=str(error), by_chance=isinstance(error, EndedError))

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
            self.book.add(self._failed(candidate, error))
            return
        timed = Timed(median_ms=found.median_ms, reference_ms=found.reference_ms, unsteady=found.unsteady)
        self.book.add(Tried(candidate=candidate, timed=(timed,)))
        assert tried.proven is not None
        self._note(f"{candidate}: {found.median_ms:.2f} ms, mIoU {100 * tried.proven.miou:.1f} %")

    def _best_graph(self, backend: str, graphs: Sequence[str]) -> str:
        """Return the graph that is fastest in float32 under a backend: ``deployed``, unless another is so by far."""
        times: dict[str, float] = {}
        for graph in graphs:
            if (cost := self._cost(Candidate(backend=backend, graph=graph))) is not None:
                times[graph] = cost
        best = min(times, key=times.__getitem__, default=DEPLOYED)
        return best if times.get(best, 0.0) < BY_FAR * times.get(DEPLOYED, np.inf) else DEPLOYED

    def _mend_int8(self, backend: str, graph: str) -> None:
        """Where int8 loses too much, train the network for it, or find how few layers have to stay in float32.

        Those are of the network as it was: in what was trained on, float32 itself may have lost something.
        """
        assert self.book.header is not None
        within, rounded = self._wish.within_points, Candidate(backend=backend, precision="int8", graph=graph)
        if rounded not in [one.candidate for one in lossy_int8(self.book.all(), self.book.header.miou, within)]:
            return
        if self._wish.fine_tune_epochs:
            trained = rounded.model_copy(update={"fine_tuned_epochs": self._wish.fine_tune_epochs})
            self._attempt([trained])
            loss = self._loss(trained)
            if loss is not None and loss <= within:
                return
        few, many = 0, len(self._files.layers(graph))
        while many - few > max(1, many // 8):
            middle = (few + many) // 2
            candidate = rounded.model_copy(update={"exact_layers": middle})
            self._attempt([candidate])
            loss = self._loss(candidate)
            if loss is None or loss > within:
                few = middle
            else:
                many = middle

    def _loss(self, candidate: Candidate) -> float | None:
        """Points of mIoU that a file loses; None where it failed."""
        assert self.book.header is not None
        tried = self.book.get(candidate)
        return None if tried is None or tried.failed is not None else tried.loss_points(self.book.header.miou)

    def _cost(self, candidate: Candidate) -> float | None:
        """Return what a file takes, see `Tried.cost`; None where it failed."""
        tried = self.book.get(candidate)
        return None if tried is None or tried.failed is not None else tried.cost

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

    def _tell(self, what: str, done: int, total: int) -> None:
        """Report from long work, which ends where no time is left."""
        self._report(what, done, total)
        self._check_time()

    def _check_time(self) -> None:
        if self._end is not None and time.monotonic() > self._end:
            raise _TimeIsUpError
