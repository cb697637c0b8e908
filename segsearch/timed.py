"""A described point, timed as it would be deployed: here, or on another machine."""

from segsearch.data.normalise import MEAN, STD
from segsearch.describe import Description
from segsearch.export.deploy import deploy
from segsearch.measure.conditions import Conditions
from segsearch.measure.deployed import measure_deployed
from segsearch.measure.record import LatencyRecord
from segsearch.measure.throughput import Throughput, measure_throughput
from segsearch.progress import Report, silent
from segsearch.remote.client import Worker
from segsearch.remote.measure import measure_remote


def latency_of(
    shown: Description, under: Conditions, *, report: Report = silent, worker: Worker | None = None
) -> LatencyRecord:
    """Measure a description's network as it would be deployed: folded, one image of bytes in, class mask out.

    Here, or with a ``worker`` on its machine, as an exported graph. Arguments and errors: as
    `segsearch.measure.latency.measure` and `segsearch.remote.measure.measure_remote`.
    """
    if worker is not None:
        return measure_remote(
            deploy(shown.network, shown.size_hw, MEAN, STD),
            worker,
            under,
            spec_id=shown.spec.id,
            macs=shown.cost.macs,
            label=shown.name,
            listen=lambda stage: report(stage, 0, 1),
        )
    return measure_deployed(
        shown.network,
        shown.size_hw,
        under,
        mean=MEAN,
        std=STD,
        label=shown.name,
        spec_id=shown.spec.id,
        report=report,
    )


def throughput_of(shown: Description, under: Conditions, *, report: Report = silent) -> Throughput:
    """Measure images per second at the best batch. Arguments and errors: as `latency_of`."""
    return measure_throughput(deploy(shown.network, shown.size_hw, MEAN, STD), under, report=report)
