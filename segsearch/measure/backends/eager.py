"""Plain torch."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from segsearch.measure.backends.base import Prepared
from segsearch.measure.backends.torch_network import TorchBackend, adapt


class Eager(TorchBackend):
    """Plain torch, module by module, in inference mode; as trained code runs when nothing is exported."""

    name: ClassVar[str] = "eager"
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")
    cuda_precisions: ClassVar[tuple[str, ...]] = ("tf32",)

    def prepare(self, network: nn.Module, example: Tensor, *, precision: str | None = None) -> Prepared:
        """See `Backend`."""
        ready = adapt(self, network, example, precision, self.channels_last)
        return ready.prepared(torch.inference_mode()(ready.guarded(ready.network)))
