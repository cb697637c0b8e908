"""A picture of what an artefact does."""

import numpy as np

from segsearch.export.images import Bytes
from segsearch.export.onnx import OnnxModel
from segsearch.export.predict import overlay

EXAMPLE = "example.png"


def example(model: OnnxModel, image: Bytes) -> Bytes:
    """Lay an image, uint8 (H, W, 3), beside what the file makes of it, uint8 (H, 2 W, 3)."""
    painted = overlay(image, model.predict(image), model.colours, 0.6)
    return np.concatenate([image, painted], axis=1)
