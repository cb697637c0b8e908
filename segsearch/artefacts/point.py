"""Any point of the space as artefacts, without a study."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from segsearch.artefacts.appearing import appearing
from segsearch.artefacts.formats import ONNX, Format, chosen, libraries
from segsearch.artefacts.fresh import fresh
from segsearch.artefacts.make import Label, make_artefacts, time_file
from segsearch.artefacts.scenes import EXAMPLE, Scenes, example, scenes
from segsearch.data.palette import distinct
from segsearch.deployment.artefact import Artefact, File, check_fps
from segsearch.deployment.card import Card
from segsearch.deployment.card_page import write_card
from segsearch.deployment.images import resize_image, write_png
from segsearch.deployment.onnx import Exported, OnnxModel
from segsearch.deployment.parity import Masks
from segsearch.describe import Description, describe
from segsearch.errors import InputError
from segsearch.measure.timer import TimerSettings
from segsearch.models.network import Network, build
from segsearch.progress import Report, silent
from segsearch.training.weights import WeightFacts, load_weights

FRESH = "none: drawn by chance and never trained, so the masks mean nothing"
UNKNOWN_CLASSES, MOST_CLASSES = 19, 256
STATS_HW = (128, 256)
"""Size at which untrained networks get their BatchNorm statistics: small, as that is slow at large ones."""


def export_point(
    written: str,
    *,
    out: Path,
    size_hw: tuple[int, int],
    classes: int | None = None,
    weights: Path | None = None,
    images: Path | None = None,
    formats: Sequence[str] | None = None,
    int8: bool = False,
    fps: float | None = None,
    threads: int | None = None,
    report: Report = silent,
    note: Callable[[str], None] = lambda line: None,
) -> Card:
    """Export a point of the space in every form, with proof and a card, to the folder ``out``.

    Args:
        written: a named point, or a YAML file of choices.
        out: folder for the artefacts; those exported earlier are replaced. It appears whole, at the end, or not at all.
        size_hw: the only image size, in pixels.
        classes: how many; what the weights say without, else 19.
        weights: a safetensors file of ours; without one the weights are fresh, and the card says so.
        images: folder of images to prove on; drawn street scenes without.
        formats: beside ``onnx``, any of ``pt2`` and ``openvino``; without, all whose libraries are installed.
        int8: also a form in int8.
        fps: images per second that the file should reach; the card says whether it does.
        threads: of the processor; default: torch's number.
        report: told of what is done.
        note: told in a sentence what a person should know of the weights.

    Raises:
        InputError: no such point, size, weights or images, or an ``out`` that holds something else.
        ProofError: a file does not do what the network does. MissingExtraError: a library is not installed.
    """
    check_fps(fps)
    wanted, counted = chosen(formats), classes or (None if weights is None else classes_of(weights))
    shown, seen = describe(written, size_hw, counted or UNKNOWN_CLASSES), scenes(size_hw, images)
    network, facts = _network(shown, weights, seen, note)
    return export_network(
        network,
        shown,
        seen,
        out=out,
        label=_label(shown, facts.classes),
        weights=FRESH if weights is None else told_of(weights),
        formats=wanted,
        int8=int8,
        fps=fps,
        threads=threads,
        report=report,
    )


def export_network(
    network: Network,
    shown: Description,
    seen: Scenes,
    *,
    out: Path,
    label: Label,
    weights: str,
    formats: Sequence[Format],
    int8: bool,
    fps: float | None,
    threads: int | None,
    report: Report,
    more: Callable[[Masks], Mapping[str, object]] = lambda masks: {},
) -> Card:
    """Export a network that is built and has its weights.

    It is of the point that ``shown`` describes, at the size that is exported. ``seen`` has the images to prove and to
    calibrate on, ``label`` is what the files say of themselves, ``weights`` where they come from, for the card, and
    ``more`` gives fields of the card that only the caller knows, from what the ONNX file does. ``formats`` are those of
    `segsearch.artefacts.formats.chosen`. All others, and what is raised: as in `export_point`.
    """
    threads = threads or torch.get_num_threads()
    with appearing(out) as temporary:
        exported, made = make_artefacts(
            network,
            shown.size_hw,
            temporary,
            label=label,
            images=seen.proof(),
            formats=formats,
            threads=threads,
            calibration=seen.calibration() if int8 else None,
            report=report,
        )
        made = tuple(_timed(form, temporary, threads) for form in made)
        model = OnnxModel(temporary / ONNX, threads=threads)
        card = _card(shown, label, exported, made, seen, weights, fps).model_copy(update=more(model.predict))
        write_card(card, temporary)
        write_png(temporary / EXAMPLE, example(model, next(seen.proof())))
    return card


def told_of(weights: Path) -> str:
    """Say for a card which file the weights come from."""
    return f"`{weights.name}`, sha256 `{File.of(weights).sha256}`"


def classes_of(weights: Path) -> int | None:
    """Return how many classes a file of weights is for; None where it does not tell: its loading says what is wrong.

    Raises:
        InputError: a number of classes that no network has.
    """
    with suppress(OSError, SafetensorError), safe_open(weights, framework="pt") as file:
        shape = file.get_slice("head.classify.weight").get_shape()
        if len(shape) == 4:
            _check_classes(shape[0], weights)
            return int(shape[0])
    return None


def _check_classes(count: int, weights: Path) -> None:
    if not 2 <= count <= MOST_CLASSES:
        raise InputError(weights, f"is of a network with {count} classes", f"2 to {MOST_CLASSES}")


def _network(
    shown: Description, weights: Path | None, seen: Scenes, note: Callable[[str], None]
) -> tuple[Network, WeightFacts]:
    """Build the network, with the weights given or with fresh ones; tell what their file says of itself."""
    if weights is None:
        size = min(shown.size_hw, STATS_HW, key=math.prod)
        images = [resize_image(image, size) for image in islice(seen.proof(), 2)]
        return fresh(shown.spec, shown.classes, (images * 2)[:2]), WeightFacts()  # a folder may hold one image alone
    network = build(shown.spec, shown.classes)
    facts = load_weights(network, weights, note)
    return network.eval(), facts


def _label(shown: Description, classes: Sequence[str]) -> Label:
    names = list(classes) or [f"class {index}" for index in range(shown.classes)]
    return Label(classes=names, colours=distinct(shown.classes), notes={"name": shown.name, "spec": shown.spec.id})


def _timed(form: Artefact, folder: Path, threads: int) -> Artefact:
    """Add the latency, in a fresh process, of the forms that onnxruntime runs."""
    if form.format != "onnx":
        return form
    return form.model_copy(update={"timing": time_file(folder / form.files[0].name, threads, TimerSettings())})


def _card(
    shown: Description,
    label: Label,
    exported: Exported,
    made: tuple[Artefact, ...],
    seen: Scenes,
    weights: str,
    fps: float | None,
) -> Card:
    return Card(
        name=shown.name,
        spec=shown.spec.id,
        point=shown.point,
        weights=weights,
        classes=tuple(label.classes),
        size_hw=shown.size_hw,
        params=shown.cost.params,
        macs=shown.cost.macs,
        artefact=made[0].timing,
        budget_fps=fps,
        agreement=made[0].agreement,
        proven_on=seen.said,
        artefacts=made,
        versions=libraries(),
        file=ONNX,
        sha256=exported.sha256,
        opset=exported.opset,
        nodes=exported.nodes,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
