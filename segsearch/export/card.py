"""The model card: where an artefact comes from, what was measured, and on what, as JSON and as a page to read."""

import json
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from segsearch.errors import InputError
from segsearch.export.markdown import cell, pairs, share, table
from segsearch.export.parity import Agreement
from segsearch.files import write_atomic
from segsearch.frozen import Frozen

_COVERS = {"logits": "normalised image to logits", "mask": "bytes in to class indices out"}
JSON_NAME, PAGE_NAME = "model.json", "MODEL_CARD.md"


class Timing(Frozen):
    """One measured latency at batch 1.

    Attributes:
        latency_ms: per image, in milliseconds.
        covers: `logits`, from normalised image to logits, or `mask`, from bytes to class indices.
        backend, device, threads: the software and hardware it ran on, and how many threads if a CPU.
    """

    latency_ms: float = Field(gt=0)
    covers: Literal["logits", "mask"]
    backend: str
    device: str
    threads: int | None = None

    @property
    def fps(self) -> float:
        """Images per second, one after another."""
        return 1000 / self.latency_ms

    def meets(self, budget_fps: float | None) -> bool | None:
        """Whether this is fast enough; None without a budget."""
        return None if budget_fps is None else self.fps >= budget_fps


class Card(Frozen):
    """Everything worth knowing about one exported model.

    Attributes:
        name, spec, point, study: its name for people, the network's id, the choices it was lowered from, the search.
        data: the dataset's name; classes: in index order; size_hw: image size in pixels.
        params, macs: of the deployed network at ``size_hw``, one multiply-add counted as one.
        miou, iou: of the trained network on the search's ``images`` validation images, 0..1; None for an absent class.
        artefact_miou: the same images through the exported file.
        report_miou: the network on images that the search never saw, if the dataset has any.
        search, artefact: latency as the search measured it, and of the exported file timed again.
        budget_fps: what the search was asked for, images per second.
        agreement: the artefact's masks against the network's.
        recipe, settings, seed: how it was trained.
        versions: of the libraries; sha256, opset, nodes: of ``file``; created_at: ISO 8601.
    """

    name: str
    spec: str
    point: dict[str, str | int | float | bool]
    study: str
    data: str
    classes: tuple[str, ...]
    size_hw: tuple[int, int]
    params: int
    macs: int
    images: int
    miou: float
    iou: dict[str, float | None]
    artefact_miou: float | None = None
    report_miou: float | None = None
    search: Timing
    artefact: Timing | None = None
    budget_fps: float | None = None
    agreement: Agreement
    recipe: str
    settings: dict[str, JsonValue]
    seed: int
    versions: dict[str, str]
    file: str = "model.onnx"
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    opset: int
    nodes: int
    created_at: str

    @model_validator(mode="after")
    def _known_classes(self) -> Self:
        if set(self.iou) != set(self.classes):
            raise ValueError(f"iou must have one entry for each of the {len(self.classes)} classes")
        return self


