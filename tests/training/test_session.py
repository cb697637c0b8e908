import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from segsearch.data.dataset import IGNORE
from segsearch.errors import DivergedError, InputError, SegsearchError
from segsearch.training.loop import train
from segsearch.training.recipe import Recipe
from segsearch.training.session import Session

from .toys import Patches, TinyNet, same_weights, tiny

CPU, DATA = torch.device("cpu"), Patches()


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


@pytest.mark.nightly
def test_a_compiler_that_fails_is_one_line_with_the_cure() -> None:
    session = Session(tiny(), Recipe(iterations=2), images=4, device=CPU, compiled=True)
    with torch._inductor.config.patch({"cpp.cxx": ("/nowhere/g++",)}), pytest.raises(InputError) as refusal:
        session.step(*_batch())
    line = str(refusal.value)
    assert line.startswith("--compile: torch's compiler failed: ") and "/nowhere/g++" in line and "\n" not in line
    assert line.endswith("the same command without it goes on; on processors it needs a C++ compiler such as g++)")


@pytest.mark.nightly
def test_compiled_steps_equal_plain_ones_but_for_rounding_and_either_goes_on_from_the_other(tmp_path: Path) -> None:
    recipe = Recipe(iterations=4, batch_size=2, optimizer="sgd", learning_rate=0.01, loss="ohem", ema=0.9)
    weights, notes = list[dict[str, torch.Tensor]](), list[tuple[str, ...]]()
    for number, ways in enumerate([(False, False), (True, True), (True, False), (False, True)]):
        path = tmp_path / f"{number}.pt"
        for stop_at, compiled in zip((2, None), ways, strict=True):
            network = tiny(seed=0 if stop_at else 1)
            network.body[6] = nn.Dropout2d(0.0)  # it draws other numbers when it is compiled
            result = train(network, recipe, DATA, seed=5, checkpoint=path, stop_at=stop_at, compiled=compiled)
        weights.append(network.state_dict())
        notes.append(result.notes)
    assert all(found.keys() == weights[0].keys() for found in weights)
    for found in weights[1:]:
        assert all(torch.allclose(found[name].float(), t.float(), atol=1e-4) for name, t in weights[0].items())
    began, ended = (f"was computed {way} torch.compile from step" for way in ("with", "without"))
    assert notes == [(), (f"{began} 1 on",), (f"{began} 1 on", f"{ended} 3 on"), (f"{began} 3 on",)]
