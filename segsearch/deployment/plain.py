"""What is shipped where nothing is done to a network: the yardstick for deployed files."""

from pathlib import Path

import torch
from torch import Tensor, nn

from segsearch.deployment.onnx import trace_module


class PlainNetwork(nn.Module):
    """A trained network and the argmax: normalised image [1, 3, H, W] to class indices, int64 [1, H, W]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Class indices of an image that was normalised outside."""
        logits: Tensor = self.network(image)
        return logits.argmax(1)


def write_plain(network: nn.Module, size_hw: tuple[int, int], path: Path) -> None:
    """Write what ``torch.onnx.export`` makes of a network in eval mode, for images of one size.

    Raises:
        ProofError: torch cannot export it.
    """
    model = trace_module(PlainNetwork(network).eval(), torch.zeros(1, 3, *size_hw))
    path.write_bytes(model.SerializeToString(deterministic=True))
