import copy

import pytest
import torch
from torch import nn

from segsearch.data.dataset import IGNORE
from segsearch.errors import InputError, SegsearchError
from segsearch.train.recipe import Recipe
from segsearch.train.session import DivergedError, Session

from .toys import TinyNet, same_weights, tiny

CPU = torch.device("cpu")


def _batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 3, 8, 8, generator=generator), torch.randint(0, 3, (2, 8, 8), generator=generator)


def _session(network: TinyNet, **choices: object) -> Session:
    return Session(network, Recipe.parse({"iterations": 10, **choices}, "recipe"), 10, CPU)


def test_step_tells_and_counts() -> None:
    session = _session(tiny(), learning_rate=0.5)
    first, second = (session.step(*_batch(k)) for k in range(2))
    assert (first.done, first.total, first.learning_rate) == (1, 10, 0.5)
    assert (second.done, second.learning_rate) == (2, pytest.approx(0.5 * 0.9**0.9))
    assert session.losses == [first.loss, second.loss] and session.whole


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_divergence_is_typed_and_moves_no_parameter(poison: float) -> None:
    network = tiny()
    before = copy.deepcopy(list(network.parameters()))
    session = _session(network)
    image, label = _batch()
    image[0, 0, 3, 3] = poison
    with pytest.raises(DivergedError, match=r"^training diverged at step 1 of 10: loss nan, learning rate 0\.001$"):
        session.step(image, label)
    assert isinstance(DivergedError(1, 2, 0.0, 0.0), SegsearchError)
    assert not session.whole and session.done == 0
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_a_batch_without_labels_moves_nothing_but_statistics() -> None:
    network = tiny()
    before = copy.deepcopy(list(network.parameters()))
    image, label = _batch()
    step = _session(network, optimizer="sgd", weight_decay=0.0).step(image, torch.full_like(label, IGNORE))
    assert step.loss == 0.0
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_clip_bounds_the_whole_gradient() -> None:
    network = tiny()
    before = copy.deepcopy(list(network.parameters()))
    choices = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "learning_rate": 1.0}
    _session(network, clip_norm=1e-2, **choices).step(*_batch())
    pairs = zip(before, network.parameters(), strict=True)
    moved = sum(float((a - b).detach().square().sum()) for a, b in pairs) ** 0.5
    assert moved == pytest.approx(1e-2, rel=1e-2)


def test_auxiliary_heads_learn_when_the_recipe_has_them() -> None:
    network = tiny(auxiliary=True)
    (head,) = network.auxiliary
    assert isinstance(head, nn.Conv2d)
    before = head.weight.detach().clone()
    _session(network, auxiliary="encoder").step(*_batch())
    assert not torch.equal(before, head.weight)
    with pytest.raises(InputError, match=r"recipe\.auxiliary: 'none', but the network has auxiliary heads"):
        _session(network).step(*_batch())


def test_bf16_learns_with_float32_weights() -> None:
    network = tiny()
    session = _session(network, amp="bf16")
    losses = [session.step(*_batch()).loss for _ in range(10)]
    assert losses[-1] < losses[0]
    assert {p.dtype for p in network.parameters()} == {torch.float32}


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_state_carries_everything(optimizer: str) -> None:
    """Six steps at once equal three, a fresh session with their state, and three more."""
    torch.manual_seed(3)
    straight = tiny()
    whole = _session(straight, optimizer=optimizer)
    for k in range(3):
        whole.step(*_batch(k))
    state = copy.deepcopy(whole.state())
    for k in range(3, 6):
        whole.step(*_batch(k))

    resumed = tiny(seed=9)
    later = _session(resumed, optimizer=optimizer)
    later.restore(state)
    for k in range(3, 6):
        later.step(*_batch(k))
    assert same_weights(straight, resumed) and later.losses == whole.losses
