import os
import signal
from pathlib import Path

import pytest
import torch
from torch import Tensor

from segsearch.data.dataset import Pair
from segsearch.errors import DeviceError, InputError
from segsearch.train.evaluate import evaluate
from segsearch.train.loop import OnStep, train
from segsearch.train.optimizer import poly
from segsearch.train.recipe import Recipe
from segsearch.train.session import DivergedError, Step

from .toys import Patches, TinyNet, same_weights, tiny

DATA = Patches()
RECIPE = Recipe(iterations=20, batch_size=2, learning_rate=0.01)
RECIPES = {
    "adam": RECIPE,
    "sgd": Recipe(iterations=20, batch_size=2, learning_rate=0.05, optimizer="sgd", warmup=5, class_weights="enet"),
    "bf16": Recipe(iterations=20, batch_size=2, amp="bf16", clip_norm=1.0, crop=(16, 16)),
}


class _Stop(BaseException):
    """What a callback may raise to end a training."""


def _stop_at(step: int, error: BaseException) -> OnStep:
    def on_step(told: Step) -> None:
        if told.done == step:
            raise error

    return on_step


def _straight(recipe: Recipe = RECIPE) -> TinyNet:
    network = tiny()
    train(network, recipe, DATA, seed=5)
    return network


def test_learns_four_images_by_heart() -> None:
    network = tiny(width=16)
    recipe = Recipe(iterations=120, batch_size=4, learning_rate=0.02, scale=(1.0, 1.0), flip=False)
    result = train(network, recipe, DATA, seed=0)
    assert evaluate(network, DATA).miou > 0.9
    assert result.iterations == 120 == len(result.losses) and result.final_loss == result.losses[-1] < 0.3


def test_the_rate_of_every_step_is_the_schedules() -> None:
    recipe, steps = RECIPES["sgd"], list[Step]()
    train(tiny(), recipe, DATA, seed=5, on_step=steps.append)
    assert [step.learning_rate for step in steps] == [
        poly(k, 20, base=recipe.learning_rate, power=recipe.power, warmup=recipe.warmup) for k in range(20)
    ]
    assert steps[0].learning_rate < steps[4].learning_rate > steps[19].learning_rate


class _Drawing(TinyNet):
    """Notes what dropout would draw."""

    def supervise(self, image: Tensor) -> tuple[Tensor, ...]:
        self.drawn = float(torch.rand(()))
        return super().supervise(image)


def test_the_seed_decides_what_dropout_draws() -> None:
    networks = [_Drawing() for _ in range(3)]
    for network, seed in zip(networks, (5, 5, 6), strict=True):
        train(network, RECIPE, DATA, seed=seed)
    assert networks[0].drawn == networks[1].drawn != networks[2].drawn


def test_one_seed_gives_one_result_and_another_gives_another() -> None:
    other = tiny()
    train(other, RECIPE, DATA, seed=6)
    assert same_weights(_straight(), _straight())
    assert not same_weights(_straight(), other)


def test_global_random_state_neither_matters_nor_changes() -> None:
    network = tiny()
    torch.manual_seed(77)
    before = torch.get_rng_state()
    train(network, RECIPE, DATA, seed=5)
    assert torch.equal(before, torch.get_rng_state())
    assert same_weights(network, _straight())


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("full"), _Stop()], ids=lambda e: type(e).__name__)
def test_resumes_bit_by_bit_after_an_exception_between_steps(name: str, error: BaseException, tmp_path: Path) -> None:
    recipe, path = RECIPES[name], tmp_path / "run.pt"
    with pytest.raises(type(error)):
        train(tiny(), recipe, DATA, seed=5, checkpoint=path, on_step=_stop_at(7, error))
    steps: list[Step] = []
    resumed = tiny(seed=1)
    result = train(resumed, recipe, DATA, seed=5, checkpoint=path, on_step=steps.append)
    assert [step.done for step in steps] == list(range(8, 21)) and {step.total for step in steps} == {20}
    assert same_weights(resumed, _straight(recipe)) and len(result.losses) == 20


class _Pressed(TinyNet):
    """Somebody presses Ctrl-C in the middle of step 7."""

    calls = 0

    def supervise(self, image: Tensor) -> tuple[Tensor, ...]:
        self.calls += 1
        if self.calls == 7:
            os.kill(os.getpid(), signal.SIGINT)
        return super().supervise(image)


