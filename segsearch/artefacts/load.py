"""An exported model, found by its folder or one of its files and made ready to run, whatever its format."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from segsearch.artefacts.formats import ONNX, PT2, XML
from segsearch.deployment.card import JSON_NAME, read_card
from segsearch.deployment.images import Bytes, as_image
from segsearch.deployment.metadata import Metadata
from segsearch.deployment.onnx import OnnxModel
from segsearch.deployment.predict import Model
from segsearch.errors import InputError
from segsearch.files import no_file
from segsearch.training.evaluate import Predict


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A model that is not in ONNX; see `segsearch.deployment.predict.Model`."""

    path: Path
    size_hw: tuple[int, int]
    classes: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]
    notes: Mapping[str, str]
    predict: Callable[[Bytes], Bytes]


def load_model(path: Path) -> Model:
    """Load what `segsearch export` wrote: its folder, or its ``.onnx``, ``.xml`` or ``.pt2``.

    Raises:
        InputError: no such file, not ours, or damaged. MissingExtraError: a library is not installed.
    """
    if path.is_dir():
        return OnnxModel(_in_folder(path))
    if not path.is_file():
        raise InputError(path, no_file(path, "there is no such file or folder"))
    loaders: dict[str, Callable[[Path], Model]] = {".onnx": OnnxModel, ".xml": _openvino, ".pt2": _program}
    if path.suffix not in loaders:
        raise InputError(path, "is no exported model", f"a folder written by `segsearch export`, {', '.join(loaders)}")
    return loaders[path.suffix](path)


def batched(predict: Callable[[Bytes], Bytes]) -> Predict:
    """Let what segments one image, uint8 (H, W, 3), take a batch, uint8 B, 3, H, W, as scoring gives it."""

    def masks(images: Tensor) -> Tensor:
        found = [predict(image.movedim(0, -1).contiguous().numpy()) for image in images]
        return torch.from_numpy(np.stack(found))

    return masks


def _in_folder(folder: Path) -> Path:
    if (folder / ONNX).is_file():
        return folder / ONNX
    cure = f"{ONNX}, {XML} or {PT2}, as `segsearch export` writes them"
    for mark, whose in (("study.json", "its best network"), ("run.json", "what it trained")):
        if (folder / mark).is_file():
            cure = f"export {whose} first: segsearch export {folder} --out winner"
    raise InputError(folder, f"holds no {ONNX}", cure)


def _openvino(path: Path) -> Loaded:
    from segsearch.deployment.openvino import OpenVinoModel

    with path.open("rb") as file:
        if b"<net" not in file.read(1000):  # of other files, OpenVINO prints what each of its readers thinks
            raise InputError(path, "is no model of OpenVINO", "an .xml that `segsearch export` wrote")
    model = OpenVinoModel(path)
    facts = Metadata.from_properties(model.properties, path)
    if model.size_hw != facts.size_hw:
        raise InputError(path, f"takes images of {model.size_hw}, but says {facts.size_hw}")
    return _loaded(path, facts, model.predict)


def _program(path: Path) -> Loaded:
    """Load a torch program that the card beside it lists; the ONNX file beside it says what its classes are."""
    from segsearch.deployment.program import Program, check_plain

    card = read_card(path.parent / JSON_NAME)
    known = [file.sha256 for form in card.artefacts for file in form.files if file.name == path.name]
    if not known:
        raise InputError(path, f"is not in the {JSON_NAME} beside it", "a file that `segsearch export` wrote there")
    check_plain(path)
    program, facts = Program(path, known[0]), OnnxModel(path.with_name(ONNX))
    return _loaded(path, facts, program.predict)


def _loaded(path: Path, facts: Metadata | OnnxModel, predict: Callable[[Bytes], Bytes]) -> Loaded:
    return Loaded(
        path=path,
        size_hw=facts.size_hw,
        classes=facts.classes,
        colours=facts.colours,
        notes=facts.notes,
        predict=lambda image: predict(as_image(image, facts.size_hw)),
    )
