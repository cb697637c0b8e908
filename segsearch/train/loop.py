"""Training of a network by a recipe, a dataset and a seed; resumed, it gives the weights of an uninterrupted one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from segsearch.data.augment import Augment
from segsearch.data.dataset import Dataset
from segsearch.data.loader import batches
from segsearch.errors import InputError
from segsearch.measure.device_lock import working
from segsearch.train.checkpoint import Stamp, fingerprint
from segsearch.train.device import find_device, memory_format_of
from segsearch.train.interrupt import deferred_interrupts
from segsearch.train.keeper import Keeper
from segsearch.train.losses import count_pixels, enet_weights
from segsearch.train.recipe import Recipe
from segsearch.train.session import Session, Step

OnStep = Callable[[Step], None]
"""Called after every step; an exception from it ends the training, which can be resumed."""


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """Result of a training, beside the weights."""

    iterations: int
    seconds: float
    """Time in the loop, over all sessions of a resumed training; data, checkpoints and callbacks included."""
    final_loss: float
    """Loss of the last batch."""
    losses: tuple[float, ...]
    """Loss of every step."""


def train(
    network: nn.Module,
    recipe: Recipe,
    dataset: Dataset,
    *,
    seed: int,
    device: str | torch.device = "cpu",
    checkpoint: Path | None = None,
    every_seconds: float = 60.0,
    channels_last: bool = False,
    on_step: OnStep | None = None,
) -> TrainResult:
    """Train a network in place; it ends on ``device``, in train mode.

    The same network, recipe, data and seed give the same weights, bit by bit, on one CPU thread. The caller's random
    generators are left as they were. With a ``checkpoint`` path the state is written there every ``every_seconds``, at
    the end, and when a SIGINT or an exception of ``on_step`` or of the data stops the loop; a later call with the same
    arguments goes on from it, and a call after the end returns at once with the trained weights.

    Args:
        network: gives ``supervise(image B, 3, H, W) -> (logits B, K, h, w, auxiliary logits ...)``.
        recipe: how to train.
        dataset: training images; whatever is held out must not be in it.
        seed: of the batches, the augmentation and dropout. Initial weights are the caller's.
        device: where to train.
        checkpoint: file of the resumable state, in a folder that is there.
        every_seconds: longest time between two checkpoints, see `Keeper.tick`; 0 writes one after every step.
        channels_last: use the channels-last memory format, where it is safe: see `memory_format_of`.
        on_step: called after every step.

    Raises:
        DivergedError: the loss became NaN or infinite.
        InputError: an empty dataset, a warm-up longer than the training, or a checkpoint that is damaged or foreign.
        DeviceError: the device is not there, or cannot compute in the recipe's precision.
        torch.OutOfMemoryError: let through.
        KeyboardInterrupt: let through, after the checkpoint.
    """
    if len(dataset) == 0:
        raise InputError(dataset.name, "has no images to train on")
    assert getattr(network, "classes", len(dataset.classes)) == len(dataset.classes), "a network for other classes"
    total, device = recipe.total_steps(len(dataset)), find_device(device)
    network.to(device, memory_format=memory_format_of(network, device, channels_last))  # type: ignore[call-overload]
    network.train()
    stamp = Stamp(
        recipe=recipe.id,
        seed=seed,
        network=fingerprint(network),
        dataset=dataset.name,
        images=len(dataset),
        steps=total,
    )
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        session = Session(network, recipe, total, device, _class_weights(recipe, dataset, device))
        keeper = Keeper(session, checkpoint, stamp, every_seconds)
        keeper.resume()
        _run(session, _stream(recipe, dataset, seed, session.done, total, device), keeper, on_step, device)
    return TrainResult(
        iterations=session.done, seconds=keeper.seconds, final_loss=session.losses[-1], losses=tuple(session.losses)
    )


def _run(
    session: Session,
    stream: Iterator[tuple[Tensor, Tensor]],
    keeper: Keeper,
    on_step: OnStep | None,
    device: torch.device,
) -> None:
    """Run all steps of ``stream``; if an exception stops it between two steps, a checkpoint is written."""
    with deferred_interrupts() as release_interrupt:
        try:
            for image, label in stream:
                with working(device):  # nothing trains on a device while something is timed there
                    step = session.step(image, label)
                if on_step is not None:
                    on_step(step)
                keeper.tick()
                release_interrupt()
        except BaseException:
            if session.whole:
                keeper.save()
            raise
        keeper.save()


def _stream(
    recipe: Recipe, dataset: Dataset, seed: int, start: int, total: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches from step ``start`` on: image float B, 3, H, W and label int64 B, H, W."""
    views = Augment(flip=recipe.flip, scale=recipe.scale, crop=recipe.crop)
    return batches(dataset, recipe.batch_size, views, seed, start, total, device)


def _class_weights(recipe: Recipe, dataset: Dataset, device: torch.device) -> Tensor | None:
    return enet_weights(count_pixels(dataset)).to(device) if recipe.class_weights == "enet" else None
