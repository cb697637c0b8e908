"""One network under a protocol: built with fresh weights, deployed, timed. The only place that calls the timer."""

import torch

from segsearch.data.normalise import MEAN, STD
from segsearch.leaderboard.protocol import MeasuringProtocol
from segsearch.leaderboard.store import Measured
from segsearch.measure.conditions import Unsteady
from segsearch.measure.cost import count
from segsearch.measure.deployed import measure_deployed
from segsearch.models.build import build
from segsearch.models.network import Network
from segsearch.spec.network import NetworkSpec


def fresh(spec: NetworkSpec, classes: int) -> Network:
    """Build a network whose weights are drawn, always the same ones."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return build(spec, classes)


def time_spec(spec: NetworkSpec, protocol: MeasuringProtocol, *, label: str, unsteady: Unsteady = "note") -> Measured:
    """Count and time one network as it would be deployed; weights do not change how long it takes.

    Raises: as `segsearch.measure.latency.measure`.
    """
    network = fresh(spec, protocol.classes)
    cost = count(network, protocol.size_hw)
    latency = measure_deployed(
        network,
        protocol.size_hw,
        protocol.conditions(unsteady),
        mean=MEAN,
        std=STD,
        label=label,
        spec_id=spec.id,
    )
    return Measured(spec_id=spec.id, params=cost.params, macs=cost.macs, latency=latency)
