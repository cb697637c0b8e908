"""Heads: from a few choices to explicit widths. Each is a pure function, looked up in `HEAD_CHOICES`."""

from collections.abc import Callable
from typing import Literal

from segsearch.space.numbers import Choices
from segsearch.spec.head import ConcatHead, HeadSpec, PlainHead, WeightedHead


def plain(choices: Choices, width: int) -> PlainHead:
    """Classify the finest level. A 3x3 classifier has no bias, as in the one public network that uses one."""
    kernel: Literal[1, 3] = 3 if choices["kernel"] == 3 else 1
    return PlainHead(kind="plain", kernel=kernel, bias=kernel == 1)


def weighted(choices: Choices, width: int) -> WeightedHead:
    """Sum all levels, weighed, at the width of the neck (ESeg, section 3.2)."""
    return WeightedHead.model_validate(
        {"kind": "weighted", "width": width, "weights": choices["weights"], "conv": choices["conv"]}
    )


HEAD_CHOICES: dict[str, Callable[[Choices, int], HeadSpec]] = {
    "plain": plain,
    "concat": lambda choices, width: ConcatHead(kind="concat", width=width),
    "weighted": weighted,
}
