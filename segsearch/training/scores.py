"""What a data set says of a network."""

import math
from typing import Annotated, Self

from pydantic import Field, model_validator

from segsearch.frozen import Frozen

Share = Annotated[float, Field(ge=0, le=1)]


class Scores(Frozen):
    """Every number follows from ``confusion`` and, the standard error, from the same of each image.

    Of a network that somebody scored with code of their own, only the mIoU is known: see `told`.
    """

    miou: Share
    """Mean over the classes labelled or predicted."""
    iou: dict[str, Share | None]
    """Per class name; None where a class is neither labelled nor predicted."""
    pixel_accuracy: Share | None
    images: int = Field(ge=0)
    confusion: tuple[tuple[int, ...], ...]
    """Pixels; the row is the label, the column the prediction. Empty where only the mIoU is known."""
    standard_error: float | None = None
    """Of the mIoU over images (`jackknife_error`); None for a single image, and in records older than this field."""

    @classmethod
    def told(cls, miou: float) -> "Scores":
        """Make scores of which only the mIoU is known."""
        return cls(miou=miou, iou={}, pixel_accuracy=None, images=0, confusion=())

    @property
    def pixels_right(self) -> float:
        """``pixel_accuracy`` of scores that have one."""
        assert self.pixel_accuracy is not None, "only the mIoU is known"
        return self.pixel_accuracy

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.confusion and not self.iou:
            return self
        if self.pixel_accuracy is None or self.images < 1:
            raise ValueError("pixel_accuracy and images are missing")
        there = [iou for iou in self.iou.values() if iou is not None]
        if not there or not math.isclose(self.miou, math.fsum(there) / len(there), abs_tol=1e-6):
            raise ValueError(f"miou {self.miou} is not the mean of the classes' iou")
        return self
