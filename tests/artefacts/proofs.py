"""Points of the space through every form of export."""

import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from segsearch.artefacts.formats import Format
from segsearch.artefacts.fresh import fresh
from segsearch.artefacts.make import Label, make_artefacts
from segsearch.data.palette import distinct
from segsearch.data.streets.dataset import Streets
from segsearch.deployment.artefact import Artefact
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


@cache
def streets(count: int, size_hw: tuple[int, int]) -> tuple[np.ndarray, ...]:
    scenes = Streets(count=count, seed=5, split="proof", size_hw=size_hw)
    return tuple(scenes[index][0] for index in range(count))


def proven(
    point: Point, size_hw: tuple[int, int], folder: Path, formats: Sequence[Format] = ("onnx", "openvino")
) -> dict[str, Artefact]:
    """Export in these forms, proven on two street scenes; raises ProofError where one does something else."""
    images = streets(2, size_hw)
    network = fresh(lower(point), CLASSES, images)
    label = Label(classes=[f"class {k}" for k in range(CLASSES)], colours=distinct(CLASSES), notes={})
    _, made = make_artefacts(network, size_hw, folder, label=label, images=images, formats=formats, threads=1)
    return {artefact.format: artefact for artefact in made}
