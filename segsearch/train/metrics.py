"""Scores from one confusion matrix over a whole dataset: never a mean over images, never a class silently dropped."""

import torch
from torch import Tensor

from segsearch.data.dataset import IGNORE


class Confusion:
    """Pixel counts of a dataset: int64 K, K; the row is the label, the column the prediction."""

    def __init__(self, classes: int, device: torch.device | str = "cpu") -> None:
        self.matrix = torch.zeros(classes, classes, dtype=torch.int64, device=device)

    def update(self, label: Tensor, prediction: Tensor) -> None:
        """Count the pixels that are not `IGNORE` in ``label``.

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
        self.matrix += pairs.reshape(classes, classes)


def _inside(ids: Tensor, classes: int) -> bool:
    return ids.numel() == 0 or (int(ids.min()) >= 0 and int(ids.max()) < classes)


def iou_per_class(matrix: Tensor) -> list[float | None]:
    """``TP / (TP + FP + FN)`` per class of a matrix int64 K, K; None for a class neither labelled nor predicted."""
    hits = matrix.diagonal()
    unions = matrix.sum(0) + matrix.sum(1) - hits
    return [hit / union if union else None for hit, union in zip(hits.tolist(), unions.tolist(), strict=True)]


def miou(matrix: Tensor) -> float:
    """Mean IoU over all classes labelled or predicted; one never hit counts as 0. NaN: no pixel was labelled."""
    present = [iou for iou in iou_per_class(matrix) if iou is not None]
    return sum(present) / len(present) if present else float("nan")


def pixel_accuracy(matrix: Tensor) -> float:
    """Share of the labelled pixels that are predicted right; NaN where none is labelled."""
    pixels = int(matrix.sum())
    return int(matrix.diagonal().sum()) / pixels if pixels else float("nan")
