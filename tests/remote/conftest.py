"""One worker and one exported graph for many tests."""

from collections.abc import Iterator

import pytest

from segsearch.remote.graph import graph_bytes

from .networks import SPEC, deployed
from .processes import Running, running


@pytest.fixture(scope="session")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("worker")) as there:
        yield there


@pytest.fixture(scope="session")
def graph() -> bytes:
    return graph_bytes(deployed(), SPEC)
