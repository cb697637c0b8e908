"""torch.compile: kernels written for this network, this size and this number of threads."""

import os
import shutil
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from segsearch.errors import DeviceError, UnfitError, one_line
from segsearch.measure.backends.base import Backend, Prepared
from segsearch.measure.backends.torch_network import Call, TorchBackend, TorchNetwork, adapt
from segsearch.quiet import quiet


def need_compiler(backend: str) -> None:
    """Check that there is a C++ compiler: the one of the variable CXX, else g++, as torch itself looks for it.

    Raises:
        DeviceError: there is none.
    """
    name = os.environ.get("CXX", "g++")
    if shutil.which(name.split()[0] if name.strip() else "g++") is None:
        raise DeviceError(f"backend: {backend} needs a C++ compiler, and {name!r} is not here (available: set CXX)")


_MOST_NETWORKS = 100_000
"""All networks share one ``forward``, and torch gives up on a function after eight versions of it, with a warning."""


class Compile(TorchBackend):
    """torch.compile at one fixed size, its kernels launched one by one. Compiling takes up to minutes."""

    name: ClassVar[str] = "compile"
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")
    cuda_precisions: ClassVar[tuple[str, ...]] = ("tf32",)

    def prepare(self, network: nn.Module, example: Tensor, *, precision: str | None = None) -> Prepared:
        """Compile now.

        Raises:
            DeviceError: there is no C++ compiler.
            UnfitError: the network cannot be compiled as one whole.
        """
        ready = adapt(self, network, example, precision, self.channels_last)
        return ready.prepared(compiled(self, ready), {"mode": "default"})


def compiled(backend: Backend, ready: TorchNetwork, mode: str | None = None, calls: int = 1) -> Call:
    """Compile as one graph, and call so often that nothing is left to do.

    Without gradients, but not in inference mode, outside of which compiled code is at its quickest.

    Raises: as `Compile.prepare`.
    """
    need_compiler(backend.name)
    optimised: Any = torch.compile(ready.network, dynamic=False, fullgraph=True, mode=mode)
    call: Call = torch.no_grad()(ready.guarded(optimised))
    settings = torch._dynamo.config.patch(recompile_limit=_MOST_NETWORKS, accumulated_recompile_limit=_MOST_NETWORKS)
    try:
        with quiet(), settings:
            for _ in range(calls):
                call(ready.example)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:  # the base of what torch.compile raises
        raise UnfitError("network", f"cannot be compiled: {one_line(error)}") from error
    return call
