"""How fused levels become logits."""

from typing import Annotated, Literal

from pydantic import Field

from segsearch.frozen import Frozen
from segsearch.spec.neck import Weights
from segsearch.spec.words import Width


class PlainHead(Frozen):
    """1x1 classifier on the finest level."""

    kind: Literal["plain"]
    kernel: Literal[1, 3] = 1
    bias: bool = True


class ConcatHead(Frozen):
    """All levels upsampled to the finest, concatenated, one 3x3, then the 1x1 classifier (SFNet, figure 4)."""

    kind: Literal["concat"]
    width: Width


class WeightedHead(Frozen):
    """All levels upsampled to the finest, summed by learnt weights, then the 1x1 classifier (ESeg, section 3.2)."""

    kind: Literal["weighted"]
    width: Width
    weights: Weights = "softmax"
    conv: Literal["separable", "none"] = "separable"
    """Between the sum and the classifier."""


HeadSpec = Annotated[PlainHead | ConcatHead | WeightedHead, Field(discriminator="kind")]
