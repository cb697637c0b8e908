"""Recipe of a training: everything that determines the weights, except seed, data and network."""

import math
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from segsearch.frozen import Frozen, HeightByWidth, YesNo

Side = Annotated[int, Field(ge=1, le=8192)]
Steps = Annotated[int, Field(ge=1, le=100_000_000)]
Factor = Annotated[float, Field(gt=0)]
Zoom = Annotated[float, Field(gt=0, le=64)]
Share = Annotated[float, Field(ge=0, le=1)]
PATHS = ("pretrained", "teacher", "teacher_weights")
"""Fields of `Recipe` that may be paths."""
LossName = Literal["cross_entropy", "ohem"]

DEFAULTS: dict[int, dict[str, object]] = {1: {}}
"""For each `Recipe.schema_version`, the defaults that differ from those of version 1, which stand at the fields.

A default is changed by a new version here and never at its field: stored recipes and their ids stay what they are.
"""


class Recipe(Frozen):
    """One training schedule; its `id` names it in stored results.

    Its length is ``iterations`` (optimiser steps) or ``epochs`` (passes over the training images): one of the two. The
    seed is not part of it, so several seeds of one recipe share an id.
    """

    schema_version: int = Field(default=1, ge=1, description="whose defaults the fields have that are not written")

    iterations: Steps | None = Field(default=None, description="optimiser steps; or epochs, one of the two")
    epochs: Steps | None = Field(default=None, description="passes over the training images; or iterations")
    batch_size: int = Field(
        default=8, ge=2, le=65536, description="images per step; BatchNorm learns nothing from one image of one pixel"
    )
    accumulate: int = Field(
        default=1,
        ge=1,
        le=32768,
        description="equal parts in which a batch is learnt to save memory; BatchNorm's statistics are of one part",
    )

    optimizer: Literal["adam", "sgd", "adamw"] = Field(default="adam", description="rule by which weights are changed")
    learning_rate: float = Field(default=1e-3, gt=0, description="the highest one, which the schedule begins with")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="of SGD; Adam's and AdamW's first beta")
    weight_decay: float = Field(
        default=1e-4, ge=0, description="L2 term added to the gradient by sgd and adam; adamw shrinks the weights by it"
    )
    decay_norm: YesNo = Field(default=False, description="decay biases and normalisation weights too")
    clip_norm: Factor | None = Field(default=None, description="largest allowed norm of the whole gradient")
    schedule: Literal["poly", "cosine", "constant"] = Field(
        default="poly", description="curve by which the learning rate falls"
    )
    schedule_by: Literal["step", "epoch"] = Field(
        default="step", description="whether the rate changes after every step, or only when an epoch ends"
    )
    power: float = Field(default=0.9, ge=0, description="of the polynomial decay; 0 keeps the rate constant")
    warmup: int = Field(
        default=0,
        ge=0,
        le=100_000_000,
        description="steps over which the rate grows linearly from near 0; a tenth of a training with fewer steps",
    )
    ema: float | None = Field(
        default=None, gt=0, lt=1, description="decay of the moving average of the weights, which then is the result"
    )

    flip: YesNo = Field(default=True, description="mirror an image left to right, with probability 1/2")
    scale: tuple[Zoom, Zoom] = Field(default=(0.5, 2.0), description="range of the random zoom")
    crop: Annotated[tuple[Side, Side], HeightByWidth] | None = Field(
        default=None, description="(height, width) of training crops; default whole images"
    )
    rotate: float = Field(default=0.0, ge=0, le=180, description="largest random turn to either side, in degrees")
    interpolation: Literal["bilinear", "bicubic"] = Field(
        default="bilinear", description="of images that are zoomed, shifted or turned; labels take the nearest"
    )
    brightness: Share = Field(default=0.0, description="the colours are multiplied by a factor of 1 - x to 1 + x")
    contrast: Share = Field(default=0.0, description="the same, of the distance from the image's mean grey")
    saturation: Share = Field(default=0.0, description="the same, of the distance from the pixel's own grey")
    blur: Share = Field(default=0.0, description="probability of a Gaussian blur")

    loss: LossName = Field(default="cross_entropy", description="ohem learns from the hard pixels alone")
    ohem_threshold: Share = Field(
        default=0.7, description="a pixel is hard up to this probability of its true class; 0 leaves only ohem_share"
    )
    ohem_share: Share = Field(
        default=0.0625, description="share of the labelled pixels, the hardest ones, that are learnt from in any case"
    )
    class_weights: Literal["none", "enet", "median"] = Field(
        default="none", description="how rare classes weigh in the loss"
    )
    auxiliary: Literal["none", "encoder", "neck", "both"] = Field(
        default="none", description="where training-only heads sit"
    )
    auxiliary_weight: float | tuple[float, ...] = Field(
        default=0.4,
        description="of each auxiliary loss beside the main one; a list has one for each head: encoder, then finest on",
    )
    auxiliary_loss: LossName | tuple[LossName, ...] | None = Field(
        default=None, description="of each auxiliary head, in the same order; default: the main one's"
    )
    teacher: str | None = Field(
        default=None,
        description="trained network to learn from, too: a run's folder, a study's trial, or a point; default none",
    )
    teacher_weights: str | None = Field(default=None, description="the teacher's file of weights; default: its own")
    distill_weight: Factor = Field(default=1.0, description="of what the teacher teaches, beside the main loss")
    temperature: Factor = Field(default=1.0, description="by which the teacher's logits are divided, as are one's own")
    amp: Literal["none", "bf16", "fp16"] = Field(
        default="none", description="precision of the forward pass; fp16 needs CUDA"
    )

    pretrained: str | None = Field(
        default=None, description="initial weights of the encoder: imagenet, or a file; default untrained"
    )

    def canonical(self) -> str:
        """See `Frozen`; of a path only the name counts, as files may be moved."""
        names = {key: Path(path).name for key in PATHS if (path := getattr(self, key)) is not None and "/" in path}
        return self.model_copy(update=names).canonical() if names else super().canonical()

    @field_validator("pretrained")
    @classmethod
    def _file_or_word(cls, value: str | None) -> str | None:
        if value is not None and value != "imagenet" and not value.endswith((".pth", ".pt", ".safetensors")):
            raise ValueError(f"{value!r} is neither imagenet nor a file of weights: .pth, .pt, .safetensors")
        return value

    @model_validator(mode="after")
    def _filled(self) -> Self:
        """Give the fields that are not written the defaults of the schema version."""
        if self.schema_version not in DEFAULTS:
            known = ", ".join(map(str, DEFAULTS))
            raise ValueError(f"schema_version {self.schema_version} is not known (known: {known})")
        for name in DEFAULTS[self.schema_version].keys() - self.model_fields_set:
            self.__dict__[name] = DEFAULTS[self.schema_version][name]
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.iterations is None) == (self.epochs is None):
            raise ValueError("exactly one of iterations and epochs must be given")
        if self.scale[0] > self.scale[1]:
            raise ValueError(f"scale must be (low, high), got ({self.scale[0]}, {self.scale[1]})")
        if self.iterations is not None and self.warmup >= self.iterations:
            raise ValueError(f"warmup {self.warmup} must be less than iterations {self.iterations}")
        if self.teacher_weights is not None and self.teacher is None:
            raise ValueError("teacher_weights is only for a teacher")
        weights = self.auxiliary_weight
        if min(weights if isinstance(weights, tuple) else (weights,), default=0) < 0:
            raise ValueError(f"auxiliary_weight must not be negative, got {weights}")
        if not divides(self.batch_size, self.accumulate):
            raise ValueError(
                f"accumulate {self.accumulate} does not divide batch_size {self.batch_size} into equal parts of at "
                "least 2 images"
            )
        return self

    def total_steps(self, images: int) -> int:
        """Optimiser steps on a training set of ``images``; the last epoch's remainder is a full batch."""
        if self.epochs is None:
            assert self.iterations is not None, "validated"
            return self.iterations
        return self.steps_of(self.epochs, images)

    def warmup_in(self, total: int) -> int:
        """Return the steps of warm-up in a training of ``total`` steps, which are few where images or epochs are."""
        return self.warmup if self.warmup < total else total // 10

    def steps_of(self, epochs: int, images: int) -> int:
        """Optimiser steps of so many passes over ``images``, rounded up."""
        return math.ceil(epochs * images / self.batch_size)


def divides(batch_size: int, parts: int) -> bool:
    """Whether a batch can be cut into equal parts that BatchNorm can learn from, of two images at least."""
    return parts == 1 or (batch_size % parts == 0 and batch_size // parts >= 2)
