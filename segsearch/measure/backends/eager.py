"""Plain torch."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from segsearch.measure.backends.base import Prepared
from segsearch.measure.backends.torch_network import adapt


class Eager:
    """Plain torch, module by module, in inference mode; as trained code runs when nothing is exported.

    ``channels_last`` says how the weights lie; None: channels last in 16 bits, else as they are.
    """

    name: ClassVar[str] = "eager"
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")
    precisions: ClassVar[tuple[str, ...]] = ("float32", "tf32", "float16", "bfloat16")
    cuda_precisions: ClassVar[tuple[str, ...]] = ("tf32",)
    takes_file: ClassVar[bool] = False

    def __init__(self, channels_last: bool | None = None) -> None:
        self.channels_last = channels_last

    def version(self) -> str:
        """Version of torch, with its build."""
        return str(torch.__version__)

    def prepare(self, network: nn.Module, example: Tensor, *, precision: str | None = None) -> Prepared:
        """See `Backend`."""
        ready = adapt(self, network, example, precision, self.channels_last)
        return ready.prepared(torch.inference_mode()(ready.guarded(ready.network)))
