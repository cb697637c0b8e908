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
    return Session(network, Recipe.parse({"iterations": 10, **choices}, "recipe"), images=4, device=CPU)


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
    assert issubclass(DivergedError, SegsearchError)
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


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_state_carries_everything(optimizer: str) -> None:
    """Six steps at once equal three, a fresh session with their state, and three more."""
    torch.manual_seed(3)
    straight = tiny()
    whole = _session(straight, optimizer=optimizer, ema=0.9)
    for k in range(3):
        whole.step(*_batch(k))
    state = copy.deepcopy(whole.state())
    for k in range(3, 6):
        whole.step(*_batch(k))

    resumed = tiny(seed=9)
    later = _session(resumed, optimizer=optimizer, ema=0.9)
    later.restore(state)
    for k in range(3, 6):
        later.step(*_batch(k))
    assert same_weights(straight, resumed) and later.losses == whole.losses
    own, other = whole.deliver(), later.deliver()
    assert own is not None and other is not None and same_weights(straight, resumed), "the averages"
    assert all(torch.equal(tensor, other[name]) for name, tensor in own.items())


def test_parts_of_a_batch_add_up_to_it() -> None:
    """In eval mode, where BatchNorm does not look at the batch, the mean over equal parts is that over all."""
    networks = [tiny().eval(), tiny().eval()]
    for network, parts in zip(networks, (1, 2), strict=True):
        session = _session(network, optimizer="sgd", learning_rate=0.5, batch_size=4, accumulate=parts)
        image, label = (torch.cat(pair) for pair in zip(_batch(0), _batch(1), strict=True))
        session.step(image, label)
    pairs = zip(*(network.parameters() for network in networks), strict=True)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in pairs) and not same_weights(networks[1], tiny())


def test_delivered_weights_are_lent_and_whatever_is_done_to_them_is_undone() -> None:
    network = tiny()
    session = _session(network, ema=0.9)
    for k in range(3):
        session.step(*_batch(k))
    before = copy.deepcopy(network)
    state = torch.get_rng_state()
    with session.delivered() as lent:
        assert lent is network and not same_weights(lent, before), "averaged"
        lent.eval()(torch.randn(2, 3, 8, 8))
        nn.init.zeros_(network.head.weight)
    assert same_weights(network, before) and network.training and torch.equal(state, torch.get_rng_state())
    own = session.deliver()
    assert own is not None and torch.equal(own["head.weight"], before.head.weight)
    assert not same_weights(network, before)


def test_without_averaging_the_network_is_delivered_as_it_is() -> None:
    network = tiny()
    session = _session(network)
    session.step(*_batch())
    before = copy.deepcopy(network)
    with session.delivered() as lent:
        assert same_weights(lent, before)
    assert session.deliver() is None and same_weights(network, before)
