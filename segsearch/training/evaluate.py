"""Scores on a whole dataset, at the labels' own resolution: of a network, or of any function from images to masks."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Annotated, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from segsearch.data.dataset import Dataset
from segsearch.data.normalise import to_tensor
from segsearch.deployment.images import Fit, place_within, resize_mask
from segsearch.errors import DivergedError, InputError
from segsearch.frozen import Frozen, HeightByWidth, YesNo
from segsearch.measure.backends.torch_network import float32_as
from segsearch.measure.device_lock import working
from segsearch.measure.machine import find_device
from segsearch.progress import Report
from segsearch.training.losses import resized
from segsearch.training.metrics import Confusion, hits_and_unions, iou_per_class, jackknife_error, miou, pixel_accuracy
from segsearch.training.per_image import PerImage
from segsearch.training.recipe import Side
from segsearch.training.scores import Scores

Predict = Callable[[Tensor], Tensor]
"""Images uint8 B, 3, H, W (RGB) to class ids, integers B, H, W: what a deployed network does."""
Counted = Callable[[PerImage], None]
"""Told the pixels of each image once all are scored."""
SizeHW = tuple[int, int]


class Evaluation(Frozen):
    """How a network sees the images that it is scored on. The default is what is deployed: whole, once, as it is."""

    mode: Literal["whole", "slide"] = "whole"
    window: Annotated[tuple[Side, Side] | None, HeightByWidth] = Field(
        default=None, description="height, width of the sliding window"
    )
    stride: Annotated[tuple[Side, Side] | None, HeightByWidth] = Field(
        default=None, description="default two thirds of the window"
    )
    scales: Annotated[tuple[Annotated[float, Field(gt=0, le=8)], ...], Field(min_length=1, max_length=32)] = (1.0,)
    flip: YesNo = Field(default=False, description="mirrored, too")

    @model_validator(mode="after")
    def _window_to_slide(self) -> Self:
        if (self.mode == "slide") != (self.window is not None):
            raise ValueError("mode slide and a window belong together")
        if self.stride is not None and self.window is None:
            raise ValueError("stride needs a window")
        if self.stride and self.window and any(map(int.__gt__, self.stride, self.window)):
            raise ValueError("stride must be at most the window, in each direction")
        return self

    def logits(self, network: nn.Module, image: Tensor) -> Tensor:
        """Logits B, K, h, w of normalised images B, 3, H, W; with several views the mean of their probabilities."""
        if self.scales == (1.0,) and not self.flip:
            return self._seen(network, image)
        size_hw, total = image.shape[-2:], torch.zeros((), device=image.device)
        for scale in self.scales:
            scaled_hw = [max(1, round(side * scale)) for side in size_hw]
            view = resized(image, (scaled_hw[0], scaled_hw[1]))
            for mirrored in (False, True)[: 1 + self.flip]:
                found = self._seen(network, view.flip(-1) if mirrored else view).softmax(1)
                total = total + resized(found.flip(-1) if mirrored else found, (size_hw[0], size_hw[1]))
        return total / (len(self.scales) * (1 + self.flip))

    def _seen(self, network: nn.Module, image: Tensor) -> Tensor:
        """Logits of one view: in one pass, or the mean over windows, the last one shifted inside (mmsegmentation)."""
        height, width = image.shape[-2:]
        if self.window is None or (height <= self.window[0] and width <= self.window[1]):
            whole: Tensor = network(image)
            return whole
        total, count = torch.zeros((), device=image.device), image.new_zeros(1, 1, height, width)
        for top in _starts(height, self.window[0], self.stride and self.stride[0]):
            for left in _starts(width, self.window[1], self.stride and self.stride[1]):
                part = image[..., top : top + self.window[0], left : left + self.window[1]]
                found = resized(network(part), (part.shape[-2], part.shape[-1]))
                beside = (left, width - left - part.shape[-1], top, height - top - part.shape[-2])
                total = total + F.pad(found, beside)
                count += F.pad(torch.ones_like(part[:1, :1]), beside)
        return total / count


DEPLOYED = Evaluation()


def evaluate(
    network: nn.Module,
    dataset: Dataset,
    settings: Evaluation = DEPLOYED,
    *,
    batch_size: int = 1,
    device: str | torch.device = "cpu",
    report: Report | None = None,
    counted: Counted | None = None,
) -> Scores:
    """Score a network in eval mode, in float32; it ends on ``device``, every module in the mode it had.

    Args:
        network: normalised images B, 3, H, W to logits B, K, h, w, which are brought bilinearly to the labels' size.
        dataset: images of one size; labels of that size, or of their own.
        settings: how the network sees an image.
        batch_size: images per pass.
        device: where to compute.
        report: told after every batch.
        counted: told the pixels of each image at the end.

    Raises:
        InputError: the dataset is empty, or none of its pixels is labelled.
        DivergedError: outputs that are NaN or infinite.
        DeviceError: the device is not there.
    """
    device = find_device(str(device))
    network.to(device)
    modes = {module: module.training for module in network.modules()}

    def predict(images: Tensor, sizes: Sequence[SizeHW]) -> list[Tensor]:
        seen_hw = (images.shape[-2], images.shape[-1])
        with working(device):
            logits = settings.logits(network, to_tensor(images.to(device).movedim(1, -1)))
            if not bool(logits.isfinite().all()):  # of NaN, argmax makes the first class
                raise DivergedError("the network's outputs are NaN or infinite, not numbers: its training diverged")
            native = [_unfitted(logits[i : i + 1], seen_hw, size_hw, dataset.fit) for i, size_hw in enumerate(sizes)]
            return [logits.argmax(dim=1)[0] for logits in native]

    network.eval()
    # else a GPU's convolutions round to TF32
    exact = float32_as(tf32=False) if device.type == "cuda" else contextlib.nullcontext()
    try:
        with exact:
            return _score(predict, dataset, batch_size, device, report, counted)
    finally:
        for module, mode in modes.items():
            module.training = mode


def evaluate_masks(
    predict: Predict,
    dataset: Dataset,
    *,
    batch_size: int = 1,
    device: str | torch.device = "cpu",
    report: Report | None = None,
    counted: Counted | None = None,
) -> Scores:
    """Score any function from images to masks, such as an exported artefact; pixels are counted on ``device``.

    Masks are brought to the labels' size to the nearest, which costs some tenths of a point against `evaluate` where
    the sizes differ. Raises: as `evaluate`.
    """

    def resized(images: Tensor, sizes: Sequence[SizeHW]) -> list[Tensor]:
        return [_mask_at(mask, size_hw, dataset.fit) for mask, size_hw in zip(predict(images), sizes, strict=True)]

    return _score(resized, dataset, batch_size, device, report, counted)


def _score(
    predict: Callable[[Tensor, Sequence[SizeHW]], list[Tensor]],
    dataset: Dataset,
    batch_size: int,
    device: str | torch.device,
    report: Report | None,
    counted: Counted | None,
) -> Scores:
    """Count all pixels; ``predict`` gives the masks of a batch of images, each at the size of its label."""
    confusion, per_image = Confusion(len(dataset.classes), device), list[tuple[Tensor, Tensor]]()
    with torch.inference_mode():
        for start in range(0, len(dataset), batch_size):
            indices = range(start, min(start + batch_size, len(dataset)))
            images, labels = zip(*(dataset[index] for index in indices), strict=True)
            sizes = [(label.shape[0], label.shape[1]) for label in labels]
            masks = predict(torch.from_numpy(np.stack(images)).movedim(-1, 1).contiguous(), sizes)
            per_image += [
                hits_and_unions(confusion.update(torch.tensor(label), mask))
                for label, mask in zip(labels, masks, strict=True)
            ]
            if report is not None:
                report("evaluate", indices.stop, len(dataset))
    if counted is not None:
        hits, unions = (torch.stack(each).cpu().numpy() for each in zip(*per_image, strict=True))
        counted(PerImage.of(dataset, hits, unions))
    return summarise(confusion.matrix, dataset, per_image)


def _starts(side: int, window: int, stride: int | None) -> range | list[int]:
    """Places of the windows along one side, the last one at the end."""
    step = stride or max(1, window * 2 // 3)
    return sorted({min(start, max(0, side - window)) for start in range(0, max(1, side - window + step), step)})


def _unfitted(logits: Tensor, seen_hw: SizeHW, size_hw: SizeHW, fit: Fit) -> Tensor:
    """Bring logits 1, K, h, w of an image that was seen at ``seen_hw`` to the label's size, without the margin."""
    inner = place_within(size_hw, seen_hw) if fit == "pad" else seen_hw
    if inner != seen_hw:
        logits = resized(logits, seen_hw)[..., : inner[0], : inner[1]]
    return resized(logits, size_hw)


def _mask_at(mask: Tensor, size_hw: SizeHW, fit: Fit) -> Tensor:
    if mask.shape == size_hw:
        return mask
    return torch.from_numpy(resize_mask(mask.to("cpu", torch.uint8).numpy(), size_hw, fit).copy())


def summarise(matrix: Tensor, dataset: Dataset, per_image: Sequence[tuple[Tensor, Tensor]] = ()) -> Scores:
    """Scores of a confusion matrix int64 K, K over all of a dataset; ``per_image``: `hits_and_unions` of each image.

    Raises:
        InputError: the matrix is empty.
    """
    if not matrix.any():
        raise InputError(dataset.name, "has no labelled pixel to score")
    return Scores(
        miou=miou(matrix),
        iou=dict(zip(dataset.classes, iou_per_class(matrix), strict=True)),
        pixel_accuracy=pixel_accuracy(matrix),
        images=len(dataset),
        confusion=tuple(tuple(row) for row in matrix.tolist()),
        standard_error=jackknife_error(*map(torch.stack, zip(*per_image, strict=True))) if per_image else None,
    )
