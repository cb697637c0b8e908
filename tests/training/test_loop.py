import copy
import math
import os
import random
import shutil
import signal
from pathlib import Path
from typing import ClassVar, cast

import pytest
import torch
from torch import Tensor, nn

from segsearch.api import create_model
from segsearch.data.dataset import Pair
from segsearch.errors import DeviceError, DivergedError, InputError
from segsearch.measure.memory import FullDeviceError, MemoryWatch, memory_errors
from segsearch.training import retreat
from segsearch.training.evaluate import evaluate
from segsearch.training.loop import OnStep, train
from segsearch.training.parallel import Team
from segsearch.training.recipe import Recipe
from segsearch.training.schedules import rate_at
from segsearch.training.session import Session, Step

from .toys import Patches, TinyNet, same_weights, tiny

DATA = Patches()
RECIPE = Recipe(iterations=20, batch_size=2, learning_rate=0.01)
RECIPES = {
    "adam": RECIPE,
    "sgd": Recipe(iterations=20, batch_size=2, learning_rate=0.05, optimizer="sgd", warmup=5, class_weights="enet"),
    "bf16": Recipe(iterations=20, batch_size=2, amp="bf16", clip_norm=1.0, crop=(16, 16)),
    "adamw": Recipe(iterations=20, batch_size=4, accumulate=2, optimizer="adamw", ema=0.9, rotate=10, contrast=0.3),
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
    assert [step.learning_rate for step in steps] == [rate_at(k, 20, len(DATA), recipe) for k in range(20)]
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
        if part in ("cuda_random", "processes"):
            continue  # only read on CUDA; only in newer files
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


AVERAGED = {
    name: Recipe.parse({"iterations": 20, "batch_size": 2, "optimizer": name, "ema": 0.9, "warmup": 3}, "recipe")
    for name in ("sgd", "adam", "adamw")
}


@pytest.mark.parametrize("name", AVERAGED)
def test_resumed_again_and_again_at_random_steps_it_ends_as_if_never_stopped(name: str, tmp_path: Path) -> None:
    recipe, straight, resumed = AVERAGED[name], tiny(), tiny()
    whole = train(straight, recipe, DATA, seed=5)
    for step in sorted(random.Random(name).sample(range(1, 20), 4)):
        with pytest.raises(_Stop):
            train(resumed, recipe, DATA, seed=5, checkpoint=tmp_path / "run.pt", on_step=_stop_at(step, _Stop()))
        resumed = tiny(seed=step)
    pieced = train(resumed, recipe, DATA, seed=5, checkpoint=tmp_path / "run.pt")
    assert same_weights(resumed, straight) and pieced.losses == whole.losses
    assert whole.last is not None and pieced.last is not None
    assert all(torch.equal(tensor, whole.last[key]) for key, tensor in pieced.last.items())


@pytest.mark.parametrize("name", AVERAGED)
def test_a_paused_training_goes_on_to_the_same_weights(name: str, tmp_path: Path) -> None:
    recipe, path, straight = AVERAGED[name], tmp_path / "run.pt", tiny()
    train(straight, recipe, DATA, seed=5)
    steps: list[Step] = []
    for stop_at, done in ((1, 1), (7, 7), (4, 7), (13, 13), (99, 20), (None, 20)):
        network = tiny(seed=0 if stop_at == 1 else 3)
        result = train(
            network, recipe, DATA, seed=5, checkpoint=path, stop_at=stop_at, on_step=steps.append if done < 14 else None
        )
        assert result.iterations == done == len(result.losses)
    assert same_weights(network, straight)
    assert [(step.done, step.total) for step in steps] == [(k, 20) for k in range(1, 14)]


@pytest.mark.parametrize("name", AVERAGED)
def test_from_whatever_file_a_kill_leaves_it_ends_as_if_never_stopped(name: str, tmp_path: Path) -> None:
    """A kill leaves the file of an earlier step, whole: here those of some steps, kept aside."""
    recipe, path, straight = AVERAGED[name], tmp_path / "run.pt", tiny()
    chosen = random.Random(name).sample(range(2, 20), 3)

    def keep(step: Step) -> None:
        if step.done in chosen:
            shutil.copy(path, tmp_path / f"{step.done}.pt")

    train(straight, recipe, DATA, seed=5, checkpoint=path, every_seconds=0, on_step=keep)
    for step in chosen:
        resumed = tiny(seed=1)
        train(resumed, recipe, DATA, seed=5, checkpoint=tmp_path / f"{step}.pt")
        assert same_weights(resumed, straight)


def test_with_averaging_the_result_is_the_average_and_the_last_weights_are_given_beside_it() -> None:
    plain, averaged = tiny(), tiny()
    train(plain, AVERAGED["sgd"].model_copy(update={"ema": None}), DATA, seed=5)
    result = train(averaged, AVERAGED["sgd"], DATA, seed=5)
    assert result.last is not None and all(torch.equal(t, result.last[k]) for k, t in plain.state_dict().items())
    assert not same_weights(averaged, plain) and averaged.training
    assert train(tiny(), RECIPE, DATA, seed=5).last is None


class _Scores:
    """Uses and spoils the network that it is lent, and notes its weights."""

    def __init__(self) -> None:
        self.seen: dict[int, TinyNet] = {}

    def __call__(self, step: int, network: nn.Module) -> float:
        assert step not in self.seen, "once each"
        self.seen[step] = copy.deepcopy(cast(TinyNet, network))
        evaluate(network, DATA)
        network.train()(torch.randn(2, 3, 24, 32))
        nn.init.zeros_(cast(TinyNet, network).head.weight)
        return step / 100


@pytest.mark.parametrize("recipe", [RECIPE, AVERAGED["adamw"]])
def test_scoring_shows_what_a_pause_would_deliver_and_changes_nothing(recipe: Recipe, tmp_path: Path) -> None:
    straight, scored, scores = tiny(), tiny(), _Scores()
    train(straight, recipe, DATA, seed=5)
    path = tmp_path / "run.pt"
    for stop_at in (11, None):  # what was said before a break is told after it
        result = train(
            scored, recipe, DATA, seed=5, checkpoint=path, score_at=(3, 11, 20, 21), score=scores, stop_at=stop_at
        )
    assert same_weights(scored, straight) and list(scores.seen) == [3, 11, 20]
    assert result.scores == {3: 0.03, 11: 0.11, 20: 0.2}
    for step, network in scores.seen.items():
        paused = tiny()
        train(paused, recipe, DATA, seed=5, stop_at=step)
        assert same_weights(network, paused)


def test_a_score_that_was_stopped_is_made_up_for_and_none_is_made_twice(tmp_path: Path) -> None:
    calls: list[int] = []

    def score(step: int, network: nn.Module) -> None:
        calls.append(step)
        if len(calls) == 1:
            raise KeyboardInterrupt

    def run(stop_at: int | None = None) -> None:
        train(tiny(), RECIPE, DATA, seed=5, checkpoint=tmp_path / "a.pt", score_at=[7, 9], score=score, stop_at=stop_at)

    with pytest.raises(KeyboardInterrupt):
        run()
    run(stop_at=9)
    run()
    assert calls == [7, 7, 9]


class _Poisoned(TinyNet):
    """Its logits are no numbers in chosen calls of `supervise`."""

    def __init__(self, *poisoned: int) -> None:
        super().__init__()
        self.calls, self.poisoned = 0, poisoned

    def supervise(self, image: Tensor) -> tuple[Tensor, ...]:
        self.calls += 1
        outputs = super().supervise(image)
        return tuple(out * float("nan") for out in outputs) if self.calls in self.poisoned else outputs


def _poisoned(*calls: int) -> _Poisoned:
    torch.manual_seed(0)
    return _Poisoned(*calls)


def test_after_a_loss_that_is_no_number_it_goes_back_once_and_on_with_other_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retreat, "STEPS_APART", 5)
    network, steps = _poisoned(13), list[Step]()
    result = train(network, RECIPE, DATA, seed=5, checkpoint=tmp_path / "run.pt", on_step=steps.append)
    assert [step.done for step in steps] == [*range(1, 13), *range(6, 21)]
    assert result.notes == (
        "went back from step 13 to step 5, as the loss was no longer a number, and on with other batches",
    )
    straight = tiny()
    whole = train(straight, RECIPE, DATA, seed=5)
    assert len(result.losses) == 20 and result.losses[:5] == whole.losses[:5] and result.losses[5] != whole.losses[5]
    assert not same_weights(network, straight)
    again = tiny()
    stored = train(again, RECIPE, DATA, seed=5, checkpoint=tmp_path / "run.pt")
    assert stored.notes == result.notes and same_weights(again, network)


