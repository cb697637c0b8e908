"""The winner of a study as artefacts: exported, proven on real images, scored and timed as the files that they are."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from segsearch.artefacts.appearing import appearing
from segsearch.artefacts.example import EXAMPLE, example
from segsearch.artefacts.formats import ONNX, chosen, libraries
from segsearch.artefacts.make import Label, make_artefacts
from segsearch.artefacts.retime import time_file
from segsearch.data.dataset import Dataset
from segsearch.errors import BudgetError, InputError, ProofError
from segsearch.export.artefact import Artefact, Timing, check_fps
from segsearch.export.card import Card
from segsearch.export.card_page import write_card
from segsearch.export.images import Bytes, write_png
from segsearch.export.onnx import Exported, OnnxModel
from segsearch.measure.timer import TimerSettings
from segsearch.models.build import build
from segsearch.progress import Report, silent
from segsearch.search.config import StudyConfig, at_root
from segsearch.search.pareto import best_within
from segsearch.search.provenance import versions
from segsearch.search.record import TrialRecord
from segsearch.search.store import StudyFolder
from segsearch.search.study import set_up
from segsearch.train.evaluate import Scores, evaluate_masks
from segsearch.train.weights import load_weights
from segsearch.trial import WEIGHTS

CALIBRATION_IMAGES = 32
MOST_DRIFT = 0.01
"""Pixel accuracy may differ so much between the device that trained and the processor that runs the file."""


def export_winner(
    folder: Path,
    *,
    out: Path,
    fps: float | None = None,
    point: str | None = None,
    root: str | None = None,
    formats: Sequence[str] | None = None,
    int8: bool = False,
    report: Report = silent,
) -> Card:
    """Export a study's best network in every form, with its card and ``example.png``, to the folder ``out``.

    Each file is run on all validation images of the search: its masks must agree with the trained network's on 99.9 %
    of the pixels. The ONNX file's mIoU is computed from them, and it is timed in a fresh process. ``out`` appears
    whole, at the end, or not at all.

    Args:
        folder: the study.
        out: folder for the artefacts; those exported earlier are replaced.
        fps: the winner must have reached so many images per second in the search; the study's own budget without.
        point: a named point, a network's name or spec id: export that one instead of the best.
        root: where the data lies now, if not where the search found it.
        formats: beside ``onnx``, any of ``pt2`` and ``openvino``; without, all whose libraries are installed.
        int8: also a form in int8, calibrated on training images.
        report: told of what is done.

    Raises:
        BudgetError: no trained network is so fast; names the nearest.
        InputError: no study, no such network, data that cannot be opened, or an ``out`` that holds something else.
        ProofError: a file does not do what the network does. MissingExtraError: a library is not installed.
    """
    check_fps(fps)
    store, wanted = StudyFolder(folder), chosen(formats)
    config = store.read_study().config
    record = choose(store.records(), fps=fps, point=point)
    setup = set_up(config if root is None else at_root(config, root))
    val, threads = setup.splits.val, config.threads or torch.get_num_threads()
    network = build(record.spec, len(val.classes))
    load_weights(network, store.trial(record.number) / WEIGHTS)
    with appearing(out) as temporary:
        exported, made = make_artefacts(
            network,
            setup.size_hw,
            temporary,
            label=_label(record, config, val),
            images=_images(val),
            formats=wanted,
            threads=threads,
            calibration=_images(setup.splits.train, CALIBRATION_IMAGES) if int8 else None,
            report=report,
        )
        scores = _scored(temporary / ONNX, threads, val, report)
        _as_trained(record, scores)
        made = tuple(_measured(form, temporary, threads, val, config.timer, scores, report) for form in made)
        card = _card(config, record, val, exported, made, scores, _limit_fps(config, fps))
        write_card(card, temporary)
        write_png(temporary / EXAMPLE, example(OnnxModel(temporary / ONNX, threads=threads), val[0][0]))
    return card


def choose(records: Sequence[TrialRecord], *, fps: float | None = None, point: str | None = None) -> TrialRecord:
    """Return the best trained network, or the one asked for.

    Raises:
        BudgetError: none is fast enough; names the nearest. InputError: the one asked for is not among the trained.
    """
    if point is None:
        return best_within(records, fps)
    trained = [record for record in records if record.trained]
    found = [r for r in trained if point in (r.named, r.name, r.spec_id)]
    if not found:
        raise InputError("point", f"'{point}' is not among the trained networks", [r.name for r in trained] or "none")
    if fps is not None and found[0].fps < fps:
        raise BudgetError(f"{point} reaches {found[0].fps:.1f} FPS in the search, not {fps:g}")
    return found[0]


def _label(record: TrialRecord, config: StudyConfig, dataset: Dataset) -> Label:
    notes = {"name": record.name, "spec": record.spec_id, "study": config.name}
    return Label(classes=dataset.classes, colours=dataset.colours, notes=notes)


def _images(dataset: Dataset, most: int | None = None) -> Iterator[Bytes]:
    """All images of a dataset, or ``most`` of them, evenly spread."""
    count = min(most or len(dataset), len(dataset))
    return (dataset[index * len(dataset) // count][0] for index in range(count))


def _measured(
    form: Artefact, folder: Path, threads: int, val: Dataset, timer: TimerSettings, scores: Scores, report: Report
) -> Artefact:
    """Add latency, in a fresh process, and mIoU to the forms that onnxruntime runs."""
    if form.format != "onnx":
        return form
    path = folder / form.files[0].name
    found = scores if form.precision == "float32" else _scored(path, threads, val, report)
    return form.model_copy(update={"miou": found.miou, "timing": time_file(path, threads, timer)})


def _scored(path: Path, threads: int, dataset: Dataset, report: Report) -> Scores:
    return _score(OnnxModel(path, threads=threads), dataset, report)


def _score(model: OnnxModel, dataset: Dataset, report: Report) -> Scores:
    def predict(images: Tensor) -> Tensor:
        masks = [model.predict(image.movedim(0, -1).contiguous().numpy()) for image in images]
        return torch.from_numpy(np.stack(masks))

    return evaluate_masks(predict, dataset, report=report)


def _as_trained(record: TrialRecord, scores: Scores) -> None:
    """Raise ProofError if the file scores otherwise than the network did when it was trained.

    By pixels, as these hardly move with rounding and device, whereas one pixel of a rare class moves the mIoU.
    """
    assert record.scores is not None, "only trained networks are exported"
    before, now = record.scores.pixel_accuracy, scores.pixel_accuracy
    if abs(now - before) > MOST_DRIFT:
        raise ProofError(
            f"the file is right on {now:.1%} of the pixels, the trained network was on {before:.1%}: "
            f"{WEIGHTS} of trial {record.number} is damaged, or the validation data is not what it was"
        )


def _limit_fps(config: StudyConfig, fps: float | None) -> float | None:
    """Images per second that were asked for: now, or of the study."""
    limit_ms = config.budget.limit_ms
    return fps or (round(1000 / limit_ms, 6) if limit_ms else None)


def _card(
    config: StudyConfig,
    record: TrialRecord,
    dataset: Dataset,
    exported: Exported,
    made: tuple[Artefact, ...],
    scores: Scores,
    budget_fps: float | None,
) -> Card:
    latency = record.latency
    assert latency is not None and record.scores is not None, "only trained networks are exported"
    assert record.params is not None and record.macs is not None
    return Card(
        name=record.name,
        spec=record.spec_id,
        point=record.point,
        study=config.name,
        data=dataset.name,
        weights=record.weights,
        classes=dataset.classes,
        size_hw=latency.size_hw,
        params=record.params,
        macs=record.macs,
        images=record.scores.images,
        miou=record.miou,
        iou=record.scores.iou,
        artefact_miou=scores.miou,
        report_miou=record.report_scores.miou if record.report_scores else None,
        search=Timing(
            latency_ms=latency.median_ms,
            covers="mask",
            backend=latency.backend,
            device=latency.where,
            threads=latency.threads if latency.device_kind == "cpu" else None,
        ),
        artefact=made[0].timing,
        budget_fps=budget_fps,
        agreement=made[0].agreement,
        artefacts=made,
        recipe=record.recipe_id,
        settings=record.recipe.model_dump(mode="json"),
        seed=record.seed,
        versions=versions() | libraries(),
        file=ONNX,
        sha256=exported.sha256,
        opset=exported.opset,
        nodes=exported.nodes,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
