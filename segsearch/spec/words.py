"""The small types that specs share: each a number with its law."""

from typing import Annotated, Literal

from pydantic import Field

Width = Annotated[int, Field(ge=1, le=8192)]
"""Channels."""
Stride = Annotated[int, Field(ge=1, le=2)]
Rate = Annotated[int, Field(ge=1, le=64)]
"""Dilation, or bins of a pooling grid."""
Level = Annotated[int, Field(ge=1, le=9)]
"""A place in the pyramid: Pk has stride 2**k."""
Pool = Literal["avg", "max"]
Activation = Literal["relu", "relu6", "silu", "hswish", "none"]
Padding = Literal["symmetric", "same"]
"""Of zeros around a map. same: TensorFlow's SAME, an odd row of them at the bottom and an odd column at the right."""
