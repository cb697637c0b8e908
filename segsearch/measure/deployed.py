"""Latency of a network as it would be shipped: one image of bytes in, one mask of bytes out."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from segsearch.export.deploy import deploy
from segsearch.measure.record import LatencyRecord, measure
from segsearch.measure.timer import TimerSettings


def example_image(size_hw: tuple[int, int]) -> Tensor:
    """Noise, uint8 (1, 3, H, W), always the same.

    An even image would flatter: a warp then reads neighbouring places only, and hardware saves power on equal numbers.
    """
    return torch.randint(0, 256, (1, 3, *size_hw), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def measure_deployed(
    network: nn.Module,
    size_hw: tuple[int, int],
    *,
    mean: Sequence[float],
    std: Sequence[float],
    device: str = "cpu",
    backend: str = "eager",
    threads: int | None = None,
    settings: TimerSettings | None = None,
    label: str = "",
) -> LatencyRecord:
    """Deploy a copy of ``network`` (see `segsearch.export.deploy.deploy`) at ``size_hw`` and measure it at batch 1.

    Raises: as `segsearch.measure.record.measure`.
    """
    deployed, example = deploy(network, size_hw, mean, std), example_image(size_hw)
    return measure(deployed, example, device=device, backend=backend, threads=threads, settings=settings, label=label)
