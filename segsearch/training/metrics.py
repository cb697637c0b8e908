"""Scores from one confusion matrix over a whole dataset, not averaged over images; no class is left out silently."""

import math

import torch
from torch import Tensor

from segsearch.data.dataset import IGNORE


class Confusion:
    """Pixel counts of a dataset: int64 K, K; the row is the label, the column the prediction."""

    def __init__(self, classes: int, device: torch.device | str = "cpu") -> None:
        self.matrix = torch.zeros(classes, classes, dtype=torch.int64, device=device)

    def update(self, label: Tensor, prediction: Tensor) -> Tensor:
        """Count the pixels that are not `IGNORE` in ``label``; return these counts alone, int64 K, K.

        Args:
            label: integers of any shape, 0 .. K - 1 or `IGNORE`.
            prediction: integers of the same shape, 0 .. K - 1 everywhere.
        """
        classes = len(self.matrix)
        assert label.shape == prediction.shape, f"label {tuple(label.shape)}, prediction {tuple(prediction.shape)}"
        label, prediction = (t.to(self.matrix.device, torch.int64) for t in (label, prediction))
        assert _inside(prediction, classes), f"a predicted id outside 0 .. {classes - 1}"
        labelled = label != IGNORE
        label, prediction = label[labelled], prediction[labelled]
        assert _inside(label, classes), f"a label outside 0 .. {classes - 1} that is not {IGNORE}"
        pairs = torch.bincount(label * classes + prediction, minlength=classes**2)
        counts = pairs.reshape(classes, classes)
        self.matrix += counts
        return counts


def _inside(ids: Tensor, classes: int) -> bool:
    return ids.numel() == 0 or (int(ids.min()) >= 0 and int(ids.max()) < classes)


def hits_and_unions(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """``TP`` and ``TP + FP + FN`` per class of a matrix int64 K, K."""
    hits = matrix.diagonal()
    return hits, matrix.sum(0) + matrix.sum(1) - hits


def iou_per_class(matrix: Tensor) -> list[float | None]:
    """``TP / (TP + FP + FN)`` per class of a matrix int64 K, K; None for a class neither labelled nor predicted."""
    hits, unions = hits_and_unions(matrix)
    return [hit / union if union else None for hit, union in zip(hits.tolist(), unions.tolist(), strict=True)]


def miou(matrix: Tensor) -> float:
    """Mean IoU over all classes labelled or predicted; one with no correct pixel counts as 0. NaN: no labels."""
    present = [iou for iou in iou_per_class(matrix) if iou is not None]
    return sum(present) / len(present) if present else float("nan")


def pixel_accuracy(matrix: Tensor) -> float:
    """Share of the labelled pixels that are predicted correctly; NaN if none is labelled."""
    pixels = int(matrix.sum())
    return int(matrix.diagonal().sum()) / pixels if pixels else float("nan")


def jackknife_error(hits: Tensor, unions: Tensor) -> float | None:
    """Return the standard error of the mIoU over images, by the delete-one jackknife; None for fewer than two images.

    It tells how far the mIoU would move on as many other images of the same kind. Two networks scored on the same
    images usually differ by less than their errors suggest, as hard images are hard for both.

    Args:
        hits: per image and class, int64 N, K, as `hits_and_unions` gives them.
        unions: the same; at least one is above 0.
    """
    count = len(hits)
    if count < 2:
        return None
    left_hits, left_unions = hits.sum(0) - hits, unions.sum(0) - unions
    present = left_unions > 0
    # double precision: counts of pixels are exact in it
    ious = torch.where(present, left_hits.double() / left_unions.clamp(min=1), 0.0)
    mious = (ious.sum(1) / present.sum(1).clamp(min=1))[present.any(1)]  # without one image nothing may be left
    return math.sqrt((count - 1) / count * float((mious - mious.mean()).square().sum()))
