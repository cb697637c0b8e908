"""One Ray for all tests of a module that run on one: its start takes seconds."""

import time
from collections.abc import Iterator

import pytest

from segsearch.engine.executors.ray_cluster import Cluster
from segsearch.study.machines import Resources


@pytest.fixture(scope="module")
def a_ray() -> Iterator[Cluster]:
    """A local Ray of two processors, as a study starts it; what joins it leaves it running."""
    import signal

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    cluster = Cluster(None, Resources().on("cpu"), cpus=2)
    assert handlers == {number: signal.getsignal(number) for number in handlers}, "Ray took the signals"
    yield cluster
    cluster.close()
    time.sleep(0.1)