def test_sigint_ends_the_step_saves_and_interrupts(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    torch.manual_seed(0)
    pressed, steps = _Pressed(), list[Step]()
    with pytest.raises(KeyboardInterrupt):
        train(pressed, RECIPE, DATA, seed=5, checkpoint=path, on_step=steps.append)
    assert len(steps) == 7
    resumed = tiny(seed=1)
    train(resumed, RECIPE, DATA, seed=5, checkpoint=path, on_step=steps.append)
    assert [step.done for step in steps] == list(range(1, 21)) and same_weights(resumed, _straight())


class _Failing(TinyNet):
    """The device runs out of memory in the middle of step 7, after BatchNorm has moved."""

    calls = 0

    def supervise(self, image: Tensor) -> tuple[Tensor, ...]:
        self.calls += 1
        logits = super().supervise(image)
        if self.calls == 7:
            raise torch.OutOfMemoryError("out of memory")
        return logits


def test_out_of_memory_passes_and_a_torn_step_is_never_saved(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    torch.manual_seed(0)
    with pytest.raises(torch.OutOfMemoryError):
        train(_Failing(), RECIPE, DATA, seed=5, checkpoint=path, every_seconds=0)
    resumed, steps = tiny(seed=1), list[Step]()
    train(resumed, RECIPE, DATA, seed=5, checkpoint=path, on_step=steps.append)
    assert len(steps) == 14 and same_weights(resumed, _straight())


def test_saves_in_time(tmp_path: Path) -> None:
    path, sizes = tmp_path / "run.pt", []

    def on_step(step: Step) -> None:
        sizes.append(path.exists())

    train(tiny(), RECIPE, DATA, seed=5, checkpoint=path, every_seconds=1e9, on_step=on_step)
    assert not any(sizes) and path.exists()
    path.unlink()
    sizes.clear()
    train(tiny(), RECIPE, DATA, seed=5, checkpoint=path, every_seconds=0, on_step=on_step)
    assert sizes == [False] + [True] * 19


def test_a_finished_training_returns_at_once(tmp_path: Path) -> None:
    path, again = tmp_path / "run.pt", tiny(seed=1)
    first = train(tiny(), RECIPE, DATA, seed=5, checkpoint=path)
    stored = torch.load(path, weights_only=True)["state"]["seconds"]  # the writing itself takes longer, now and then
    second = train(again, RECIPE, DATA, seed=5, checkpoint=path, on_step=_stop_at(20, AssertionError("a step")))
    assert second.losses == first.losses and second.seconds > stored > 0
    assert same_weights(again, _straight())


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    train(tiny(), RECIPE, DATA, seed=5, checkpoint=path)
    other = Recipe(iterations=20, batch_size=2)
    for network, recipe, data, seed, field in (
        (tiny(), other, DATA, 5, "recipe"),
        (tiny(), RECIPE, DATA, 6, "seed"),
        (tiny(width=4), RECIPE, DATA, 5, "network"),
        (tiny(), RECIPE, Patches(images=5), 5, "images"),
    ):
        with pytest.raises(InputError, match=f"run.pt: belongs to a training with {field} "):
            train(network, recipe, data, seed=seed, checkpoint=path)


def test_a_checkpoint_without_its_parts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    train(tiny(), RECIPE, DATA, seed=5, checkpoint=path)
    whole = torch.load(path, weights_only=True)
    for part in whole["state"]:
        state = {name: value for name, value in whole["state"].items() if name != part}
        torch.save({**whole, "state": state}, path)
        if part == "cuda_random":
            continue  # only read on CUDA
        with pytest.raises(InputError, match=r"run\.pt: does not fit this version \(KeyError\)"):
            train(tiny(), RECIPE, DATA, seed=5, checkpoint=path)


def test_divergence_surfaces(tmp_path: Path) -> None:
    recipe = Recipe(iterations=50, batch_size=2, learning_rate=1e38, optimizer="sgd")
    with pytest.raises(DivergedError, match="of 50: loss"):
        train(tiny(), recipe, DATA, seed=5)


def test_class_weights_change_the_result() -> None:
    weighted = Recipe(iterations=20, batch_size=2, learning_rate=0.01, class_weights="enet")
    assert not same_weights(_straight(), _straight(weighted))


def test_epochs_and_channels_last() -> None:
    network = tiny().eval()
    result = train(network, Recipe(epochs=3, batch_size=2), DATA, seed=0, channels_last=True)
    assert result.iterations == 6 and network.training
    assert network.body[0].weight.is_contiguous(memory_format=torch.channels_last)


class _Missing(Patches):
    """An image that cannot be read."""

    def __getitem__(self, index: int) -> Pair:
        raise InputError("image 3.png", "cannot be read")


def test_what_cannot_be_trained_on() -> None:
    with pytest.raises(InputError, match="patches: has no images to train on"):
        train(tiny(), RECIPE, Patches(images=0), seed=0)
    with pytest.raises(InputError, match="cannot be read"):
        train(tiny(), RECIPE, _Missing(), seed=0)
    with pytest.raises(AssertionError, match="other classes"):
        train(tiny(classes=4), RECIPE, DATA, seed=0)
    with pytest.raises(DeviceError):
        train(tiny(), Recipe(iterations=1, amp="fp16"), DATA, seed=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("amp", ["none", "bf16", "fp16"])
def test_cuda_learns_and_resumes(amp: str, tmp_path: Path) -> None:
    path, network = tmp_path / "run.pt", tiny(width=16)
    recipe = Recipe.parse({"iterations": 120, "batch_size": 4, "learning_rate": 0.02, "amp": amp}, "recipe")
    with pytest.raises(_Stop):
        train(network, recipe, DATA, seed=0, device="cuda", checkpoint=path, on_step=_stop_at(60, _Stop()))
    result = train(network, recipe, DATA, seed=0, device="cuda", checkpoint=path, channels_last=True)
    assert len(result.losses) == 120 and evaluate(network, DATA, device="cuda").miou > 0.7
