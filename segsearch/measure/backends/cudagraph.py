"""Plain torch, recorded once as a CUDA graph and replayed: no Python and one launch per inference."""

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from segsearch.errors import UnfitError, one_line
from segsearch.measure.backends.base import Prepared
from segsearch.measure.backends.torch_network import TorchBackend, adapt

WARM_UP = 3
"""Calls before recording: libraries choose their kernels and take their workspaces in the first ones."""


class CudaGraph(TorchBackend):
    """Every kernel of plain torch, recorded over a static image and replayed.

    ``run`` gives the one output that every replay writes.
    """

    name: ClassVar[str] = "cudagraph"
    devices: ClassVar[tuple[str, ...]] = ("cuda",)
    cuda_precisions: ClassVar[tuple[str, ...]] = TorchBackend.precisions

    def prepare(self, network: nn.Module, example: Tensor, *, precision: str | None = None) -> Prepared:
        """Warm up, record, and give the replay.

        Raises:
            UnfitError: the network cannot be recorded, say because it waits for a number from the GPU.
        """
        ready = adapt(self, network, example, precision, self.channels_last)
        example, image = ready.example, ready.example.clone()
        call = torch.inference_mode()(ready.guarded(ready.network))
        graph, output = record(lambda: call(image), example.device)
        return over_static_image(graph.replay, image, output, example, ready.facts)


def over_static_image(
    replay: Callable[[], object], image: Tensor, output: Tensor, example: Tensor, facts: Mapping[str, str]
) -> Prepared:
    """Put together what works from one place to another: ``replay`` queues the work from ``image`` to ``output``.

    ``image`` holds ``example`` whenever nobody asks for the mask of another one.
    """

    def run() -> Tensor:
        replay()
        return output

    @torch.inference_mode()
    def mask(given: Tensor) -> Tensor:
        assert given.shape == image.shape  # copying would repeat a smaller one
        image.copy_(given)
        result = run().cpu()
        image.copy_(example)
        return result

    return Prepared(run=run, mask=mask, facts=facts)


def record(call: Callable[[], Tensor], device: torch.device) -> tuple[torch.cuda.CUDAGraph, Tensor]:
    """Record ``call`` on ``device`` and return the graph and the output that each replay fills.

    The recording belongs to the device that is current, hence the guard. Trying kernels out is for the warm-up only,
    and left to torch's switch there: inside a recording it breaks it, and what was found is used all the same.

    Raises:
        UnfitError: it does something that no graph can hold.
    """
    cudnn = torch.backends.cudnn
    with torch.cuda.device(device):
        stream = _warm_up(call)
        graph, tries_kernels = torch.cuda.CUDAGraph(), cudnn.benchmark
        cudnn.benchmark = False
        try:
            with torch.cuda.graph(graph, stream=stream):
                output = call()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise UnfitError("network", f"cannot be recorded as a CUDA graph: {one_line(error)}") from error
        finally:
            cudnn.benchmark = tries_kernels
    return graph, output


def _warm_up(call: Callable[[], object]) -> torch.cuda.Stream:
    """Call on a stream of its own, as recording asks, wait, and return it: workspaces belong to a stream."""
    here, side = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(here)
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            call()
    here.wait_stream(side)
    side.synchronize()
    return side
