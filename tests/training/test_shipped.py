"""Scores in the precision that is shipped, of every backend and precision that this machine computes in."""

import pytest
import torch

from segsearch.data.normalise import MEAN, STD
from segsearch.data.open import open_data
from segsearch.deployment.deploy import deploy
from segsearch.errors import DeviceError, InputError, MissingExtraError
from segsearch.measure.backends.base import PRECISIONS
from segsearch.measure.backends.table import BACKENDS, ready_backend
from segsearch.measure.machine import DEVICES, find_device
from segsearch.models.network import Network
from segsearch.space.lower import lower
from segsearch.study.config import parse_study
from segsearch.training.evaluate import evaluate
from segsearch.training.shipped import Shipped
from segsearch.trial import fresh_network
from tests.engine.builders import small, some_point

SIZE = (32, 48)
COMPILES = {"compile", "compile-graph", "aotinductor"}
"""Half a minute for the smallest network."""


def refused(name: str, device: str, precision: str) -> bool:
    """Whether this machine has no such thing, by the backend's own word."""
    try:
        ready_backend(name, find_device(device), precision)
    except (DeviceError, InputError, MissingExtraError):
        return True
    return False


CASES = [
    pytest.param(name, device, precision, marks=[pytest.mark.nightly] if name in COMPILES else [])
    for name in BACKENDS
    for device in DEVICES
    for precision in PRECISIONS
    if precision != "int8"
]


@pytest.fixture(scope="module")
def network() -> Network:
    """One whose masks have many classes, and move with rounding."""
    made = fresh_network(lower(some_point(1, small())), 11, "none", 3)
    with torch.no_grad():
        for name, buffer in made.named_buffers():
            if name.endswith("running_var"):
                buffer.fill_(0.3)
    return made.eval()


@pytest.fixture(scope="module")
def val():
    data = {"name": "streets", "size": list(SIZE), "train": 2, "val": 3}
    return open_data(parse_study({"data": data, "recipe": {"epochs": 1}, "trials": 1}, "x").data).val


def images(val) -> torch.Tensor:
    return torch.stack([torch.tensor(val[index][0]).movedim(-1, 0) for index in range(len(val))])


@pytest.mark.parametrize(("name", "device", "precision"), CASES)
def test_masks_are_of_that_precision_or_there_are_none(name, device, precision, network, val) -> None:
    shipped = Shipped(backend=name, precision=precision, device=device)
    if refused(name, device, precision):
        with pytest.raises((DeviceError, InputError, MissingExtraError)):
            shipped.masks(network, SIZE)
        return
    before = {key: value.clone() for key, value in network.state_dict().items()}
    shots = images(val)
    found = shipped.masks(network, SIZE)(shots)
    assert (found.dtype, found.device.type, found.shape) == (torch.uint8, "cpu", (len(val), *SIZE))
    exact = deploy(network, SIZE, MEAN, STD)
    if precision == "float32":
        assert (found == exact.segment(shots)).float().mean() > 0.999
    elif precision in ("float16", "bfloat16"):
        rounded = exact.to(getattr(torch, precision)).segment(shots)
        assert (found == rounded).float().mean() > (
            found == deploy(network, SIZE, MEAN, STD).segment(shots)
        ).float().mean() - 0.02
        assert (found == rounded).float().mean() > 0.95
    assert all(torch.equal(network.state_dict()[key], value) for key, value in before.items())


def test_scores_are_of_the_rounded_network(network, val) -> None:
    exact = evaluate(network, val)
    alike = Shipped(backend="eager", precision="float32", device="cpu").scores(network, SIZE, val)
    rounded = Shipped(backend="eager", precision="bfloat16", device="cpu").scores(network, SIZE, val)
    assert alike.miou == pytest.approx(exact.miou, abs=1e-4)
    assert rounded.confusion != exact.confusion and rounded.images == len(val)
    masks = deploy(network, SIZE, MEAN, STD).to(torch.bfloat16).segment(images(val))
    counted = torch.zeros(11, dtype=torch.int64)
    for index, mask in enumerate(masks):
        label = torch.tensor(val[index][1])
        counted += torch.bincount(mask[label < 11].long(), minlength=11)
    assert torch.tensor(rounded.confusion).sum(0).tolist() == counted.tolist()


def test_what_is_built_before_the_first_image_is_reported(network, val, monkeypatch: pytest.MonkeyPatch) -> None:
    """A TensorRT engine takes minutes, after which a silent training would count as one that hangs."""
    shipped, told, before = Shipped(backend="eager", precision="float32", device="cpu"), list[int](), list[int]()
    masks = Shipped.masks
    monkeypatch.setattr(Shipped, "masks", lambda *given: before.extend(told) or masks(*given))
    shipped.scores(network, SIZE, val, lambda what, done, total: told.append(done))
    assert before == [0] and told[:2] == [0, 1]
