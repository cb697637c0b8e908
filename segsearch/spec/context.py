"""What looks at the coarsest level as a whole."""

from typing import Annotated, Literal

from pydantic import Field

from segsearch.frozen import Frozen
from segsearch.spec.words import Rate, Width


class NoContext(Frozen):
    """The coarsest level goes to the neck as it is."""

    kind: Literal["none"] = "none"


class PyramidPoolingSpec(Frozen):
    """Pyramid pooling on the coarsest level (PSPNet's PPM as SFNet uses it)."""

    kind: Literal["ppm"]
    width: Width
    bins: Annotated[tuple[Rate, ...], Field(min_length=1)] = (1, 2, 3, 6)


ContextSpec = Annotated[NoContext | PyramidPoolingSpec, Field(discriminator="kind")]
