"""Whether a network on a GPU waits for its kernels to be launched rather than for them to run."""

from segsearch.errors import InputError
from segsearch.frozen import Frozen
from segsearch.measure.record import LatencyRecord

LAUNCH_BOUND = 1.3
"""From this ratio of eager to graph latency on, a network is launch-bound."""


class Launching(Frozen):
    """Latency launched kernel by kernel over latency replayed as one CUDA graph."""

    ratio: float

    @property
    def bound(self) -> bool:
        """Whether launching, not computing, decides how long the network takes in plain torch."""
        return self.ratio > LAUNCH_BOUND


def launching(eager: LatencyRecord, graph: LatencyRecord) -> Launching:
    """Compare two records of one network that differ in their backend only.

    Raises:
        InputError: they differ in something else.
    """
    for name in ("spec_id", "size_hw", "batch", "precision", "layout", "device", "device_kind"):
        one, other = getattr(eager, name), getattr(graph, name)
        if one != other:
            raise InputError(f"record.{name}", f"{one} and {other} do not compare", "two records of one network")
    return Launching(ratio=eager.median_ms / graph.median_ms)
