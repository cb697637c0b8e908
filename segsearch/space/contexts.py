"""Contexts: from a few choices to explicit widths. Each is a pure function, looked up in `CONTEXT_CHOICES`."""

from collections.abc import Callable

from segsearch.space.numbers import Choices, numbers
from segsearch.spec.context import (
    AsppSpec,
    ContextSpec,
    DenseAsppSpec,
    FcAttentionSpec,
    NoContext,
    NonLocalSpec,
    PyramidPoolingSpec,
)


def aspp(choices: Choices, width: int) -> AsppSpec:
    """Branches ``inner`` times as wide as the neck, joined by a 1x1; or the dilated ones alone, summed."""
    joined = choices["join"] == "concat"
    inner = int(choices["join.concat.inner"]) * width if joined else None
    return AsppSpec(kind="aspp", width=width, rates=numbers(choices["rates"]), inner=inner)


def denseaspp(choices: Choices, width: int) -> DenseAsppSpec:
    """Bottlenecks ``inner`` times as wide as the neck; each block adds half of that (DenseASPP: 512 and 256)."""
    inner = int(choices["inner"]) * width
    return DenseAsppSpec(
        kind="denseaspp", width=width, inner=inner, growth=max(1, inner // 2), rates=numbers(choices["rates"])
    )


def nonlocal_(choices: Choices, width: int) -> NonLocalSpec:
    """Attention over a map ``inner`` times as wide as the neck, at half that width (Non-local Networks, section 4)."""
    entry = int(choices["inner"]) * width
    return NonLocalSpec(kind="nonlocal", width=width, entry=entry, inner=max(1, entry // 2))


def ppm(choices: Choices, width: int) -> PyramidPoolingSpec:
    """Every bin as wide as the neck (SFNet, section 3.3)."""
    return PyramidPoolingSpec(kind="ppm", width=width, bins=numbers(choices["bins"]))


CONTEXT_CHOICES: dict[str, Callable[[Choices, int], ContextSpec]] = {
    "none": lambda choices, width: NoContext(),
    "ppm": ppm,
    "aspp": aspp,
    "denseaspp": denseaspp,
    "nonlocal": nonlocal_,
    "fc": lambda choices, width: FcAttentionSpec(kind="fc", hidden=int(choices["hidden"])),
}
