from types import SimpleNamespace

import pytest
import torch

from segsearch.data.normalise import MEAN, STD
from segsearch.deployment.deploy import deploy
from segsearch.measure import throughput
from segsearch.measure.conditions import Conditions
from segsearch.measure.memory import FullDeviceError
from segsearch.measure.throughput import Batched, measure_throughput
from segsearch.measure.timer import TimerSettings
from segsearch.models.network import build
from segsearch.space.points import named_point

SIZE = (64, 96)
TIMER = TimerSettings(min_samples=2, min_seconds=0, warmup_block_seconds=0, max_warmup_seconds=0.1, blocks=1, retakes=0)


def deployed(point="sgcpnet1"):
    torch.manual_seed(0)
    return deploy(build(named_point(point).spec), SIZE, MEAN, STD)


@pytest.mark.parametrize("point", ["sgcpnet1", "fpenet", "dfanet_a", "eseg_s_p5"])
def test_a_batch_gives_what_its_images_give(point):
    network = deployed(point)
    images = torch.randint(0, 256, (3, 3, *SIZE), dtype=torch.uint8)
    with torch.inference_mode():
        alone = torch.cat([network(image[None]) for image in images])
        together = Batched(network)(images)
    assert together.shape == (3, *SIZE) and together.dtype == torch.uint8
    assert (together == alone).float().mean() > 0.99


def played(monkeypatch, speeds):
    """A device whose throughput at each batch is known; None is a batch that does not fit."""

    def measure(network, example, *rest, **others):
        speed = speeds[example.shape[0]]
        if speed is None:
            raise FullDeviceError("device: too little memory")
        return SimpleNamespace(fps=speed)

    monkeypatch.setattr(throughput, "measure", measure)
    return measure_throughput(deployed())


def test_the_batch_grows_until_it_brings_nothing(monkeypatch):
    found = played(monkeypatch, {1: 100.0, 2: 150.0, 4: 151.0})
    assert (found.batch, found.images_per_second) == (4, 151.0)
    assert found.by_batch == {"1": 100.0, "2": 150.0, "4": 151.0}


def test_the_batch_grows_until_memory_is_full(monkeypatch):
    assert played(monkeypatch, {1: 100.0, 2: 190.0, 4: None}).batch == 2
    with pytest.raises(FullDeviceError):
        played(monkeypatch, {1: None})


def test_the_largest_batch_is_the_last(monkeypatch):
    assert played(monkeypatch, {2**i: 1.5**i for i in range(7)}).batch == 64


@pytest.mark.parametrize(("backend", "fused"), [("eager", False), ("onnxruntime", True)])
def test_the_graph_that_is_shipped_is_measured(monkeypatch, backend, fused):
    seen = []
    monkeypatch.setattr(throughput, "measure", lambda network, *_, **__: seen.append(network) or SimpleNamespace(fps=1))
    network = deployed()
    measure_throughput(network, Conditions(backend=backend))
    assert (type(seen[0].deployed.mask) is type(network.fused().mask)) is fused
    images = torch.randint(0, 256, (2, 3, *SIZE), dtype=torch.uint8)
    with torch.inference_mode():
        assert (seen[0](images) == Batched(network)(images)).float().mean() > 0.999


@pytest.mark.nightly
def test_a_real_network_has_a_throughput():
    found = measure_throughput(deployed(), Conditions(threads=1, timer=TIMER))
    assert found.images_per_second == max(found.by_batch.values()) > 0
