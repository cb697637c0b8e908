"""torch.compile with its kernels recorded as a CUDA graph."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from segsearch.errors import UnfitError
from segsearch.measure.backends.base import Prepared
from segsearch.measure.backends.compiled import compiled
from segsearch.measure.backends.torch_network import TorchBackend, adapt

_CALLS = 3
"""One compiles, one records, one replays."""


class CompileGraph(TorchBackend):
    """torch.compile in its mode ``reduce-overhead``: its kernels, replayed as one CUDA graph.

    What ``run`` gives is overwritten by the next call.
    """

    name: ClassVar[str] = "compile-graph"
    devices: ClassVar[tuple[str, ...]] = ("cuda",)
    cuda_precisions: ClassVar[tuple[str, ...]] = TorchBackend.precisions

    def prepare(self, network: nn.Module, example: Tensor, *, precision: str | None = None) -> Prepared:
        """Compile and record now.

        Raises: as `segsearch.measure.backends.compiled.Compile`, and UnfitError where torch gives up recording, which
            it does without more than a warning.
        """
        ready = adapt(self, network, example, precision, self.channels_last)
        before = _given_up()
        call = compiled(self, ready, mode="reduce-overhead", calls=_CALLS)
        if _given_up() > before:
            raise UnfitError("network", "torch.compile could not record it as a CUDA graph")

        def step(image: Tensor) -> Tensor:
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]  # the last output is done with
            return call(image)

        return ready.prepared(step, {"mode": "reduce-overhead"})


def _given_up() -> int:
    """Count the graphs that torch.compile has not recorded since the program started."""
    from torch._dynamo.utils import counters

    return int(counters["inductor"]["cudagraph_skips"])
