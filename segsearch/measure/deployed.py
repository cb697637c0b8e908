"""Latency of a network as it would be shipped: one image of bytes in, one mask of bytes out."""

from collections.abc import Sequence

import torch
from torch import nn

from segsearch.export.deploy import deploy
from segsearch.measure.conditions import PLAIN, Conditions
from segsearch.measure.device_lock import working
from segsearch.measure.latency import example_image as example_image
from segsearch.measure.latency import measure
from segsearch.measure.memory import memory_errors
from segsearch.measure.record import LatencyRecord
from segsearch.progress import Report, silent

_PROCESSOR = torch.device("cpu")
"""Where networks are deployed, whatever then runs them."""


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