def test_a_second_loss_that_is_no_number_ends_the_training_with_both_reasons(tmp_path: Path) -> None:
    with pytest.raises(DivergedError) as caught:
        train(_poisoned(3, 5), RECIPE, DATA, seed=5, checkpoint=tmp_path / "run.pt")
    assert str(caught.value) == (
        "training diverged at step 2 of 20: loss nan, learning rate 0.00955; before that, it went back from step 3 to "
        "step 0, as the loss was no longer a number, and on with other batches"
    )
    assert not (tmp_path / "run.pt").exists(), "a torn step"


def test_weights_that_are_no_numbers_are_not_saved_and_a_later_call_goes_on_with_other_batches(tmp_path: Path) -> None:
    """The last update before a pause spoils them, and its own loss does not tell."""
    path, network = tmp_path / "run.pt", tiny()

    def spoil(step: Step) -> None:
        if step.done == 6:
            with torch.no_grad():
                next(network.parameters()).fill_(float("nan"))

    train(network, RECIPE, DATA, seed=5, checkpoint=path, every_seconds=0, on_step=spoil, stop_at=6)
    again = tiny()
    stored = train(again, RECIPE, DATA, seed=5, checkpoint=path)
    assert len(stored.losses) == 20 and all(math.isfinite(loss) for loss in stored.losses)
    straight = tiny()
    train(straight, RECIPE, DATA, seed=5)
    assert same_weights(again, straight), "from the state before"


