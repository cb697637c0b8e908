"""AOTInductor: torch.export, compiled ahead of time into a package that runs without Python."""

import tempfile
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from segsearch.errors import UnfitError, one_line
from segsearch.measure.backends.base import Prepared
from segsearch.measure.backends.compiled import need_compiler
from segsearch.measure.backends.torch_network import TorchBackend, TorchNetwork, adapt
from segsearch.quiet import quiet


class AotInductor(TorchBackend):
    """torch.export, then a compiled package, loaded again from its file. Compiling takes up to minutes."""

    name: ClassVar[str] = "aotinductor"
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")
    cuda_precisions: ClassVar[tuple[str, ...]] = ("tf32",)

    def prepare(self, network: nn.Module, example: Tensor, *, precision: str | None = None) -> Prepared:
        """Export, compile and load now.

        Raises:
            DeviceError: there is no C++ compiler.
            UnfitError: the network cannot be exported or compiled.
        """
        need_compiler(self.name)
        ready = adapt(self, network, example, precision, self.channels_last)
        package = _package(ready)

        def call(image: Tensor) -> Tensor:
            output: Tensor = package(image)
            return output

        return ready.prepared(torch.no_grad()(ready.guarded(call)))


def _package(ready: TorchNetwork) -> Any:
    """Compile into a temporary file and load it; what was loaded does not need the file any longer."""
    try:
        with tempfile.TemporaryDirectory() as folder, quiet():
            path = Path(folder) / "network.pt2"
            ready.guarded(lambda image: _compile(ready.network, image, path))(ready.example)
            place = ready.example.device.index
            return torch._inductor.aoti_load_package(str(path), device_index=-1 if place is None else place)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise UnfitError("network", f"cannot be compiled ahead of time: {one_line(error)}") from error


def _compile(network: nn.Module, image: Tensor, path: Path) -> Tensor:
    with torch.no_grad():
        program = torch.export.export(network, (image,))
        torch._inductor.aoti_compile_and_package(program, package_path=str(path))
    return image
