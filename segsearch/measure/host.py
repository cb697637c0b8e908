"""From an encoded image in memory to a mask in memory: decode, copy to the device, infer, copy back."""

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import Field

from segsearch.frozen import Frozen
from segsearch.measure.timer import Stopwatch, TimerSettings, quantile, sample_alone

if TYPE_CHECKING:
    from torch import Tensor

QUALITY = 90
"""Of the JPEG that is decoded."""


class HostLatency(Frozen):
    """Latency as a camera sees it; never to be put in one column with that of the device."""

    median_ms: float = Field(gt=0)
    p10_ms: float
    p90_ms: float
    decode_ms: float
    """Median of decoding alone, bytes of the file to bytes of the pixels."""
    samples: int
    image: str = f"JPEG, quality {QUALITY}"


def measure_host(mask: "Callable[[Tensor], Tensor]", size_hw: tuple[int, int], settings: TimerSettings) -> HostLatency:
    """Time ``mask``, from uint8 [1, 3, H, W] to uint8 [1, H, W] on the host, behind the decoding of a JPEG."""
    encoded, watch = example_jpeg(size_hw), Stopwatch()
    whole = sample_alone(lambda: mask(decode(encoded)).numpy(), settings=settings, stopwatch=watch)
    short = settings.model_copy(update={"min_seconds": 0.0})
    alone = sample_alone(lambda: decode(encoded), settings=short, stopwatch=watch)
    return HostLatency(
        median_ms=whole.median_ms,
        p10_ms=quantile(whole.samples_ms, 0.1),
        p90_ms=quantile(whole.samples_ms, 0.9),
        decode_ms=alone.median_ms,
        samples=len(whole.samples_ms),
    )


def decode(encoded: bytes) -> "Tensor":
    """Read an encoded RGB image into uint8 [1, 3, H, W]."""
    import numpy as np
    import torch
    from PIL import Image

    with Image.open(io.BytesIO(encoded)) as image:
        pixels = np.array(image.convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0).contiguous()


def example_jpeg(size_hw: tuple[int, int]) -> bytes:
    """Encode soft blotches with some grain, always the same: a photograph is neither even nor noise."""
    import torch
    import torch.nn.functional as F
    from PIL import Image

    generator = torch.Generator().manual_seed(0)
    height, width = size_hw
    coarse = torch.rand(1, 3, max(2, height // 32), max(2, width // 32), generator=generator)
    soft = F.interpolate(coarse, size=size_hw, mode="bilinear", align_corners=False)[0]
    pixels = (soft * 235 + torch.rand(3, height, width, generator=generator) * 20).to(torch.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