def test_that_other_processes_go_on_is_noted(tmp_path: Path) -> None:
    class Pair(Team):
        """Two that both are this process."""

        def wrap(self, module: nn.Module, device: torch.device) -> nn.Module:
            return module

        def mean(self, value: Tensor) -> float:
            return float(value.detach())

    path, recipe = tmp_path / "run.pt", RECIPE.model_copy(update={"batch_size": 4})
    alone = train(tiny(), recipe, DATA, seed=5, checkpoint=path, stop_at=3)
    both = train(tiny(), recipe, DATA, seed=5, checkpoint=path, stop_at=6, team=Pair(size=2))
    end = train(tiny(), recipe, DATA, seed=5, checkpoint=path)
    assert alone.notes == () and both.notes == ("was computed by 2 processes from step 4 on, and by 1 before",)
    assert end.notes == (*both.notes, "was computed by 1 process from step 7 on, and by 2 before")


class _Full(TinyNet):
    """A device with room for two images at a time."""

    sizes: ClassVar[list[int]] = []

    def supervise(self, image: Tensor) -> tuple[Tensor, ...]:
        self.sizes.append(len(image))
        logits = super().supervise(image)
        if len(image) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return logits


def test_where_memory_is_short_batches_are_learnt_in_parts(tmp_path: Path) -> None:
    torch.manual_seed(0)
    full, parted, path = _Full(), tiny(), tmp_path / "run.pt"
    whole = Recipe(iterations=6, batch_size=8)
    result = train(full, whole, DATA, seed=5, checkpoint=path, stop_at=3)
    assert full.sizes == [8, 4, *[2] * 12] and len(result.notes) == 2
    assert result.notes[1] == (
        "went back from step 1 to step 0, as memory was short, and on with 2 images at a time, whose statistics "
        "BatchNorm then takes"
    )
    train(full, whole, DATA, seed=5, checkpoint=path)
    assert set(full.sizes[14:]) == {2}, "a later call knows"
    train(parted, whole.model_copy(update={"accumulate": 4}), DATA, seed=5)
    assert same_weights(full, parted)


