"""What was tried of one network, and what came of it, as lines on disk."""

import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from segsearch.deployment.parity import Agreement
from segsearch.errors import InputError
from segsearch.frozen import Frozen
from segsearch.timing.store import append_line, read_lines

TRIED = "tried.jsonl"
PLAIN, DEPLOYED = "plain", "deployed"
"""Graphs: what ``torch.onnx.export`` makes of the network, and what `segsearch export` writes."""
NO_GAIN = 1.1
"""int8 that takes this many times as long as float32, or longer, is left as it is, whatever it loses."""
VERSION: Literal[1] = 1
"""Raised when figures of before cannot stand beside new ones."""


class Candidate(Frozen):
    """One way to ship a network.

    Attributes:
        backend: the software that runs the file.
        precision: what it computes in.
        graph: ``plain``, ``deployed``, or ``deployed`` without one step: ``no reorder``.
        fine_tuned_epochs: of int8, for how many epochs the network was trained for it.
        exact_layers: of int8, how many convolutions stay in float32, those first that rounding changes most.
    """

    backend: str
    precision: str = "float32"
    graph: str = DEPLOYED
    fine_tuned_epochs: int = Field(default=0, ge=0)
    exact_layers: int = Field(default=0, ge=0)

    def __str__(self) -> str:
        """Write for people: ``onnxruntime int8, 4 layers float32``."""
        graph = "" if self.graph == DEPLOYED else f", {self.graph}"
        exact = f", {self.exact_layers} layers float32" if self.exact_layers else ""
        epochs = f", {self.fine_tuned_epochs} epochs of fine-tuning" if self.fine_tuned_epochs else ""
        return f"{self.backend} {self.precision}{graph}{epochs}{exact}"

    @property
    def yardstick(self) -> bool:
        """Whether it is the plain export, with which the others are compared and which is never chosen."""
        return self.graph == PLAIN


class Proven(Frozen):
    """What a file does.

    Attributes:
        file: its name in the folder ``files``; ``size_bytes``, ``sha256``: of it.
        agreement: of its masks with the trained network's.
        miou: of its masks on all validation images, 0..1.
    """

    file: str
    size_bytes: int
    sha256: str
    agreement: Agreement
    miou: float


class Timed(Frozen):
    """A file in one new process.

    Attributes:
        median_ms: latency of one image, in milliseconds.
        reference_ms: of the reference network beside it in the same process; None where there is none.
        unsteady: why it is to be doubted; None where it is not.
    """

    median_ms: float = Field(gt=0)
    reference_ms: float | None = None
    unsteady: str | None = None


class Tried(Frozen):
    """A candidate and what came of it.

    Attributes:
        proven: None where it failed.
        failed: why, in one line.
        by_chance: whether it failed as its process was killed or late, which another time it may not be.
        timed: in each new process.
    """

    candidate: Candidate
    proven: Proven | None = None
    failed: str | None = None
    by_chance: bool = False
    timed: tuple[Timed, ...] = ()

    @property
    def latency_ms(self) -> float | None:
        """Median over the processes; None before the first."""
        return statistics.median(each.median_ms for each in self.timed) if self.timed else None

    @property
    def cost(self) -> float | None:
        """What files are compared by: latency over that of the reference network in the same process, the median.

        A machine's own speed wanders from process to process, by more than what files often differ by.
        """
        if not self.timed:
            return None
        return statistics.median(each.median_ms / (each.reference_ms or 1.0) for each in self.timed)

    @property
    def steady(self) -> bool:
        """Whether some timing is not to be doubted."""
        return any(each.unsteady is None for each in self.timed)

    def loss_points(self, miou: float) -> float | None:
        """Points of mIoU below the trained network's ``miou``, 0..1; negative where it is above."""
        return None if self.proven is None else 100 * (miou - self.proven.miou)


