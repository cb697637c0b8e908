"""The number format that a network is shipped in, and its scores as the runtime computes it there."""

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING

from segsearch.frozen import Frozen
from segsearch.measure.machine import DeviceName, find_device
from segsearch.training.scores import Scores

if TYPE_CHECKING:
    from torch import Tensor, nn

    from segsearch.data.dataset import Dataset
    from segsearch.progress import Report


class Shipped(Frozen):
    """What runs a network where it is used, and in which precision; other than plain float32."""

    backend: str
    """A row of `segsearch.measure.backends.table.BACKENDS`."""
    precision: str
    """One that the backend has on the device."""
    device: DeviceName
    """Of this machine, where networks are scored."""

    def on_first(self) -> "Shipped":
        """Return it for a process that sees its own GPU only, which is ``cuda:0`` there."""
        return self.model_copy(update={"device": self.device.partition(":")[0]})

    def check(self) -> None:
        """See that this machine computes so. Raises as `segsearch.measure.backends.table.ready_backend`."""
        from segsearch.measure.backends.table import ready_backend

        ready_backend(self.backend, find_device(self.device), self.precision)

    def masks(self, network: "nn.Module", size_hw: tuple[int, int]) -> "Callable[[Tensor], Tensor]":
        """Return what makes masks, uint8 B, H, W, of images, uint8 B, 3, H, W, as the deployed network computes them.

        A backend that runs files is given one with weights as the precision wants them; it is gone again when it has
        been read. The network is not changed.

        Raises: as `segsearch.measure.backends.base.Backend.prepare`, and as `check`.
        """
        import torch

        from segsearch.data.normalise import MEAN, STD
        from segsearch.deployment.deploy import deploy
        from segsearch.measure.backends.table import ready_backend
        from segsearch.measure.device_lock import working

        where = find_device(self.device)
        runner = ready_backend(self.backend, where, self.precision)
        with working(where):
            deployed = deploy(copy.deepcopy(network).cpu(), size_hw, MEAN, STD).to(where)
            example = torch.zeros(1, 3, *size_hw, dtype=torch.uint8, device=where)
            prepared = runner.prepare(deployed, example, precision=self.precision)

        def masks(images: "Tensor") -> "Tensor":
            with working(where):
                return torch.cat([prepared.mask(image[None].contiguous()) for image in images])

        return masks

    def scores(
        self, network: "nn.Module", size_hw: tuple[int, int], dataset: "Dataset", report: "Report | None" = None
    ) -> Scores:
        """Score a network's masks. Raises as `masks` and `segsearch.training.evaluate.evaluate_masks`."""
        from segsearch.training.evaluate import evaluate_masks

        if report is not None:
            report("evaluate", 0, len(dataset))  # some runtimes take minutes to build a network
        return evaluate_masks(self.masks(network, size_hw), dataset, report=report)
