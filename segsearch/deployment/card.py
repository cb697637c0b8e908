"""The model card: where an artefact comes from, what was measured, and on what, as JSON and as a page to read."""

import json
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from segsearch.deployment.artefact import Artefact, Timing
from segsearch.deployment.parity import Agreement
from segsearch.errors import InputError
from segsearch.frozen import Frozen

JSON_NAME = "model.json"


class Rival(Frozen):
    """A network of the same study that was not exported in this one's place.

    Attributes:
        name, spec, trial: which one.
        miou: in the search, or the mean of the final trainings, 0..1.
        latency_ms: of its ONNX file where that ``missed`` the budget; of the search otherwise.
        reason: `missed`: its file misses the budget; `slower`: its mIoU is better, but by no more than one standard
            error, and it is slower; `gone`: it would have been picked, but its weights are not there.
    """

    name: str
    spec: str
    trial: int
    miou: float
    latency_ms: float = Field(gt=0)
    reason: Literal["missed", "slower", "gone"]


class Retrained(Frozen):
    """Final figures of a network that was trained in full, with several seeds; the exported weights are of one of them.

    Attributes:
        recipe: its name.
        seeds: trainings.
        miou: mean on the validation images, 0..1; deviation, standard_error: of it, None where they cannot be told.
        report_miou: mean on images that the search never saw, if the dataset has any.
    """

    recipe: str
    seeds: int
    miou: float
    deviation: float | None = None
    standard_error: float | None = None
    report_miou: float | None = None


class Card(Frozen):
    """Everything worth knowing about one exported model.

    What only a search knows is None, or empty, where a point was exported without one.

    Attributes:
        name, spec, point: its name for people, the network's id, the choices it was lowered from.
        study, data: the search and its dataset; classes: in index order; size_hw: image size in pixels.
        weights: where they come from, in words: a study's training, a file, or chance.
        retrained: final figures over several seeds; None where the study has none.
        params, macs: of the deployed network at ``size_hw``, one multiply-add counted as one.
        miou, iou: of the trained network on the search's ``images`` validation images, 0..1; None for an absent class.
        standard_error: of that mIoU, over images.
        artefact_miou: the same images through the exported file.
        report_miou: the network on images that the search never saw, if the dataset has any.
        search, artefact: latency as the search measured it, and of the exported file timed again.
        shipped: the file that artefact and artefact_miou are of, where it is another one than ``file``.
        budget_fps: what was asked for, images per second.
        pick: how it was picked among the study's networks; None where it was asked for by name.
        rivals: those that were passed over for it.
        agreement: the ONNX file's masks against the network's; proven_on: on which images.
        artefacts: every form, the ONNX file among them, with its own proof.
        recipe, settings, seed: how it was trained.
        versions: of the libraries; sha256, opset, nodes: of ``file``; created_at: ISO 8601.
    """

    name: str
    spec: str
    point: dict[str, str | int | float | bool]
    study: str | None = None
    data: str | None = None
    weights: str = "trained by the study"
    retrained: Retrained | None = None
    classes: tuple[str, ...]
    size_hw: tuple[int, int]
    params: int
    macs: int
    images: int = 0
    miou: float | None = None
    standard_error: float | None = None
    iou: dict[str, float | None] = Field(default_factory=dict)
    artefact_miou: float | None = None
    report_miou: float | None = None
    search: Timing | None = None
    artefact: Timing | None = None
    shipped: str | None = None
    budget_fps: float | None = None
    pick: Literal["miou", "knee", "fastest"] | None = None
    rivals: tuple[Rival, ...] = ()
    agreement: Agreement
    proven_on: str = "validation images"
    artefacts: tuple[Artefact, ...] = ()
    recipe: str | None = None
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    seed: int | None = None
    versions: dict[str, str]
    file: str = "model.onnx"
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    opset: int
    nodes: int
    created_at: str

    @model_validator(mode="after")
    def _known_classes(self) -> Self:
        if self.miou is not None and set(self.iou) != set(self.classes):
            raise ValueError(f"iou must have one entry for each of the {len(self.classes)} classes")
        return self

    @property
    def same_device(self) -> bool:
        """Whether file and search were timed on one device, so that the search's budget says something of the file."""
        return self.search is None or self.artefact is None or self.search.device == self.artefact.device

    @property
    def meets_budget(self) -> bool | None:
        """Whether the file is fast enough; None without a budget, or with one that is of another device."""
        return self.artefact.meets(self.budget_fps) if self.artefact and self.same_device else None


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
    except (ValueError, RecursionError) as error:
        raise InputError(file, "is not JSON") from error
    return Card.parse(data, file)
