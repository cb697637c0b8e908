"""What can be timed: a network of the space, or an exported file; and how either is timed in this process."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from segsearch.count.cost import count
from segsearch.data.normalise import MEAN, STD
from segsearch.deployment.deploy import deploy
from segsearch.deployment.plain import PlainNetwork
from segsearch.measure.backends.onnx_file import written
from segsearch.measure.conditions import Conditions
from segsearch.measure.device_lock import working
from segsearch.measure.latency import example_image, measure, measure_file
from segsearch.measure.memory import memory_errors
from segsearch.measure.record import LatencyRecord
from segsearch.models.network import Network, build
from segsearch.progress import Report
from segsearch.spec.network import NetworkSpec

_PROCESSOR = torch.device("cpu")
"""Where networks are deployed, whatever then runs them."""


@dataclass(frozen=True, kw_only=True)
class NetworkSubject:
    """A network of the space, timed as it would be deployed: BatchNorm folded, one image of bytes in, class mask out.

    Attributes:
        spec: what it is built from.
        classes: K.
        size_hw: height and width of the image in pixels.
        label: a name to find the record by.
        network: built from ``spec``, where its weights are to be used; None builds it with initial weights of seed 0.
    """

    spec: NetworkSpec
    classes: int
    size_hw: tuple[int, int]
    label: str = ""
    network: Network | None = None

    def built(self) -> Network:
        """Return the network, built anew where none is given."""
        return self.network or fresh_network(self.spec, self.classes)

    def here(self, under: Conditions, report: Report) -> LatencyRecord:
        """Time it in this process."""
        network = self.built()
        with working(_PROCESSOR), memory_errors(_PROCESSOR):
            deployed, image = deploy(network, self.size_hw, MEAN, STD), example_image(self.size_hw)
        record = measure(deployed, image, under, label=self.label, spec_id=self.spec.id, report=report)
        cost = count(network, self.size_hw)
        return record.model_copy(update={"params": cost.params, "macs": cost.macs})


@dataclass(frozen=True, kw_only=True)
class FileSubject:
    """An ONNX file that takes one image of bytes and gives a class mask.

    Attributes:
        path: the file.
        label: a name to find the record by.
        spec_id: of the spec that it was exported from.
        params: learnable numbers of the network, where known.
        macs: multiply-adds of the network, where known, to refuse an impossible latency.
    """

    path: Path
    label: str = ""
    spec_id: str = ""
    params: int | None = None
    macs: int | None = None

    def here(self, under: Conditions, report: Report) -> LatencyRecord:
        """Time it in this process."""
        record = measure_file(self.path, under, macs=self.macs, label=self.label, spec_id=self.spec_id, report=report)
        return record.model_copy(update={"params": self.params, "macs": self.macs})


Subject = NetworkSubject | FileSubject


def fresh_network(spec: NetworkSpec, classes: int) -> Network:
    """Build a network with initial weights of seed 0; torch's own random state stays as it was."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return build(spec, classes)


@contextlib.contextmanager
def exported(subject: NetworkSubject, holds: str, *, plain: bool = False) -> Iterator[FileSubject]:
    """Export a network to an ONNX file with weights of the format ``holds`` that lives as long as the block.

    It is deployed first; ``plain`` exports it as it was trained, for normalised images (`PlainNetwork`).

    Raises: as `segsearch.measure.backends.onnx_file.written`.
    """
    network = subject.built()
    cost = count(network, subject.size_hw)
    with contextlib.ExitStack() as stack:
        with working(_PROCESSOR):
            image = example_image(subject.size_hw)
            if plain:
                path = stack.enter_context(written(PlainNetwork(network).eval(), image.float(), holds))
            else:
                path = stack.enter_context(written(deploy(network, subject.size_hw, MEAN, STD), image, holds))
        yield FileSubject(path=path, label=subject.label, spec_id=subject.spec.id, params=cost.params, macs=cost.macs)
