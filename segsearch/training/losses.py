"""Losses over the labelled pixels, for the main output and the auxiliary ones, and weights of classes in them."""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from segsearch.data.dataset import IGNORE, Dataset
from segsearch.errors import InputError
from segsearch.training.recipe import LossName, Recipe

Loss = Callable[[Tensor, Tensor, Recipe, Tensor | None], Tensor]
"""Logits float32 B, K, H, W, label int64 B, H, W with ids 0 .. K - 1 or `IGNORE`, recipe, and a weight per class (K) or
none, to one number: a mean over pixels, 0 with zero gradients where none counts."""


def cross_entropy(logits: Tensor, label: Tensor, recipe: Recipe, class_weights: Tensor | None = None) -> Tensor:
    """Mean over the pixels that are not `IGNORE`; see `Loss`."""
    return _mean(_per_pixel(logits, label), label != IGNORE, label, class_weights)


def ohem(logits: Tensor, label: Tensor, recipe: Recipe, class_weights: Tensor | None = None) -> Tensor:
    """Mean cross entropy of the hard pixels: online hard example mining; see `Loss`.

    A pixel is hard where its true class has a probability of at most ``ohem_threshold``, or is among the ``ohem_share``
    of the labelled pixels whose probability is least. This is the rule of HRNet's OhemCrossEntropy, with the least
    number of pixels as a share (STDC, arXiv 2104.13188, keeps a sixteenth; SFNet, section 3.3, only the hardest tenth).
    """
    losses, labelled = _per_pixel(logits, label), label != IGNORE
    hardness = losses.detach()  # -log of the true class's probability
    least = math.ceil(recipe.ohem_share * int(labelled.sum()))
    limit = -math.log(recipe.ohem_threshold) if recipe.ohem_threshold else math.inf
    if least and int((hardness >= limit).sum()) < least:
        limit = float(hardness[labelled].topk(least, sorted=True).values[-1])
    return _mean(losses, labelled & (hardness >= limit), label, class_weights)


LOSSES: dict[LossName, Loss] = {"cross_entropy": cross_entropy, "ohem": ohem}


def _per_pixel(logits: Tensor, label: Tensor) -> Tensor:
    """Cross entropy B, H, W; an exact 0 where the label is `IGNORE`."""
    return F.cross_entropy(logits, label, ignore_index=IGNORE, reduction="none")


def _mean(losses: Tensor, counted: Tensor, label: Tensor, class_weights: Tensor | None) -> Tensor:
    """Mean over the ``counted`` pixels, each by its class's weight, in the divisor too; 0 where none is counted."""
    weights = counted.float() if class_weights is None else class_weights[label.where(counted, 0)] * counted
    total = weights.sum()
    return (losses * weights).sum() / total.where(total > 0, torch.ones_like(total))


def supervised_loss(
    outputs: Sequence[Tensor], label: Tensor, recipe: Recipe, class_weights: Tensor | None = None
) -> Tensor:
    """Loss of the main output plus each auxiliary one by its weight (PSPNet, arXiv 1612.01105, sec. 3.3).

    Args:
        outputs: logits B, K, h, w each; the main ones first. Those of another size are resized bilinearly to the label,
            and summed in float32 whatever their precision.
        label: int64 B, H, W with ids 0 .. K - 1 or `IGNORE`.
        recipe: its ``loss``, and what `auxiliary_losses` reads.
        class_weights: float K, or none.

    Raises:
        InputError: as `auxiliary_losses`.
    """
    weighed = ((1.0, recipe.loss), *auxiliary_losses(recipe, len(outputs) - 1))
    losses = [
        weight * LOSSES[name](resized(logits, label.shape[-2:]), label, recipe, class_weights)
        for (weight, name), logits in zip(weighed, outputs, strict=True)
    ]
    return torch.stack(losses).sum()


def auxiliary_losses(recipe: Recipe, heads: int) -> tuple[tuple[float, LossName], ...]:
    """Weight and loss of each of the auxiliary heads that a network has.

    Raises:
        InputError: the recipe has no auxiliary losses but there are some, or as many weights or losses as there are
            not.
    """
    if heads and recipe.auxiliary == "none":
        raise InputError("recipe.auxiliary", "'none', but the network has auxiliary heads", "encoder, neck, both")
    weights = _for_each(recipe.auxiliary_weight, heads, "recipe.auxiliary_weight")
    losses = _for_each(recipe.auxiliary_loss or recipe.loss, heads, "recipe.auxiliary_loss")
    return tuple(zip(weights, losses, strict=True))


One = TypeVar("One", float, LossName)


def _for_each(given: One | tuple[One, ...], heads: int, place: str) -> tuple[One, ...]:
    """Give a value for each head: of those listed, or the one for all."""
    listed = given if isinstance(given, tuple) else (given,) * heads
    if len(listed) != heads:
        raise InputError(place, f"lists {len(listed)} for auxiliary heads, of which the network has {heads}")
    return listed


def resized(values: Tensor, size_hw: Sequence[int]) -> Tensor:
    """Bring logits or images, B, C, h, w, bilinearly to another height and width, in float32."""
    values = values.float()
    if tuple(values.shape[-2:]) == tuple(size_hw):
        return values
    return F.interpolate(values, size=tuple(size_hw), mode="bilinear", align_corners=False)


def count_pixels(dataset: Dataset) -> Tensor:
    """Count the labelled pixels per image and class of a whole dataset, int64 N, K; reads every label once."""
    classes = len(dataset.classes)
    counts = [np.bincount(dataset[index][1].ravel(), minlength=256)[:classes] for index in range(len(dataset))]
    return torch.from_numpy(np.stack(counts))


def enet_weights(pixels: Tensor) -> Tensor:
    """``1 / ln(1.02 + share)`` per class, float32 K: 50.5 for an absent class, 1.4 for one that covers all pixels.

    ``pixels``: as `count_pixels` gives them. Source: ENet, arXiv 1606.02147, sec. 5 (c = 1.02).
    """
    share = pixels.sum(0).double() / pixels.sum().clamp(min=1)
    return (1 / torch.log(1.02 + share)).float()


def median_weights(pixels: Tensor) -> Tensor:
    """Median frequency balancing: the median of all classes' frequencies over the class's own, float32 K.

    A frequency is the class's share of the labelled pixels of those images that show it; an absent class weighs 1.
    ``pixels``: as `count_pixels` gives them. Source: SegNet, arXiv 1511.00561, sec. 4.
    """
    shown = (pixels.sum(1, keepdim=True) * (pixels > 0)).sum(0)
    frequency = pixels.sum(0).double() / shown.clamp(min=1)
    present = frequency > 0
    median = frequency[present].quantile(0.5) if present.any() else torch.ones(())
    return torch.where(present, median / frequency.where(present, 1.0), 1.0).float()


CLASS_WEIGHTS: dict[str, Callable[[Tensor], Tensor]] = {"enet": enet_weights, "median": median_weights}
"""From the pixels of `count_pixels` to a weight per class."""
