"""How fused levels become logits."""

from typing import Annotated, Literal

from pydantic import Field

from segsearch.frozen import Frozen
from segsearch.spec.words import Width


class PlainHead(Frozen):
    """1x1 classifier on the finest level."""

    kind: Literal["plain"]


class ConcatHead(Frozen):
    """All levels upsampled to the finest, concatenated, one 3x3, then the 1x1 classifier (SFNet, figure 4)."""

    kind: Literal["concat"]
    width: Width


HeadSpec = Annotated[PlainHead | ConcatHead, Field(discriminator="kind")]
