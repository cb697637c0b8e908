"""A network that exports in a moment, and what asks for it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segsearch.deployment.deploy import Deployed, deploy
from segsearch.measure.timer import TimerSettings
from segsearch.remote.graph import digest
from segsearch.remote.protocol import Job

SIZE = (32, 48)
SPEC = "0123456789ab"
QUICK = TimerSettings(
    min_samples=3,
    min_seconds=0.01,
    warmup_block_seconds=0.01,
    max_warmup_seconds=0.1,
    blocks=1,
    reference_tolerance=1e9,
    retakes=0,
)
ENDLESS = QUICK.model_copy(update={"min_seconds": 3600.0})


class Tiny(nn.Module):
    classes = 4

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        return F.interpolate(self.conv(image), size=image.shape[-2:], mode="bilinear")


def deployed(size_hw: tuple[int, int] = SIZE) -> Deployed:
    torch.manual_seed(0)
    return deploy(Tiny(), size_hw, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))


def job(graph: bytes, **changes: object) -> Job:
    """What is asked for of a graph of `deployed`."""
    plain = {"spec_id": SPEC, "sha256": digest(graph), "size_hw": list(SIZE), "backend": "onnxruntime", "threads": 1}
    timer = QUICK.model_dump(mode="json")
    return Job.parse(plain | {"precision": "float32", "timer": timer} | changes, "job")
