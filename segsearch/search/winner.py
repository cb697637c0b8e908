"""The winner of a study as artefacts: exported, proven on real images, scored and timed as the files that they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from segsearch.artefacts.appearing import appearing
from segsearch.artefacts.example import EXAMPLE, example
from segsearch.artefacts.formats import ONNX, chosen
from segsearch.artefacts.load import batched
from segsearch.artefacts.make import Label, Written, make_artefacts, time_file, write_onnx
from segsearch.artefacts.scenes import CALIBRATION_IMAGES, images_of
from segsearch.data.config import FileData
from segsearch.errors import InputError, ProofError
from segsearch.export.artefact import Artefact, Timing, check_fps
from segsearch.export.card import Card, Rival
from segsearch.export.card_page import write_card
from segsearch.export.images import write_png
from segsearch.export.onnx import OnnxModel
from segsearch.models.build import build
from segsearch.models.network import Network
from segsearch.progress import Report, silent
from segsearch.search.budget import Budget
from segsearch.search.config import StudyConfig, at_root
from segsearch.search.pick import Pick, candidates, pick
from segsearch.search.record import TrialRecord
from segsearch.search.store import StudyFolder
from segsearch.search.study import set_up
from segsearch.search.winner_card import rival, winner_card
from segsearch.study_files import RESULT, WEIGHTS
from segsearch.train.evaluate import evaluate, evaluate_masks
from segsearch.train.scores import Scores
from segsearch.train.weights import load_weights
from segsearch.trial import TrialSetup

MOST_DRIFT = 0.01
"""Pixel accuracy may differ so much between the device that trained and the processor that runs the file."""
RETRIES = 2
"""A file that misses the budget on an unsteady machine is timed so many more times."""


def export_winner(
    folder: Path,
    *,
    out: Path,
    fps: float | None = None,
    how: Pick = "miou",
    point: str | None = None,
    root: str | None = None,
    formats: Sequence[str] | None = None,
    int8: bool = False,
    report: Report = silent,
) -> Card:
    """Export a study's best network in every form, with its card and ``example.png``, to the folder ``out``.

    Networks are written as ONNX files and timed in fresh processes, the best first, until a file meets the budget.
    Where none does, the nearest is taken. The card names those that were passed over. Only the one taken gets the other
    forms and the proof: each form is run on all validation images of the search, and its masks must agree with the
    trained network's on 99.9 % of the pixels. ``out`` appears whole, at the end, or not at all.

    Args:
        folder: the study.
        out: folder for the artefacts; those exported earlier are replaced.
        fps: images per second that the file must reach; default the study's own budget.
        how: which network is the best, see `segsearch.search.pick.pick`.
        point: a named point, a network's name or spec id: export that one instead of the best.
        root: where the data lies now, if not where the search found it.
        formats: beside ``onnx``, any of ``pt2`` and ``openvino``; default all whose libraries are installed.
        int8: also a form in int8, calibrated on training images.
        report: told of what is done.

    Raises:
        BudgetError: no network has been trained.
        InputError: no study, no such network, data that cannot be opened, or an ``out`` that holds something else.
        ProofError: a file does not do what the network does. MissingExtraError: a library is not installed.
    """
    check_fps(fps)
    store, wanted = StudyFolder(folder), chosen(formats)
    config = store.read_study().config
    budget = config.budget if fps is None else config.budget.model_copy(update={"fps": fps, "latency_ms": None})
    pool = _with_weights(store, candidates(store.records(), budget, point))
    setup = set_up(config if root is None else at_root(config, root))
    with appearing(out) as temporary:
        export = _Export(config, store, setup, temporary, report)
        taken = export.first_within(pool, how, _limit_fps(budget))
        exported, made = make_artefacts(
            taken.network,
            setup.size_hw,
            temporary,
            label=export.label(taken.record),
            images=images_of(export.val),
            formats=wanted,
            threads=export.threads,
            calibration=images_of(setup.splits.train, CALIBRATION_IMAGES) if int8 else None,
            written=taken.written,
            report=report,
        )
        scores = export.scored(temporary / ONNX)
        export.check_as_trained(taken, scores)
        card = winner_card(
            config,
            taken.record,
            export.val,
            exported=exported,
            made=tuple(export.measured(form, taken.timing, scores) for form in made),
            artefact_miou=scores.miou,
            budget_fps=_limit_fps(budget),
            pick=None if point else how,
            rivals=taken.rivals,
        )
        write_card(card, temporary)
        write_png(temporary / EXAMPLE, example(OnnxModel(temporary / ONNX, threads=export.threads), export.val[0][0]))
    return card


def _with_weights(store: StudyFolder, pool: list[TrialRecord]) -> list[TrialRecord]:
    """Leave out networks that were beaten, whose weights are deleted. Raises InputError where none is left."""
    found = store.exportable(pool)
    if not found:
        folder = store.trial(pool[0].number)
        raise InputError(
            folder / WEIGHTS,
            "is not there: by default a study keeps the weights of the networks on and near its front",
            f"keep: all in the study's file; to train this one again, delete {folder / RESULT} and search on",
        )
    return found


@dataclass(frozen=True, kw_only=True)
class _Taken:
    """The network that is exported, what is known of its ONNX file, and those that were not taken in its place."""

    record: TrialRecord
    network: Network
    written: Written
    timing: Timing
    rivals: tuple[Rival, ...]


class _Export:
    """Writes, times and scores the files of one study's networks in one folder."""

    def __init__(
        self, config: StudyConfig, store: StudyFolder, setup: TrialSetup, folder: Path, report: Report
    ) -> None:
        self._config, self._store, self._size_hw, self._folder = config, store, setup.size_hw, folder
        self._report = report
        self.val, self.threads = setup.splits.val, config.threads or torch.get_num_threads()

    def label(self, record: TrialRecord) -> Label:
        notes = {"name": record.name, "spec": record.spec_id, "study": self._config.name}
        notes |= {"fit": self._config.data.fit} if isinstance(self._config.data, FileData) else {}
        return Label(classes=self.val.classes, colours=self.val.colours, notes=notes)

    def first_within(self, pool: Sequence[TrialRecord], how: Pick, limit_fps: float | None) -> _Taken:
        """Write one network after another, the best first, until a file meets the budget; else the fastest file's."""
        left, missed = list(pool), list[tuple[TrialRecord, Timing]]()
        while left:
            picked = pick(left, how)
            record = picked.record
            self._report(f"time {record.name}", len(missed), len(pool))
            network, written = self._written(record)
            timing = self._timing(record, limit_fps)
            rivals = [rival(other, its.latency_ms, "missed") for other, its in missed]
            if _meets(timing, record, limit_fps):
                slower = [rival(picked.best, picked.best.latency_ms, "slower")] if picked.best else []
                break
            missed.append((record, timing))
            left.remove(record)
        else:
            record, timing = min(missed, key=lambda pair: pair[1].latency_ms)
            network, written = self._written(record)  # over the file of the one that was tried last
            rivals = [rival(other, its.latency_ms, "missed") for other, its in missed if other is not record]
            slower = []
        return _Taken(record=record, network=network, written=written, timing=timing, rivals=(*rivals, *slower))

    def measured(self, form: Artefact, timing: Timing, scores: Scores) -> Artefact:
        """Add latency, in a fresh process, and mIoU to the forms that onnxruntime runs."""
        if form.format != "onnx":
            return form
        if form.precision == "float32":
            return form.model_copy(update={"miou": scores.miou, "timing": timing})
        path = self._folder / form.files[0].name
        timing = time_file(path, self.threads, self._config.timer)
        return form.model_copy(update={"miou": self.scored(path).miou, "timing": timing})

    def scored(self, path: Path) -> Scores:
        """Run a file on all validation images."""
        predict = batched(OnnxModel(path, threads=self.threads).predict)
        return evaluate_masks(predict, self.val, report=self._report)

    def check_as_trained(self, taken: _Taken, scores: Scores) -> None:
        """Raise ProofError if the file scores otherwise than the network did when it was trained.

        By pixels, as these hardly move with rounding and device, whereas one pixel of a rare class moves the mIoU.
        Masks that are brought to larger labels differ from logits that are: then the network itself is scored again.
        """
        record = taken.record
        assert record.scores is not None, "only trained networks are exported"
        before, now = record.scores.pixel_accuracy, scores.pixel_accuracy
        if abs(now - before) > MOST_DRIFT:
            now = evaluate(taken.network, self.val, report=self._report).pixel_accuracy
        if abs(now - before) > MOST_DRIFT:
            raise ProofError(
                f"the file is right on {scores.pixel_accuracy:.1%} of the pixels, the trained network was on"
                f" {before:.1%}: {WEIGHTS} of trial {record.number} is damaged, or the validation data has changed"
            )

    def _written(self, record: TrialRecord) -> tuple[Network, Written]:
        network = build(record.spec, len(self.val.classes))
        load_weights(network, self._store.trial(record.number) / WEIGHTS)
        return network, write_onnx(network, self._size_hw, self._folder, self.label(record))

    def _timing(self, record: TrialRecord, limit_fps: float | None) -> Timing:
        """Time the ONNX file; again where it misses the budget while others were busy, which can only slow it down."""
        found: list[Timing] = []
        while len(found) <= RETRIES:
            found.append(time_file(self._folder / ONNX, self.threads, self._config.timer))
            if found[-1].steady is not False or _meets(found[-1], record, limit_fps):
                break
        return min(found, key=lambda timing: timing.latency_ms)


def _meets(timing: Timing, record: TrialRecord, limit_fps: float | None) -> bool:
    """Whether a file is fast enough; a budget for another device than the file was timed on asks nothing of it."""
    other = record.quoted is not None and record.quoted.where != timing.device
    return limit_fps is None or other or timing.fps >= limit_fps


def _limit_fps(budget: Budget) -> float | None:
    return round(1000 / budget.limit_ms, 6) if budget.limit_ms else None