def test_a_batch_that_a_processors_memory_cannot_hold_is_cut_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system would kill the process. Looking changes nothing: neither statistics nor random numbers."""
    torch.manual_seed(0)
    network, parted, recipe = _Counting(), _Counting(), Recipe(iterations=3, batch_size=8)
    parted.load_state_dict(network.state_dict())
    size = DATA[0][1].shape
    image, label = torch.zeros(2, 3, *size), torch.zeros(2, *size, dtype=torch.int64)
    two = Session(network, recipe, images=4, device=torch.device("cpu")).kept_bytes(image, label)
    monkeypatch.setattr(retreat, "machine_memory_bytes", lambda: 3 * two / retreat.MOST_SHARE)
    _Counting.sizes.clear()
    result = train(network, recipe, DATA, seed=5)
    assert _Counting.sizes == [2, *[4] * 6], "two images tell of all"
    assert len(result.notes) == 1 and "memory was short, and on with 4 images at a time" in result.notes[0]
    train(parted, recipe.model_copy(update={"accumulate": 2}), DATA, seed=5)
    assert same_weights(network, parted)
    monkeypatch.setattr(retreat, "machine_memory_bytes", lambda: two / 2)
    with pytest.raises(FullDeviceError, match="has too little memory"), memory_errors(torch.device("cpu")):
        train(tiny(), recipe, DATA, seed=5)


class _Counting(TinyNet):
    """Notes how many images it is given."""

    sizes: ClassVar[list[int]] = []

    def supervise(self, image: Tensor) -> tuple[Tensor, ...]:
        self.sizes.append(len(image))
        return super().supervise(nn.functional.dropout(image, 0.1))


@pytest.mark.parametrize("name", ["fpenet", "sgcpnet1"])
def test_the_look_ahead_tells_what_a_step_takes(name: str) -> None:
    """As much as it says at least, or batches would be cut that fit; and no more than is left for it."""
    cpu, image, label = torch.device("cpu"), torch.randn(8, 3, 192, 256), torch.randint(0, 11, (8, 192, 256))
    network = create_model(name, 11).to(cpu, memory_format=torch.channels_last)
    session = Session(network, Recipe(iterations=2), images=8, device=cpu)
    kept = 4 * session.kept_bytes(image[:2], label[:2]) / 2**20
    assert session.kept_bytes(image[:2].clone(), label[:2].clone()) * 4 / 2**20 == kept, (
        "not of the batch it is part of"
    )
    session.step(image, label)
    taken = MemoryWatch(cpu).running_mib(lambda: session.step(image, label))
    if taken is None:
        pytest.skip("this system keeps no peak of a process")
    assert retreat.MOST_SHARE * taken < kept < taken
    assert 2**20 * kept < retreat.MOST_KEPT * image.nbytes


def test_a_system_that_refuses_memory_has_batches_cut(tmp_path: Path) -> None:
    """As under `ulimit -v`: the allocator's error has no class of its own."""

    class Refused(TinyNet):
        def supervise(self, image: Tensor) -> tuple[Tensor, ...]:
            if len(image) > 2:
                torch.empty(2**50)  # four petabytes
            return super().supervise(image)

    result = train(Refused(), Recipe(iterations=2, batch_size=4), DATA, seed=5)
    assert "memory was short, and on with 2 images" in result.notes[0]


def test_a_renamed_data_set_goes_on_and_other_classes_do_not(tmp_path: Path) -> None:
    path, renamed = tmp_path / "run.pt", Patches()
    train(tiny(), RECIPE, DATA, seed=5, checkpoint=path, stop_at=3)
    renamed.name = "moved"
    assert train(tiny(), RECIPE, renamed, seed=5, checkpoint=path, stop_at=4).iterations == 4
    renamed.classes = ("red", "green", "cyan")
    with pytest.raises(InputError, match="run.pt: belongs to a training with classes 'red, green, blue', not 'red, "):
        train(tiny(), RECIPE, renamed, seed=5, checkpoint=path)
