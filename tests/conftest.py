"""One torch thread for every test: two workers share two cores, and one thread makes sums repeat."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

# workers would wait for one another's timings: the locks of devices lie in the folder for temporary files
os.environ["TMPDIR"] = tempfile.tempdir = tempfile.mkdtemp(prefix="segsearch-tests-")

import pytest
import torch
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("tests.golden")
torch.set_num_threads(1)
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start jobs in the background with SIGINT ignored
settings.register_profile("house", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


def pytest_unconfigure() -> None:
    shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    torch.manual_seed(0)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, "this test left another handler of Ctrl-C"


@pytest.fixture
def room_for_two_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device on which a network learns two images at a time, and no more."""
    from segsearch.models.network import Network

    supervise = Network.supervise

    def small_device(network: Network, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if len(image) > 2:
            raise torch.OutOfMemoryError("no room")
        return supervise(network, image)

    monkeypatch.setattr(Network, "supervise", small_device)
