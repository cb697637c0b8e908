"""Latency of a network as it would be shipped: one image of bytes in, one mask of bytes out."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from segsearch.export.deploy import deploy
from segsearch.measure.conditions import PLAIN, Conditions
from segsearch.measure.device_lock import working
from segsearch.measure.latency import measure
from segsearch.measure.memory import memory_errors
from segsearch.measure.record import LatencyRecord
from segsearch.progress import Report, silent

_PROCESSOR = torch.device("cpu")
"""Where networks are deployed, whatever then runs them."""


def example_image(size_hw: tuple[int, int]) -> Tensor:
    """Noise, uint8 (1, 3, H, W), always the same.

    An even image would flatter: a warp then reads neighbouring places only, and hardware saves power on equal numbers.
    """
    return torch.randint(0, 256, (1, 3, *size_hw), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def measure_deployed(
    network: nn.Module,
    size_hw: tuple[int, int],
    under: Conditions = PLAIN,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    label: str = "",
    spec_id: str = "",
    report: Report = silent,
) -> LatencyRecord:
    """Deploy a copy of ``network`` (see `segsearch.export.deploy.deploy`) at ``size_hw`` and measure it at batch 1.

    Arguments and errors: as `segsearch.measure.latency.measure`.
    """
    with working(_PROCESSOR), memory_errors(_PROCESSOR):
        deployed, image = deploy(network, size_hw, mean, std), example_image(size_hw)
    return measure(deployed, image, under, label=label, spec_id=spec_id, report=report)
