"""Evaluation on a whole dataset: of a network, or of any function from images to masks."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segsearch.data.dataset import Dataset
from segsearch.data.normalise import to_tensor
from segsearch.errors import InputError
from segsearch.measure.device_lock import working
from segsearch.progress import Report
from segsearch.train.device import find_device
from segsearch.train.metrics import Confusion, hits_and_unions, iou_per_class, jackknife_error, miou, pixel_accuracy
from segsearch.train.scores import Scores

Predict = Callable[[Tensor], Tensor]
"""Images uint8 B, 3, H, W (RGB) to class ids, integers B, H, W: what a deployed network does."""


def evaluate(
    network: nn.Module,
    dataset: Dataset,
    *,
    batch_size: int = 1,
    device: str | torch.device = "cpu",
    report: Report | None = None,
) -> Scores:
    """Score a network in eval mode, in float32; it ends on ``device``, every module in the mode it had.

    Args:
        network: normalised images B, 3, H, W to logits B, K, h, w; those of another size are resized bilinearly.
        dataset: images of one size.
        batch_size: images per pass.
        device: where to compute.
        report: told after every batch.

    Raises:
        InputError: the dataset is empty, or none of its pixels is labelled.
        DeviceError: the device is not there.
    """
    device = find_device(device)
    network.to(device)
    modes = {module: module.training for module in network.modules()}

    def predict(images: Tensor) -> Tensor:
        with working(device):
            logits: Tensor = network(to_tensor(images.to(device).movedim(1, -1)))
            if logits.shape[-2:] != images.shape[-2:]:
                logits = F.interpolate(logits, size=images.shape[-2:], mode="bilinear", align_corners=False)
            return logits.argmax(dim=1)

    network.eval()
    try:
        return evaluate_masks(predict, dataset, batch_size=batch_size, device=device, report=report)
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
) -> Scores:
    """Score any function from images to masks, such as an exported artefact; pixels are counted on ``device``.

    Raises: as `evaluate`.
    """
    confusion, per_image = Confusion(len(dataset.classes), device), list[tuple[Tensor, Tensor]]()
    with torch.inference_mode():
        for start in range(0, len(dataset), batch_size):
            indices = range(start, min(start + batch_size, len(dataset)))
            images, labels = zip(*(dataset[index] for index in indices), strict=True)
            masks = predict(torch.from_numpy(np.stack(images)).movedim(-1, 1).contiguous())
            per_image += [
                hits_and_unions(confusion.update(label, mask))
                for label, mask in zip(torch.from_numpy(np.stack(labels)), masks, strict=True)
            ]
            if report is not None:
                report("evaluate", indices.stop, len(dataset))
    return summarise(confusion.matrix, dataset, per_image)


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
