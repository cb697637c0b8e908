"""Running an artefact over image files."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from segsearch.deployment.images import Bytes, Fit, read_image, resize_image, resize_mask
from segsearch.deployment.results import Form, Results
from segsearch.errors import InputError, SegsearchError, one_line
from segsearch.progress import Report, silent


class Model(Protocol):
    """What prediction needs of a model; `segsearch.deployment.onnx.OnnxModel` is one."""

    @property
    def path(self) -> Path:
        """The file, for messages."""

    @property
    def size_hw(self) -> tuple[int, int]:
        """The only image size, in pixels."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names by class index."""

    @property
    def colours(self) -> tuple[tuple[int, int, int], ...]:
        """RGB by class index."""

    @property
    def notes(self) -> Mapping[str, str]:
        """What else the file says of itself; ``fit`` is how images were brought to ``size_hw`` in training."""

    @property
    def predict(self) -> Callable[[Bytes], Bytes]:
        """Segments uint8 [H, W, 3] of ``size_hw`` into class indices, uint8 [H, W]."""


def predict_files(
    model: Model,
    images: Mapping[Path, Path],
    out: Path,
    *,
    blend: float = 0.5,
    masks: bool = False,
    forms: Sequence[Form] = ("overlay",),
    legend: bool = False,
    report: Report | None = None,
) -> list[Path]:
    """Segment image files and write ``<name>_overlay.png``, or other forms, into ``out`` at each image's own size.

    Args:
        model: the artefact.
        images: files, each with the name of its results (`segsearch.deployment.images.find_images`).
        out: the folder for the results, made if missing; results that are there are replaced.
        blend: how strongly the colours cover the image, 0 to 1.
        masks: also write ``<name>_mask.png``, one byte per pixel, the class index, as the form ``ids`` does.
        forms: what to write, see `segsearch.deployment.results`.
        legend: put the names of the classes below what is drawn.
        report: told after each image.

    Returns:
        The files written.

    Raises:
        InputError: nowhere to write, a model that fails, or, after all others are done, images that cannot be read.
    """
    tell, wanted = report or silent, (*forms, *(("ids",) if masks else ()))
    results = Results(model.classes, model.colours, out, wanted, blend=blend, with_legend=legend)
    refuse_overwriting(images, [target for name in images.values() for target in results.targets(name)])
    written: list[Path] = []
    bad: list[InputError] = []
    for done, (path, name) in enumerate(images.items(), start=1):
        try:
            image = read_image(path)
        except InputError as error:
            bad.append(error)
        else:
            written += results.write(name, image, segment(model, image), suffix=path.suffix)
        tell("predict", done, len(images))
    written += results.finish() if written or len(bad) < len(images) else []
    _raise_bad(bad, len(images))
    return written


def refuse_overwriting(read: Iterable[Path], targets: Iterable[Path]) -> None:
    """Keep results from replacing what is read, such as a label that is called as our mask would be."""
    files = {path.resolve() for path in read}
    lost = next((target for target in targets if target.resolve() in files), None)
    if lost is not None:
        raise InputError(lost, "is read, and a result would replace it; the results need another folder")


def segment(model: Model, image: Bytes) -> Bytes:
    """Segment an image of any size, uint8 [H, W, 3], into class indices, uint8 [H, W]. Raises InputError."""
    fit: Fit = "pad" if model.notes.get("fit") == "pad" else "stretch"
    mask = _run(model, resize_image(image, model.size_hw, fit))
    return resize_mask(mask, (image.shape[0], image.shape[1]), fit)


def _run(model: Model, image: Bytes) -> Bytes:
    """Segment one image. Raises InputError where the model's runtime fails, or gives something else than a mask."""
    try:
        mask = model.predict(image)
    except SegsearchError:
        raise
    except Exception as error:  # runtimes have classes of errors of their own, without a common base
        raise InputError(model.path, f"fails on an image: {one_line(error)}") from error
    if mask.shape != model.size_hw or mask.dtype != np.uint8:
        raise InputError(model.path, f"gives {mask.dtype} {mask.shape} for an image of {model.size_hw}, not a mask")
    if int(mask.max()) >= len(model.colours):
        raise InputError(model.path, f"gives class {mask.max()}, but has {len(model.colours)} classes")
    return mask


def _raise_bad(bad: list[InputError], total: int) -> None:
    """Say at the end which images could not be read: the only one in its own words, several by count and the first."""
    if not bad:
        return
    if total == 1:
        raise bad[0]
    raise InputError(bad[0].place, f"{bad[0].problem}; {len(bad)} of {total} images unreadable, the others are done")
