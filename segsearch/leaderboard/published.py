"""Which of a paper's printed figures stands beside a measurement at one size."""

import math

from segsearch.space.points import NamedPoint, Published
from segsearch.spec.network import scaled_size

DATASET = "Cityscapes"
NOT_SAID = "not said"


def speed_rows(point: NamedPoint) -> tuple[Published, ...]:
    """All frame rates that the paper prints for a point, once per device and size."""
    rows: dict[tuple[object, ...], Published] = {}
    for row in point.published:
        if row.metric == "fps" and row.size is not None and row.value > 0:
            rows.setdefault((row.device, row.size), row)
    return tuple(rows.values())


def speed_row(point: NamedPoint, size_hw: tuple[int, int]) -> Published | None:
    """Return the frame rate printed for the size nearest to ``size_hw`` in pixels; of several devices the highest."""
    rows = speed_rows(point)
    return min(rows, key=lambda row: (_distance(point, row, size_hw), -row.value)) if rows else None


def miou_row(point: NamedPoint, size_hw: tuple[int, int]) -> Published | None:
    """Return the mIoU printed for the size nearest to ``size_hw``, on Cityscapes; val before test."""
    rows = [row for row in point.published if row.metric == "miou" and row.dataset == DATASET]
    return min(rows, key=lambda row: (_distance(point, row, size_hw), row.split != "val")) if rows else None


def same_size(point: NamedPoint, row: Published, size_hw: tuple[int, int]) -> bool:
    """Whether a row was printed for images of ``size_hw``, or for what the network sees of them after its scaling."""
    return row.size in (size_hw, scaled_size(point.spec, size_hw))


def device_and_runtime(row: Published) -> tuple[str, str]:
    """Split ``GTX 1080Ti, TensorRT``; a runtime that the paper does not name is "not said"."""
    device, _, runtime = (row.device or NOT_SAID).partition(", ")
    return device, runtime or NOT_SAID


def _distance(point: NamedPoint, row: Published, size_hw: tuple[int, int]) -> float:
    """How far a row's size is from what is asked, as the logarithm of the ratio of pixels; 0 for `same_size`."""
    if row.size is None:
        return math.inf
    if same_size(point, row, size_hw):
        return 0.0
    return abs(math.log(math.prod(row.size) / math.prod(size_hw)))
