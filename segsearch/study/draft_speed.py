"""The image size and the FPS budget that a first study should have, by how fast published networks run here."""

import math
import statistics
from collections import Counter
from dataclasses import dataclass

from segsearch.errors import InputError, UnfitError
from segsearch.measure.conditions import Conditions
from segsearch.measure.timer import TimerSettings
from segsearch.progress import Report, silent
from segsearch.space.points import named_points
from segsearch.spec.network import check_size
from segsearch.timing import NetworkSubject, latency_of

QUICK = TimerSettings(
    min_samples=5, min_seconds=0.2, warmup_block_calls=2, warmup_block_seconds=0.05, max_warmup_seconds=1.0,
    blocks=1, retakes=0,
)  # fmt: skip
"""Enough for a budget of two digits."""
STRIDE = 32
"""Sides that are multiples of this are halved without rest by every network that keeps to five levels."""
_LEAST_SIDE = 64
_LEAST_FPS = 10.0
"""Slower than this nobody calls real-time: where no budget is given, images are made smaller until it is reached."""

Size = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Speed:
    """What was chosen, and why.

    Attributes:
        size_hw: that images are brought to.
        why: how the size came about, in words.
        fps: the budget, if there is one; how: where it comes from, in words.
        latencies_ms: of the published networks at this size; empty where none was measured.
    """

    size_hw: Size
    why: str
    fps: float | None
    how: str
    latencies_ms: dict[str, float]


def typical(sizes: Counter[Size]) -> Size:
    """Give the size (H, W) of most images, or, where all differ, the medians of their sides."""
    size, count = sizes.most_common(1)[0]
    if count * 2 >= sizes.total():
        return size
    heights, widths = zip(*sizes.elements(), strict=True)
    return int(statistics.median(heights)), int(statistics.median(widths))


def multiple(size: Size, scale: float = 1.0) -> Size:
    """Give the multiples of `STRIDE` next below a size times ``scale`` that keep its shape best."""
    height, width = (max(_LEAST_SIDE, int(side * scale) // STRIDE * STRIDE) for side in size)
    near = [(h, w) for h in (height, height - STRIDE) for w in (width, width - STRIDE) if min(h, w) >= _LEAST_SIDE]
    shape = size[1] / size[0]
    return min(near, key=lambda hw: (round(abs(math.log(hw[1] / hw[0] / shape)), 2), -hw[0] * hw[1]))


def choose_speed(
    images: Size,
    classes: int,
    under: Conditions,
    *,
    fps: float | None = None,
    measured: bool = True,
    report: Report = silent,
) -> Speed:
    """Choose size and budget: the median of one published network of each paper, measured quickly at the images' size.

    Where these are slower than real-time, or the fastest of them is slower than ``fps``, the size becomes smaller.

    Args:
        images: size (H, W) of the images.
        classes: K.
        under: what to measure on.
        fps: the budget, where a person has one.
        measured: False takes the images' own size, and no budget but ``fps``.
        report: told of each network.

    Raises: as `latency_of`, but networks that are too large for the images, or cannot be run, are left out.
    """
    size = own = multiple(images)
    given = "as it was asked for"
    if not measured:
        return Speed(size_hw=size, why=_own(images, size), fps=fps, how=given if fps else "", latencies_ms={})
    limit_ms, slow = 1000 / (fps or _LEAST_FPS), ""
    found = _measure(size, classes, under, report)
    if not found:
        return Speed(size_hw=size, why=_own(images, size), fps=fps, how=given if fps else "", latencies_ms={})
    reached = min(found.values()) if fps else statistics.median(found.values())
    smaller = multiple(size, 0.95 * math.sqrt(limit_ms / reached))
    if reached > limit_ms and smaller != size:
        slow, size = f"at {_by(own)} {_who(fps)} runs {_rounded(1000 / reached):g} FPS", smaller
        found = _measure(size, classes, under, report)
    budget = fps or _rounded(1000 / statistics.median(found.values()))
    why = f"{slow}, so images are made smaller" if slow else _own(images, size)
    how = given if fps else f"the median of {', '.join(found)} at {_by(size)}, measured quickly here"
    if fps and min(found.values()) > limit_ms:
        how += f"; no published network reaches it, the fastest runs {_rounded(1000 / min(found.values())):g} FPS"
    return Speed(size_hw=size, why=why, fps=budget, how=how, latencies_ms=found)


def _who(fps: float | None) -> str:
    return "the fastest published network" if fps else "the median of the published networks"


def _own(images: Size, size: Size) -> str:
    if images == size:
        return "the images' own size"
    return f"the images are {_by(images)}; networks halve sides five times, so multiples of {STRIDE} next to that"


def _by(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def _rounded(fps: float) -> float:
    """Round down to two digits."""
    step = 10.0 ** (math.floor(math.log10(fps)) - 1)
    return round(math.floor(fps / step) * step, 6)


def _measure(size: Size, classes: int, under: Conditions, report: Report) -> dict[str, float]:
    leads = [point for point in named_points().values() if point.lead]
    found = dict[str, float]()
    for done, point in enumerate(leads):
        report(f"{point.name} at {_by(size)}", done, len(leads))
        try:
            check_size(point.spec, size)
            subject = NetworkSubject(spec=point.spec, classes=classes, size_hw=size, label=point.name)
            found[point.name] = latency_of(subject, under).median_ms
        except UnfitError:
            continue
        except InputError as error:
            if error.place != "size":
                raise
    return found