def write_card(card: Card, folder: Path) -> tuple[Path, Path]:
    """Write ``model.json`` and ``MODEL_CARD.md`` into ``folder`` and return their paths.

    Raises:
        InputError: the folder cannot be written.
    """
    data, page = folder / JSON_NAME, folder / PAGE_NAME
    write_atomic(data, json.dumps(card.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n")
    write_atomic(page, markdown(card))
    return data, page


def read_card(path: Path) -> Card:
    """Read ``model.json``, or the folder it lies in.

    Raises:
        InputError: not there, not JSON, or not a card.
    """
    file = path / JSON_NAME if path.is_dir() else path
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(file, f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(file, "is not JSON") from error
    return Card.parse(data, file)


def markdown(card: Card) -> str:
    """Write the card as Markdown."""
    parts = [_head(card), _figures(card), _what_they_mean(card), _classes(card), _use(card), _origin(card)]
    return "\n\n".join(parts) + "\n"


def _head(card: Card) -> str:
    height, width = card.size_hw
    return (
        f"# {cell(card.name)}\n\n"
        f"Segments RGB images, {height} pixels high and {width} wide, into {len(card.classes)} classes. "
        f"Found by the segsearch study `{card.study}` on the dataset `{card.data}`; network `{card.spec}`."
    )


def _figures(card: Card) -> str:
    search, artefact = card.search, card.artefact
    rows = [
        ("mIoU", share(card.miou), share(card.artefact_miou)),
        ("latency", _milliseconds(search), _milliseconds(artefact)),
        ("images per second", f"{search.fps:.1f}", f"{artefact.fps:.1f}" if artefact else "not measured"),
        ("time covers", _COVERS[search.covers], _COVERS[artefact.covers] if artefact else "not measured"),
        ("measured with", _where(search), _where(artefact)),
    ]
    if card.budget_fps is not None:
        rows.append((f"budget of {card.budget_fps:g} FPS", _met(search, card), _met(artefact, card)))
    rows.append(("parameters", f"{card.params / 1e6:.3f} M", "the same network, BatchNorm folded in"))
    rows.append(("multiply-adds", f"{card.macs / 1e9:.3f} G", "the same network"))
    return table(("", "in the search", f"this file, `{card.file}`"), rows)


def _what_they_mean(card: Card) -> str:
    agreed = card.agreement
    lines = [
        f"- mIoU is over {card.images} validation images of `{card.data}`. The search chose this model by them, "
        "so expect a lower value on others.",
        "- The file's mIoU was computed by running the file itself on the same images."
        if card.artefact_miou is not None
        else "- The file's own mIoU was not measured.",
        _unseen(card),
        "- Latency is for one image at a time and holds for the named device only.",
        f"- The file gives the same class as the trained network on {agreed.fraction:.4%} of {agreed.pixels} pixels "
        f"({agreed.images} images, the worst {agreed.worst:.4%}; {agreed.classes_seen} classes occur).",
    ]
    return "## What the figures mean\n\n" + "\n".join(lines)


def _unseen(card: Card) -> str:
    if card.report_miou is None:
        return "- It was not evaluated on images that the search never saw."
    return f"- On images that the search never saw, the trained network reaches mIoU {share(card.report_miou)}."


def _classes(card: Card) -> str:
    rows = [(str(i), name, share(card.iou[name], "absent")) for i, name in enumerate(card.classes)]
    return f"## Classes\n\nIoU on the same {card.images} validation images.\n\n" + table(
        ("index", "class", "IoU"), rows
    )


def _use(card: Card) -> str:
    height, width = card.size_hw
    return (
        f"## Use\n\nInput `image`: uint8 [1, 3, {height}, {width}], RGB, 0 to 255, not normalised. "
        f"Output `mask`: uint8 [1, {height}, {width}], class index per pixel. ONNX opset {card.opset}, "
        f"{card.nodes} nodes, one size only; the file carries its class names and colours.\n\n"
        "```python\n"
        "from pathlib import Path\n\n"
        "from segsearch.export.onnx import OnnxModel\n\n"
        f"# image: numpy uint8 [{height}, {width}, 3]; mask: numpy uint8 [{height}, {width}]\n"
        f'mask = OnnxModel(Path("{card.file}")).predict(image)\n'
        "```"
    )


def _origin(card: Card) -> str:
    rows = [
        ("point", pairs(card.point.items())),
        ("recipe", f"`{card.recipe}`: {pairs(card.settings.items())}"),
        ("seed", str(card.seed)),
        ("versions", pairs(card.versions.items())),
        ("sha256", f"`{card.sha256}`"),
        ("made", card.created_at),
    ]
    return "## Origin\n\n" + table(("", ""), rows)


def _milliseconds(timing: Timing | None) -> str:
    return f"{timing.latency_ms:.2f} ms" if timing else "not measured"


def _where(timing: Timing | None) -> str:
    if timing is None:
        return "not measured"
    threads = f", {timing.threads} thread{'s' if timing.threads != 1 else ''}" if timing.threads else ""
    return f"{timing.backend} on {timing.device}{threads}"


def _met(timing: Timing | None, card: Card) -> str:
    return "not measured" if timing is None else "met" if timing.meets(card.budget_fps) else "missed"
