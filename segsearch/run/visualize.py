"""Pictures of what a network does: input, label, prediction, errors, and what it attends to inside."""

import colorsys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from segsearch.data.dataset import IGNORE, Dataset
from segsearch.data.filedataset import keep_out
from segsearch.data.palette import Colour, paint
from segsearch.deployment.images import Bytes, resize_label, write_png
from segsearch.deployment.legend import GAP
from segsearch.deployment.legend import legend as legend_below
from segsearch.errors import InputError
from segsearch.files import check_folder
from segsearch.models.fusions import FAM, MEU, GatedMEU
from segsearch.models.network import Network
from segsearch.progress import Report, silent
from segsearch.run.subject import Subject

WRONG, IGNORED, RIGHT = (220, 30, 30), (128, 128, 128), (255, 255, 255)


def visualize(subject: Subject, dataset: Dataset, out: Path, *, count: int = 8, report: Report = silent) -> list[Path]:
    """Draw one PNG for each of ``count`` images, spread over the dataset, at the size that the subject sees.

    Side by side lie the input, the label, the prediction, and the errors: red where the prediction is wrong, grey where
    the label says nothing. A network with flow alignment (SFNet) has its flow fields beside them, the hue for the
    direction and the strength for the length; one with mutual embedding (FPENet) its maps of spatial attention, bright
    where the deep features count. Below stands a legend of the classes.

    Args:
        subject: what predicts.
        dataset: images that it was opened for, see `segsearch.run.subject.images_for`.
        out: the folder for the pictures, made if missing.
        count: how many; all where there are fewer.
        report: told after each picture.

    Returns:
        The files written.

    Raises:
        InputError: an image cannot be read, nothing can be written, or ``out`` is a folder that the data is read from.
    """
    if len(dataset) == 0:
        raise InputError(dataset.name, "has no images to draw")
    check_folder(out)
    keep_out(out, [dataset])
    inside: dict[str, Bytes] = {}
    hooks = _watch(subject.segmenter, inside) if isinstance(subject.segmenter, Network) else []
    masks = subject.masks()
    legend = dict(zip(dataset.classes, dataset.colours, strict=True))
    count, written = min(count, len(dataset)), list[Path]()
    try:
        for done in range(count):
            index = done * len(dataset) // count
            image, label = dataset[index]
            label = resize_label(label, (image.shape[0], image.shape[1]), dataset.fit, IGNORE)
            mask = masks(image)
            panels = [image, paint(label, dataset.colours), paint(mask, dataset.colours), errors(label, mask)]
            path = out / f"{dataset.name.rpartition('/')[2]}_{index:04}.png"
            write_png(path, _sheet([*panels, *inside.values()], legend))
            written.append(path)
            report("visualize", done + 1, count)
    finally:
        for hook in hooks:
            hook.remove()
    return written


def errors(label: Bytes, mask: Bytes) -> Bytes:
    """Colour a label and a prediction, both (H, W), by whether they agree: RGB, uint8 (H, W, 3)."""
    table = np.array([RIGHT, WRONG, IGNORED], np.uint8)
    drawn: Bytes = table[np.where(label == IGNORE, 2, (label != mask).astype(np.intp))]
    return drawn


def flow_colours(flow: Tensor) -> Bytes:
    """Colour a flow field (2, H, W), x then y: the hue is the direction, the strength the length, of the longest."""
    x, y = flow.detach().float().cpu().numpy()
    length, turn = np.hypot(x, y), (np.arctan2(y, x) / (2 * np.pi)) % 1.0
    wheel = np.array([colorsys.hsv_to_rgb(k / 256, 1.0, 1.0) for k in range(256)])
    strength = (length / max(float(length.max()), 1e-12))[..., None]
    drawn: Bytes = np.rint(255 * (1 - strength * (1 - wheel[(turn * 255).astype(np.intp)]))).astype(np.uint8)
    return drawn


def attention_grey(weights: Tensor) -> Bytes:
    """Show weights (1, H, W) from their least, black, to their greatest, white."""
    values = weights[0].detach().float().cpu().numpy()
    scaled = (values - values.min()) / max(float(values.max() - values.min()), 1e-12)
    return np.repeat(np.rint(255 * scaled).astype(np.uint8)[..., None], 3, axis=2)


def _watch(network: nn.Module, inside: dict[str, Bytes]) -> list[torch.utils.hooks.RemovableHandle]:
    """Keep a picture of every flow field and map of spatial attention of the last image in ``inside``, by module."""

    def keep(name: str, draw: Callable[[Tensor], Bytes]) -> Callable[[nn.Module, object, Tensor], None]:
        def hook(module: nn.Module, given: object, made: Tensor) -> None:
            inside[name] = draw(made[0])

        return hook

    hooks = []
    for name, module in network.named_modules():
        if isinstance(module, FAM):
            hooks.append(module.flow.register_forward_hook(keep(name, flow_colours)))
        elif isinstance(module, MEU | GatedMEU) and module.spatial is not None:
            hooks.append(module.spatial.register_forward_hook(keep(name, attention_grey)))
    return hooks


def _sheet(panels: Sequence[Bytes], legend: Mapping[str, Colour]) -> Bytes:
    """Lay panels side by side, those of another size brought to the first one's, over a legend."""
    height, width = panels[0].shape[:2]
    sheet = Image.new("RGB", (len(panels) * (width + GAP) - GAP, height + GAP), "white")
    for place, panel in enumerate(panels):
        shown = Image.fromarray(panel)
        if shown.size != (width, height):
            shown = shown.resize((width, height), Image.Resampling.NEAREST)
        sheet.paste(shown, (place * (width + GAP), 0))
    below = legend_below(sheet.width, {**legend, "wrong": WRONG, "ignored": IGNORED})
    whole = Image.new("RGB", (sheet.width, sheet.height + below.height), "white")
    whole.paste(sheet, (0, 0))
    whole.paste(below, (0, sheet.height))
    return np.asarray(whole)
