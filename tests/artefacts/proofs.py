"""Points of the space with weights that say something, through every form of export."""

import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

from segsearch.artefacts.formats import Format
from segsearch.artefacts.fresh import balance
from segsearch.artefacts.make import Label, make_artefacts
from segsearch.data.normalise import to_tensor
from segsearch.data.palette import distinct
from segsearch.data.streets.dataset import Streets
from segsearch.export.artefact import Artefact
from segsearch.models.build import build
from segsearch.models.network import Network
from segsearch.space.load import load_space
from segsearch.space.lower import lower
from segsearch.space.nodes import Point
from segsearch.space.points import named_points
from segsearch.space.walk import sample

CLASSES = 7


def drawn(seed: int) -> Point:
    return sample(load_space("unified"), random.Random(seed))


def named(name: str) -> Point:
    return named_points()[name].choices


def lively(network: Network, image: np.ndarray, seed: int = 0) -> Network:
    """Give weights that say something: fresh ones name one class everywhere, or tie, and a proof on them is empty.

    Statistics of BatchNorm are far from neutral, and the classifier is balanced on ``image``, uint8 [H, W, 3].
    """
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.5, generator=generator)
            module.running_var.uniform_(0.3, 3, generator=generator)
            module.weight.data.uniform_(0.5, 2, generator=generator)
            module.bias.data.normal_(0, 0.5, generator=generator)
        if isinstance(module, nn.Conv2d):
            module.weight.data.normal_(0, module.weight[0].numel() ** -0.5, generator=generator)
    balance(network.eval(), to_tensor(image[None].copy()))
    return network


@cache
def streets(count: int, size_hw: tuple[int, int]) -> tuple[np.ndarray, ...]:
    scenes = Streets(count=count, seed=5, split="proof", size_hw=size_hw)
    return tuple(scenes[index][0] for index in range(count))


def proven(
    point: Point, size_hw: tuple[int, int], folder: Path, formats: Sequence[Format] = ("onnx", "openvino")
) -> dict[str, Artefact]:
    """Export in these forms, proven on two street scenes; raises ProofError where one does something else."""
    images = streets(2, size_hw)
    network = lively(build(lower(point), CLASSES), images[0])
    label = Label(classes=[f"class {k}" for k in range(CLASSES)], colours=distinct(CLASSES), notes={})
    _, made = make_artefacts(network, size_hw, folder, label=label, images=images, formats=formats, threads=1)
    return {artefact.format: artefact for artefact in made}
