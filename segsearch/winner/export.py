"""The winner of a study as artefacts: exported, proven on real images, scored and timed as the files that they are."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from segsearch.artefacts.appearing import appearing
from segsearch.artefacts.formats import ONNX, chosen
from segsearch.artefacts.load import batched
from segsearch.artefacts.make import Label, Written, make_artefacts, time_file, time_under, write_file, write_onnx
from segsearch.artefacts.scenes import CALIBRATION_IMAGES, EXAMPLE, example, images_of
from segsearch.data.filedataset import keep_out
from segsearch.deployment.artefact import Artefact, Timing, check_fps
from segsearch.deployment.card import Card, Rival
from segsearch.deployment.card_page import write_card
from segsearch.deployment.images import write_png
from segsearch.deployment.markdown import percent
from segsearch.deployment.onnx import OnnxModel
from segsearch.deployment.parity import Masks
from segsearch.engine.prepare import set_up
from segsearch.errors import ProofError
from segsearch.models.network import Network, build
from segsearch.progress import Report, silent
from segsearch.run.data import divided
from segsearch.study.budget import Budget
from segsearch.study.config import StudyConfig, at_root
from segsearch.study.pick import Pick
from segsearch.study.record import TrialRecord
from segsearch.study.store import StudyFolder
from segsearch.training.evaluate import evaluate, evaluate_masks
from segsearch.training.scores import Scores
from segsearch.training.weights import load_weights
from segsearch.trial import TrialSetup
from segsearch.winner.card import rival, winner_card
from segsearch.winner.pool import Pool, open_pool
from segsearch.winner.shipped import shipped_form

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

    Networks are written as ONNX files and timed in fresh processes, the best first, until a file meets the budget: by
    the study's backend in its precision where that runs files here (`segsearch.winner.shipped`), else by onnxruntime.
    Where none does, the nearest is taken. The card names those that were passed over. Only the one taken gets the other
    forms and the proof: each form is run on all validation images of the search, and its masks must agree with the
    trained network's on 99.9 % of the pixels. ``out`` appears whole, at the end, or not at all.

    Where the study has final figures (`segsearch.engine.finalize`), the winner is theirs, with the weights of the seed
    whose mIoU is nearest the mean: the best of several seeds would owe its lead to luck.

    Args:
        folder: the study.
        out: folder for the artefacts; those exported earlier are replaced.
        fps: images per second that the file must reach; default the study's own budget.
        how: which network is the best, see `segsearch.study.pick.pick`, and `segsearch.study.final.ranked`.
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
    budget = config.budget if fps is None else config.budget.at_fps(fps)
    pool = open_pool(store, budget, how, point)
    if pool.final is not None:  # what the final trainings learnt may hold what the search validated on
        config = config.model_copy(update={"data": divided(config.data, pool.final.split)})
    setup = set_up(config if root is None else at_root(config, root))
    keep_out(out, [setup.splits.train, setup.splits.val])
    with appearing(out) as temporary:
        export = _Export(config, pool, setup, temporary, report)
        taken = export.scored_here(export.first_within(_limit_fps(budget)))
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
            shipped=None if export.shipped is None else export.shipped.form(temporary, setup.size_hw),
            report=report,
        )
        scores = export.scored(OnnxModel(temporary / ONNX, threads=export.threads).predict)
        export.check_as_trained(taken, scores)
        made = export.all_measured(made, taken.timing, scores)
        last = made[0] if export.shipped is None else made[-1]
        card = winner_card(
            config,
            taken.record,
            export.val,
            weights=pool.told(taken.record),
            retrained=pool.retrained(taken.record),
            exported=exported,
            made=made,
            shipped=last.files[0].name,
            artefact_miou=last.miou,
            timing=taken.timing,
            budget_fps=_limit_fps(budget),
            pick=None if point else how,
            rivals=taken.rivals,
        )
        write_card(card, temporary)
        write_png(temporary / EXAMPLE, example(OnnxModel(temporary / ONNX, threads=export.threads), export.val[0][0]))
    return card


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

    def __init__(self, config: StudyConfig, pool: Pool, setup: TrialSetup, folder: Path, report: Report) -> None:
        self._config, self._pool, self._size_hw, self._folder = config, pool, setup.size_hw, folder
        self._report = report
        self.val, self.threads = setup.splits.val, config.threads or torch.get_num_threads()
        self.shipped = shipped_form(config, self.threads)
        self._timed = self.shipped if self.shipped is not None and self.shipped.timed else None

    def label(self, record: TrialRecord) -> Label:
        notes = {"name": record.name, "spec": record.spec_id, "study": self._config.name, "fit": self.val.fit}
        return Label(classes=self.val.classes, colours=self.val.colours, notes=notes)

    def first_within(self, limit_fps: float | None) -> _Taken:
        """Write one network after another, the best first, until a file meets the budget; else the fastest file's."""
        left, missed = list(self._pool.records), list[tuple[TrialRecord, Timing]]()
        gone = [rival(other, self._pool.miou(other), other.latency_ms, "gone") for other in self._pool.gone]
        while left:
            picked = self._pool.pick(left)
            record = picked.record
            self._report(f"time {record.name}", len(missed), len(self._pool.records))
            network, written = self._written(record)
            timing = self._timing(record, limit_fps)
            rivals = [rival(other, self._pool.miou(other), its.latency_ms, "missed") for other, its in missed]
            if _meets(timing, record, limit_fps):
                best = picked.best
                slower = [rival(best, self._pool.miou(best), best.latency_ms, "slower")] if best else []
                break
            missed.append((record, timing))
            left.remove(record)
        else:
            record, timing = min(missed, key=lambda pair: pair[1].latency_ms)
            network, written = self._written(record)  # over the file of the one that was tried last
            rivals = [
                rival(other, self._pool.miou(other), its.latency_ms, "missed")
                for other, its in missed
                if other is not record
            ]
            slower = []
        return _Taken(record=record, network=network, written=written, timing=timing, rivals=(*gone, *rivals, *slower))

    def scored_here(self, taken: _Taken) -> _Taken:
        """Score a network of which somebody's own code told no more than the mIoU: the card gives this figure."""
        if taken.record.scores is None or taken.record.scores.confusion:
            return taken
        scores = evaluate(taken.network, self.val, report=self._report)
        return dataclasses.replace(taken, record=taken.record.model_copy(update={"scores": scores}))

    def all_measured(self, made: tuple[Artefact, ...], timing: Timing, scores: Scores) -> tuple[Artefact, ...]:
        """Add latency and mIoU; ``timing`` is of the form that is shipped, the last one where it has one of its own."""
        if self.shipped is None:
            return tuple(self.measured(form, timing, scores) for form in made)
        *plain, last = made
        miou = self.scored(self.shipped.form(self._folder, self._size_hw).masks).miou
        last = last.model_copy(update={"miou": miou, "timing": timing if self.shipped.timed else None})
        known = None if self.shipped.timed else timing
        return (*(self.measured(form, known, scores) for form in plain), last)

    def measured(self, form: Artefact, timing: Timing | None, scores: Scores) -> Artefact:
        """Add latency, in a fresh process where it is not known yet, and mIoU to the forms that onnxruntime runs."""
        if form.format != "onnx":
            return form
        path = self._folder / form.files[0].name
        if form.precision == "float32":
            timing = timing or time_file(path, self.threads, self._config.timer)
            return form.model_copy(update={"miou": scores.miou, "timing": timing})
        timing = time_file(path, self.threads, self._config.timer)
        miou = self.scored(OnnxModel(path, threads=self.threads).predict).miou
        return form.model_copy(update={"miou": miou, "timing": timing})

    def scored(self, masks: Masks) -> Scores:
        """Run what makes masks on all validation images."""
        return evaluate_masks(batched(masks), self.val, report=self._report)

    def check_as_trained(self, taken: _Taken, scores: Scores) -> None:
        """Raise ProofError if the file scores otherwise than the network did when it was trained.

        By pixels, as these hardly move with rounding and device, whereas one pixel of a rare class moves the mIoU.
        Masks that are brought to larger labels differ from logits that are: then the network itself is scored again.
        """
        record = taken.record
        assert record.scores is not None, "only trained networks are exported"
        before, now = record.scores.pixels_right, scores.pixels_right
        if abs(now - before) > MOST_DRIFT:
            now = evaluate(taken.network, self.val, report=self._report).pixels_right
        if abs(now - before) > MOST_DRIFT:
            raise ProofError(
                f"the file is right on {percent(scores.pixels_right)} of the pixels, the trained network was on"
                f" {percent(before)}: {self._pool.weights[record.number]} is damaged, or the validation data has"
                " changed"
            )

    def _written(self, record: TrialRecord) -> tuple[Network, Written]:
        network = build(record.spec, len(self.val.classes))
        load_weights(network, self._pool.weights[record.number])
        label = self.label(record)
        written = write_onnx(network, self._size_hw, self._folder, label)
        if self.shipped is not None:
            self.shipped.write(written.deployed, lambda net, name: write_file(net, self._folder / name, label))
        return network, written

    def _timing(self, record: TrialRecord, limit_fps: float | None) -> Timing:
        """Time the ONNX file; again where it misses the budget while others were busy, which can only slow it down."""
        found: list[Timing] = []
        while len(found) <= RETRIES:
            if self._timed is not None:
                found.append(time_under(self._folder / self._timed.name, self._timed.under))
            else:
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
