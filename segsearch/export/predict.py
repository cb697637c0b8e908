"""Running an artefact over image files: colour overlays for people, masks of class indices for programs."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from segsearch.errors import InputError, SegsearchError, one_line
from segsearch.export.images import Bytes, Fit, read_image, resize_image, resize_mask, write_png
from segsearch.progress import Report, silent


class Model(Protocol):
    """What prediction needs of a model; `segsearch.export.onnx.OnnxModel` is one."""

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
    report: Report | None = None,
) -> list[Path]:
    """Segment image files and write ``<name>_overlay.png`` into ``out`` at each image's own size.

    Args:
        model: the artefact.
        images: files, each with the name of its results (`segsearch.export.images.find_images`).
        out: the folder for the results, made if missing; results that are there are replaced.
        blend: how strongly the colours cover the image, 0 to 1.
        masks: also write ``<name>_mask.png``, one byte per pixel, the class index.
        report: told after each image.

    Returns:
        The files written.

    Raises:
        InputError: nowhere to write, a model that fails, or, after all others are done, images that cannot be read.
    """
    if not 0 <= blend <= 1:
        raise InputError("blend", f"{blend} is outside", "0 to 1")
    tell = report or silent
    _refuse_overwriting(images, [target for name in images.values() for target in _targets(out / name, masks)])
    written: list[Path] = []
    bad: list[InputError] = []
    for done, (path, name) in enumerate(images.items(), start=1):
        try:
            image = read_image(path)
        except InputError as error:
            bad.append(error)
        else:
            written += _write_one(model, image, out / name, blend, masks)
        tell("predict", done, len(images))
    _raise_bad(bad, len(images))
    return written


def _refuse_overwriting(images: Mapping[Path, Path], targets: Sequence[Path]) -> None:
    """Keep results from replacing what is read, such as a label that is called as our mask would be."""
    read = {image.resolve() for image in images}
    lost = next((target for target in targets if target.resolve() in read), None)
    if lost is not None:
        raise InputError(lost, "is read, and a result would replace it; the results need another folder")


def _targets(stem: Path, masks: bool) -> list[Path]:
    """Files that one image leads to."""
    return [stem.with_name(f"{stem.name}_{kind}.png") for kind in (("overlay", "mask") if masks else ("overlay",))]


def _write_one(model: Model, image: Bytes, stem: Path, blend: float, masks: bool) -> list[Path]:
    fit: Fit = "pad" if model.notes.get("fit") == "pad" else "stretch"
    mask = resize_mask(_run(model, resize_image(image, model.size_hw, fit)), (image.shape[0], image.shape[1]), fit)
    targets = _targets(stem, masks)
    for path, pixels in zip(targets, (overlay(image, mask, model.colours, blend), mask), strict=False):
        write_png(path, pixels)
    return targets


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


def overlay(image: Bytes, mask: Bytes, colours: Sequence[tuple[int, int, int]], blend: float) -> Bytes:
    """Lay class colours over an image: ``(1 - blend) * image + blend * colour``, uint8 [H, W, 3].

    Args:
        image: RGB, uint8 [H, W, 3].
        mask: class indices, uint8 [H, W].
        colours: RGB by class index.
        blend: 0 shows the image, 1 the colours.
    """
    painted = np.array(colours, dtype=np.float32)[mask]
    mixed = (1 - blend) * image.astype(np.float32) + blend * painted
    return np.rint(mixed).astype(np.uint8)


def _raise_bad(bad: list[InputError], total: int) -> None:
    """Say at the end which images could not be read: the only one in its own words, several by count and the first."""
    if not bad:
        return
    if total == 1:
        raise bad[0]
    raise InputError(bad[0].place, f"{bad[0].problem}; {len(bad)} of {total} images unreadable, the others are done")
