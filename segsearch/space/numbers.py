"""How choices become numbers of channels, blocks and rates."""

import math
import re

from segsearch.space.nodes import Scalar


def numbers(text: Scalar) -> tuple[int, ...]:
    """Read ``"1,2,4,8"``."""
    return tuple(int(number) for number in str(text).split(","))


def level(word: Scalar) -> int:
    """Read ``"P3"``, a place in the pyramid. Raises ValueError for anything but P1 to P9."""
    if not re.fullmatch("P[1-9]", str(word)):
        raise ValueError(f"{word!r} is not a level, P1 to P9")
    return int(str(word)[1:])


def rounded(width: float, divisor: int = 8) -> int:
    """Round to a multiple of ``divisor``, at least one: widths at which tensor cores and depthwise kernels are fast."""
    return max(divisor, int(width / divisor + 0.5) * divisor)


def repeated(depth: int, times: float) -> int:
    """Scale the number of blocks of a stage, rounded up as in EfficientNet."""
    return math.ceil(depth * times)
