"""The winner of a study as an artefact: exported, proven on real images, scored and timed as the file that it is."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from segsearch.data.dataset import Dataset
from segsearch.data.normalise import MEAN, STD
from segsearch.errors import BudgetError, InputError, ProofError
from segsearch.export.card import JSON_NAME, Card, Timing, write_card
from segsearch.export.deploy import deploy, network_masks
from segsearch.export.images import write_png
from segsearch.export.onnx import Exported, OnnxModel, to_onnx
from segsearch.export.parity import Agreement, agreement, prove
from segsearch.export.predict import overlay
from segsearch.measure.deployed import example_image
from segsearch.measure.device_lock import timing
from segsearch.measure.machine import cpu_name
from segsearch.measure.timer import TimerSettings, sample_latencies
from segsearch.models.build import build
from segsearch.models.network import Network
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

MODEL, EXAMPLE = "model.onnx", "example.png"
MOST_DRIFT = 0.01
"""Pixel accuracy may differ so much between the device that trained and the processor that runs the file."""


def export_winner(
    folder: Path,
    *,
    out: Path,
    fps: float | None = None,
    point: str | None = None,
    root: str | None = None,
    report: Report = silent,
) -> Card:
    """Export a study's best network: ``model.onnx``, ``model.json``, ``MODEL_CARD.md`` and ``example.png`` in ``out``.

    The file is run on all validation images of the search: its masks must agree with the trained network's on 99.9 % of
    the pixels, and its mIoU is computed from them. Then it is timed again. ``out`` appears whole, at the end, or not at
    all.

    Args:
        folder: the study.
        out: folder for the artefact; one exported earlier is replaced.
        fps: the winner must have reached so many images per second in the search; the study's own budget without.
        point: a named point, a network's name or spec id: export that one instead of the best.
        root: where the data lies now, if not where the search found it.
        report: told of what is done.

    Raises:
        BudgetError: no trained network is so fast; names the nearest.
        InputError: no study, no such network, data that cannot be opened, or an ``out`` that holds something else.
        ProofError: the file does not do what the network does. MissingExtraError: onnx or onnxruntime is not installed.
    """
    store = StudyFolder(folder)
    config = store.read_study().config
    record = choose(store.records(), fps=fps, point=point)
    setup = set_up(config if root is None else at_root(config, root))
    network = build(record.spec, len(setup.splits.val.classes))
    load_weights(network, store.trial(record.number) / WEIGHTS)
    with _appearing(out) as temporary:
        exported = _export(network, setup.size_hw, setup.splits.val, temporary, record, config)
        model = OnnxModel(temporary / MODEL, threads=config.threads or torch.get_num_threads())
        agreed = _proven(network, model, setup.splits.val, report)
        scores = _score(model, setup.splits.val, report)
        _as_trained(record, scores)
        timing = _time(model, config.timer)
        card = _card(config, record, setup.splits.val, exported, agreed, scores, timing, _limit_fps(config, fps))
        write_card(card, temporary)
        write_png(temporary / EXAMPLE, example(model, setup.splits.val))
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


def example(model: OnnxModel, dataset: Dataset) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Lay the first validation image beside what the file makes of it, uint8 (H, 2 W, 3)."""
    image = dataset[0][0]
    painted = overlay(image, model.predict(image), model.colours, 0.6)
    return np.concatenate([image, painted], axis=1)


def _export(
    network: Network, size_hw: tuple[int, int], dataset: Dataset, folder: Path, record: TrialRecord, config: StudyConfig
) -> Exported:
    return to_onnx(
        deploy(network, size_hw, MEAN, STD),
        folder / MODEL,
        classes=dataset.classes,
        colours=dataset.colours,
        metadata={"name": record.name, "spec": record.spec_id, "study": config.name},
    )


def _proven(network: Network, model: OnnxModel, dataset: Dataset, report: Report) -> Agreement:
    images = (dataset[index][0] for index in range(len(dataset)))
    agreed = agreement(network_masks(network, MEAN, STD), model.predict, images, report)
    prove(agreed)
    return agreed


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


def _time(model: OnnxModel, timer: TimerSettings) -> Timing:
    """Time the file itself, on the image and the layout that the search timed its networks with."""
    planes = example_image(model.size_hw).numpy()
    with timing(torch.device("cpu")):
        samples = sample_latencies(lambda: model.run(planes), settings=timer)
    threads = int(model.session.get_session_options().intra_op_num_threads)
    return Timing(
        latency_ms=samples.median_ms, covers="mask", backend="onnxruntime", device=cpu_name(), threads=threads
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
    agreed: Agreement,
    scores: Scores,
    timing: Timing,
    budget_fps: float | None,
) -> Card:
    latency = record.latency
    assert latency is not None and record.scores is not None, "only trained networks are exported"
    assert record.params is not None and record.macs is not None
    libraries = {name: version(name) for name in ("onnx", "onnxruntime")}
    return Card(
        name=record.name,
        spec=record.spec_id,
        point=record.point,
        study=config.name,
        data=dataset.name,
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
        artefact=timing,
        budget_fps=budget_fps,
        agreement=agreed,
        recipe=record.recipe_id,
        settings=record.recipe.model_dump(mode="json"),
        seed=record.seed,
        versions=versions() | libraries,
        file=MODEL,
        sha256=exported.sha256,
        opset=exported.opset,
        nodes=exported.nodes,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


@contextmanager
def _appearing(out: Path) -> Iterator[Path]:
    """Give a folder beside ``out`` that takes its place when the block ends well, and vanishes when it does not.

    Raises:
        InputError: ``out`` is a file, a folder that holds anything but an earlier export, or cannot be written.
    """
    if out.exists() and not (out.is_dir() and ((out / JSON_NAME).is_file() or not any(out.iterdir()))):
        raise InputError(out, "exists and is not an exported model; choose another folder")
    work: Path | None = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
        made = work / "new"
        made.mkdir()
        yield made
        if out.exists():
            out.rename(work / "old")
        made.rename(out)
    except OSError as error:
        raise InputError(out, f"cannot be written: {error.strerror or error}") from error
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
