"""Tries every way to ship one network on this device, and picks the fastest that keeps its mIoU."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from segsearch.artefacts.formats import BIN, ONNX, XML
from segsearch.data.filedataset import keep_out
from segsearch.deployment.openvino import to_openvino
from segsearch.files import make_folder, write_atomic
from segsearch.lock import locked
from segsearch.progress import Report, silent
from segsearch.tuning.files import FOLDER
from segsearch.tuning.record import Header, Tried, fastest
from segsearch.tuning.search import Search
from segsearch.tuning.subjects import Subject
from segsearch.tuning.wish import Wish, abilities


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


def tune(
    subject: Subject, out: Path, wish: Wish, *, report: Report = silent, note: Callable[[str], None] = lambda line: None
) -> Tuned:
    """Try all ways, keep what is found in ``out``, and return it; the same call goes on with one that was stopped.

    A way that fails is a line with the reason, and no error.

    Raises:
        InputError: ``out`` is of another network, data or device, or a folder that the data is read from, or another
            process is at it. Others as `abilities`.
    """
    able = abilities(wish)
    keep_out(out, (subject.val, subject.learnt))
    make_folder(out)
    with locked(out, "tuning there"):
        search = Search(subject, out, wish, report, note)
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
