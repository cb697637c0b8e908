"""Cross entropy over the labelled pixels, for the main output and the auxiliary ones, and weights of classes in it."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from segsearch.data.dataset import IGNORE, Dataset


def pixel_loss(logits: Tensor, label: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Mean cross entropy over the pixels that are not `IGNORE`; 0 with zero gradients where none is left.

    Logits of another size are resized bilinearly to the label. The sum runs in float32 whatever the logits' precision.

    Args:
        logits: float B, K, h, w.
        label: int64 B, H, W with ids 0 .. K - 1 or `IGNORE`.
        class_weights: float K; pixels then count by their class's weight, in the mean's divisor too.
    """
    logits = logits.float()
    if logits.shape[-2:] != label.shape[-2:]:
        logits = F.interpolate(logits, size=label.shape[-2:], mode="bilinear", align_corners=False)
    losses = F.cross_entropy(logits, label, weight=class_weights, ignore_index=IGNORE, reduction="none")
    return losses.sum() / _divisor(label, class_weights)


def _divisor(label: Tensor, class_weights: Tensor | None) -> Tensor:
    """Total weight of the labelled pixels; 1 where there is none, since their losses sum to an exact 0."""
    labelled = label != IGNORE
    if class_weights is None:
        return labelled.sum().clamp(min=1)
    total = (class_weights[label.where(labelled, 0)] * labelled).sum()
    return total.where(total > 0, torch.ones_like(total))


def supervised_loss(
    outputs: Sequence[Tensor], label: Tensor, *, auxiliary_weight: float, class_weights: Tensor | None = None
) -> Tensor:
    """Loss of the main output plus ``auxiliary_weight`` times each auxiliary one (PSPNet, arXiv 1612.01105, sec. 3.3).

    Args:
        outputs: logits B, K, h, w each; the main ones first, auxiliary ones at any size.
        label: int64 B, H, W.
        auxiliary_weight: weight of each auxiliary loss.
        class_weights: float K, or none.
    """
    main, *auxiliary = (pixel_loss(logits, label, class_weights) for logits in outputs)
    return main + auxiliary_weight * sum(auxiliary, torch.zeros_like(main)) if auxiliary else main


def count_pixels(dataset: Dataset) -> Tensor:
    """Count the labelled pixels per class over a whole dataset, int64 K; reads every label once."""
    classes = len(dataset.classes)
    counts = np.zeros(256, dtype=np.int64)
    for index in range(len(dataset)):
        counts += np.bincount(dataset[index][1].ravel(), minlength=256)
    return torch.from_numpy(counts[:classes])


def enet_weights(pixels: Tensor) -> Tensor:
    """``1 / ln(1.02 + share)`` per class, float32 K: 50.5 for an absent class, 1.4 for one that covers all pixels.

    Source: ENet, arXiv 1606.02147, sec. 5 (c = 1.02).
    """
    share = pixels.double() / pixels.sum().clamp(min=1)
    return (1 / torch.log(1.02 + share)).float()
