"""Recipe of a training: everything that determines the weights, except seed, data and network."""

import math
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from segsearch.errors import InputError
from segsearch.frozen import Frozen, YesNo

Side = Annotated[int, Field(ge=1, le=8192)]
Steps = Annotated[int, Field(ge=1, le=100_000_000)]
Factor = Annotated[float, Field(gt=0)]
Zoom = Annotated[float, Field(gt=0, le=64)]


class Recipe(Frozen):
    """One training schedule; its `id` names it in stored results.

    Its length is ``iterations`` (optimiser steps) or ``epochs`` (passes over the training images): one of the two. The
    seed is not part of it, so several seeds of one recipe share an id.
    """

    iterations: Steps | None = None
    epochs: Steps | None = None
    batch_size: int = Field(
        default=8, ge=2, le=65536, description="images per step; BatchNorm learns nothing from one image of one pixel"
    )

    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: float = Field(default=1e-3, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1, description="of SGD; Adam's first beta")
    weight_decay: float = Field(default=1e-4, ge=0, description="L2 term added to the gradient, in both optimisers")
    decay_norm: YesNo = Field(default=False, description="decay biases and normalisation weights too")
    clip_norm: Factor | None = Field(default=None, description="largest allowed norm of the whole gradient")
    power: float = Field(
        default=0.9, ge=0, description="of the polynomial decay, taken per step; 0 keeps the rate constant"
    )
    warmup: int = Field(
        default=0, ge=0, le=100_000_000, description="steps over which the rate grows linearly from near 0"
    )

    flip: YesNo = Field(default=True, description="mirror an image left to right, with probability 1/2")
    scale: tuple[Zoom, Zoom] = Field(default=(0.5, 2.0), description="range of the random zoom")
    crop: tuple[Side, Side] | None = Field(
        default=None, description="(height, width) of training crops; default whole images"
    )

    class_weights: Literal["none", "enet"] = Field(default="none", description="how rare classes weigh in the loss")
    auxiliary: Literal["none", "encoder", "neck", "both"] = Field(
        default="none", description="where training-only heads sit"
    )
    auxiliary_weight: float = Field(default=0.4, ge=0, description="of each auxiliary loss beside the main one")
    amp: Literal["none", "bf16", "fp16"] = Field(
        default="none", description="precision of the forward pass; fp16 needs CUDA"
    )

    pretrained: str | None = Field(
        default=None, description="initial weights of the encoder: imagenet, or a file; default untrained"
    )

    def canonical(self) -> str:
        """See `Frozen`; of a file of weights only the name counts, as files may be moved."""
        if self.pretrained is None or "/" not in self.pretrained:
            return super().canonical()
        return self.model_copy(update={"pretrained": Path(self.pretrained).name}).canonical()

    @field_validator("pretrained")
    @classmethod
    def _file_or_word(cls, value: str | None) -> str | None:
        if value is not None and value != "imagenet" and not value.endswith((".pth", ".pt", ".safetensors")):
            raise ValueError(f"{value!r} is neither imagenet nor a file of weights: .pth, .pt, .safetensors")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.iterations is None) == (self.epochs is None):
            raise ValueError("exactly one of iterations and epochs must be given")
        if self.scale[0] > self.scale[1]:
            raise ValueError(f"scale must be (low, high), got ({self.scale[0]}, {self.scale[1]})")
        if self.iterations is not None and self.warmup >= self.iterations:
            raise ValueError(f"warmup {self.warmup} must be less than iterations {self.iterations}")
        return self

    def total_steps(self, images: int) -> int:
        """Optimiser steps on a training set of ``images``; the last epoch's remainder is a full batch.

        Raises:
            InputError: the warm-up is as long as the training.
        """
        if self.epochs is None:
            assert self.iterations is not None, "validated"
            return self.iterations
        total = math.ceil(self.epochs * images / self.batch_size)
        if self.warmup >= total:
            raise InputError(
                "recipe.warmup", f"{self.warmup} steps, but {self.epochs} epochs are {total}", f"0 to {total - 1}"
            )
        return total
