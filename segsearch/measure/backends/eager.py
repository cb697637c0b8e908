"""Plain torch."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from segsearch.measure.backends.base import Prepared


class Eager:
    """Plain torch, module by module, in inference mode; as trained code runs when nothing is exported."""

    name: ClassVar[str] = "eager"
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")
    precisions: ClassVar[tuple[str, ...]] = ("float32",)

    def version(self) -> str:
        """Version of torch, with its build."""
        return str(torch.__version__)

    def prepare(self, network: nn.Module, example: Tensor, *, precision: str | None = None) -> Prepared:
        """See `Backend`."""

        def run() -> object:
            with torch.inference_mode():
                return network(example)

        @torch.inference_mode()
        def mask(image: Tensor) -> Tensor:
            out: Tensor = network(image.to(example.device))
            return out.cpu()

        return Prepared(run=run, mask=mask)
