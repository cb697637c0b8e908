"""Images per second when they need not come one by one: the best of growing batches."""

import dataclasses

from torch import Tensor, nn

from segsearch.deployment.deploy import Deployed
from segsearch.frozen import Frozen
from segsearch.measure.backends.table import find_backend
from segsearch.measure.conditions import PLAIN, Conditions
from segsearch.measure.latency import example_image, measure
from segsearch.measure.memory import FullDeviceError
from segsearch.progress import Report, silent

LARGEST_BATCH = 64
LEAST_GAIN = 1.02
"""A batch that is not better than the best of the smaller ones by this factor ends the growth."""


class Throughput(Frozen):
    """Best throughput; never to be called FPS, which is one image after another."""

    images_per_second: float
    batch: int
    """Where it was reached."""
    by_batch: dict[str, float]
    """Images per second of every batch that was tried; the last may be the first that brought nothing."""


class Batched(nn.Module):
    """A deployed network that takes any number of images at once."""

    def __init__(self, deployed: Deployed) -> None:
        super().__init__()
        self.deployed = deployed

    def forward(self, image: Tensor) -> Tensor:
        """Segment images, uint8 [B, 3, H, W], into class indices, uint8 [B, H, W]."""
        return self.deployed.segment(image)


def measure_throughput(deployed: Deployed, under: Conditions = PLAIN, *, report: Report = silent) -> Throughput:
    """Double the batch until memory or the gain runs out; never from an encoded image.

    Arguments and errors: as `segsearch.measure.latency.measure`.
    """
    under = dataclasses.replace(under, host=False)
    shipped = deployed.fused() if find_backend(under.backend).takes_file else deployed
    network, image, found, batch = Batched(shipped).eval(), example_image(deployed.size_hw), dict[int, float](), 1
    while batch <= LARGEST_BATCH:
        best = max(found.values(), default=0.0)
        try:
            images = image.repeat(batch, 1, 1, 1)
            record = measure(network, images, under, label=f"a batch of {batch}", report=report)
        except FullDeviceError:
            if not found:
                raise
            break
        found[batch] = record.fps
        if record.fps < LEAST_GAIN * best:
            break
        batch *= 2
    best_batch = max(found, key=found.__getitem__)
    by_batch = {str(size): speed for size, speed in found.items()}
    return Throughput(images_per_second=found[best_batch], batch=best_batch, by_batch=by_batch)