class Header(Frozen):
    """All that must be the same for two lines to be compared.

    Attributes:
        name: the network's, for people; weights: a checksum of them.
        size_hw: height and width of the image in pixels; classes: K.
        data: its name; images: of the validation split.
        miou: of the trained network's own masks on them, 0..1.
        device, threads, machine, versions: what runs the files.
    """

    version: Literal[1] = VERSION
    name: str
    weights: str
    size_hw: tuple[int, int]
    classes: int
    data: str
    images: int
    miou: float
    device: str
    device_name: str
    threads: int
    machine: str
    versions: dict[str, str]


class Book:
    """The lines of one folder: a header, then what was tried. A later line of a candidate adds to an earlier one.

    Raises:
        InputError: the file is damaged, or of another network, data or device.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / TRIED
        self.header: Header | None = None
        self._tried: dict[str, Tried] = {}
        for number, line in enumerate(read_lines(self.path), start=1):
            if number == 1:
                self.header = Header.parse(line, f"{self.path}:1")
            else:
                self._add(Tried.parse(line, f"{self.path}:{number}"))
        self._again = {name for name, tried in self._tried.items() if tried.by_chance}
        """What failed by chance in an earlier session, and was not tried again in this one."""

    def begin(self, header: Header) -> None:
        """Write the header, or check that the one that is there says the same."""
        if self.header is None:
            append_line(self.path, header.model_dump(mode="json"))
            self.header = header
        for name, before in self.header.model_dump().items():
            now = getattr(header, name)
            if before != now and name != "miou":
                raise InputError(self.path.parent, f"was begun with {name} {before}, not {now}", "another --out")

    def get(self, candidate: Candidate) -> Tried | None:
        """Return what came of a candidate, if it was tried and is not to be tried again."""
        return None if candidate.id in self._again else self._tried.get(candidate.id)

    def add(self, tried: Tried) -> None:
        """Keep what was found; it is on disk when this returns."""
        append_line(self.path, tried.model_dump(mode="json"))
        self._again.discard(tried.candidate.id)
        self._add(tried)

    def all(self) -> tuple[Tried, ...]:
        """All that was tried, in order."""
        return tuple(self._tried.values())

    def _add(self, tried: Tried) -> None:
        before = self._tried.get(tried.candidate.id)
        self._tried[tried.candidate.id] = tried if before is None else _joined(before, tried)


def _joined(before: Tried, now: Tried) -> Tried:
    update: dict[str, Any] = {
        "proven": now.proven or before.proven,
        "failed": now.failed if before.by_chance else now.failed or before.failed,
        "by_chance": now.by_chance,
        "timed": (*before.timed, *now.timed),
    }
    return before.model_copy(update=update)


def fastest(tried: Iterable[Tried], miou: float, within_points: float) -> Tried | None:
    """Return the fastest of those that lose at most so many points of the network's ``miou``, 0..1; None for none."""
    fit = [
        one
        for one in tried
        if not one.candidate.yardstick
        and one.failed is None
        and one.cost is not None
        and (loss := one.loss_points(miou)) is not None
        and loss <= within_points
    ]
    return min(fit, key=lambda one: one.cost or 0.0, default=None)


def lossy_int8(tried: Iterable[Tried], miou: float, within_points: float) -> list[Tried]:
    """Return the files all in int8 that lose more than is allowed, and are fast enough to be worth more work.

    Args:
        tried: all that is known of one network.
        miou: of the trained network, 0..1.
        within_points: points of it that a file may lose.
    """
    known = {one.candidate: one for one in tried}
    found = []
    for candidate, one in known.items():
        plain_int8 = Candidate(backend=candidate.backend, precision="int8", graph=candidate.graph)
        exact = known.get(Candidate(backend=candidate.backend, graph=candidate.graph))
        if candidate != plain_int8 or one.failed is not None or exact is None:
            continue
        loss, slow = one.loss_points(miou), one.cost is None or exact.cost is None or one.cost >= NO_GAIN * exact.cost
        if loss is not None and loss > within_points and not slow:
            found.append(one)
    return found
