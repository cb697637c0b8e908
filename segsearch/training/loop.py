"""Training of a network by a recipe, a dataset and a seed; resumed, it gives the weights of an uninterrupted one."""

import dataclasses
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from segsearch.data.augment import Augment
from segsearch.data.dataset import Dataset
from segsearch.data.loader import Stream, batches, stream_of
from segsearch.errors import DivergedError, InputError
from segsearch.interrupt import deferred_interrupts
from segsearch.measure.device_lock import working
from segsearch.measure.machine import find_device
from segsearch.measure.memory import lacks_memory
from segsearch.training.checkpoint import Stamp, shape_digest
from segsearch.training.distill import Teacher
from segsearch.training.keeper import Keeper
from segsearch.training.losses import CLASS_WEIGHTS, count_pixels
from segsearch.training.memory_format import memory_format_of
from segsearch.training.parallel import ALONE, Team
from segsearch.training.recipe import Recipe
from segsearch.training.retreat import Retreat
from segsearch.training.session import Session, Step

OnStep = Callable[[Step], None]
"""Called after every step; an exception from it ends the training, which can be resumed."""

Score = Callable[[int, nn.Module], float | None]
"""Called with the number of steps and the network, which has the weights that a training ending there would give; what
it returns is kept in the checkpoint."""


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """Result of a training, beside the weights."""

    iterations: int
    """Steps finished: all, or those before a pause."""
    seconds: float
    """Time in the loop, over all sessions of a resumed training; data, checkpoints and callbacks included."""
    final_loss: float
    """Loss of the last batch."""
    losses: tuple[float, ...]
    """Loss of every step."""
    last: dict[str, Tensor] | None = None
    """With `Recipe.ema`, the state dict of the last step's own weights, on the device; else the network has them."""
    scores: dict[int, float | None]
    """What `Score` returned, by the number of steps."""
    notes: tuple[str, ...] = ()
    """What went otherwise than planned, in phrases about the training: ``went back from step 30 to step 0, ...``."""


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
    score_at: Collection[int] = (),
    score: Score | None = None,
    stop_at: int | None = None,
    teacher: Teacher | None = None,
    compiled: bool = False,
    team: Team = ALONE,
) -> TrainResult:
    """Train a network in place; it ends on ``device``, in train mode, with averaged weights where `Recipe.ema` is set.

    The same network, recipe, data and seed give the same weights, bit by bit, on one CPU thread. The caller's random
    generators, of the processor and of ``device``, are left as they were. With a ``checkpoint`` path the state is
    written there every ``every_seconds``, at the end or pause, and when a SIGINT or an exception of a callback or of
    the data stops the loop; a later call with the same arguments goes on from it, and a call after the end returns at
    once with the trained weights.

    A loss that is NaN or infinite, or a device without memory left, leads back to an earlier state: see `Retreat`. That
    state depends on where the training was last taken up, and so do the weights from there on.

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
        score_at: numbers of steps after which ``score`` is called, before ``on_step``; again if the process was killed.
        score: see `Score`. The training goes on as if it had not been called; it must leave the network on ``device``.
        stop_at: pause after this step of the whole schedule, at least 1; a later call with another number or none goes
            on, to the same weights as without the pause. Without effect where the checkpoint is further.
        teacher: whom the recipe's ``teacher`` names.
        compiled: run the training's steps through torch.compile; a call with a checkpoint may have it or not.
        team: the processes that all call this with the same arguments. The first one alone writes and calls ``score``.

    Raises:
        DivergedError: the loss became NaN or infinite, twice.
        InputError: an empty dataset, a batch that the team cannot share, a checkpoint that is damaged or foreign, or
            torch.compile failed.
        DeviceError: the device is not there, or cannot compute in the recipe's precision.
        RuntimeError: not even two images fit into the memory at a time; see `lacks_memory`.
        KeyboardInterrupt: let through, after the checkpoint.
    """
    if len(dataset) == 0:
        raise InputError(dataset.name, "has no images to train on")
    assert getattr(network, "classes", len(dataset.classes)) == len(dataset.classes), "a network for other classes"
    assert stop_at is None or stop_at >= 1, f"stop_at {stop_at}"
    assert (teacher is None) == (recipe.teacher is None), "a teacher, and a recipe for one"
    total, device = recipe.total_steps(len(dataset)), find_device(str(device))
    team.check(recipe.batch_size, recipe.accumulate)
    team.prepare(network, device)
    network.to(device, memory_format=memory_format_of(network, device, channels_last))  # type: ignore[call-overload]
    network.train()
    stamp = Stamp(
        recipe=recipe.id,
        seed=seed,
        network=shape_digest(network),
        classes=", ".join(dataset.classes),
        images=len(dataset),
        steps=total,
        teacher=None if teacher is None else teacher.sha256,
    )
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        taught_by = None if teacher is None else teacher.ready(device, channels_last)
        torch.manual_seed(seed)
        session = Session(
            network,
            recipe,
            images=len(dataset),
            device=device,
            class_weights=_class_weights(recipe, dataset, device),
            teacher=taught_by,
            compiled=compiled,
            team=team,
        )
        keeper = Keeper(session, checkpoint, stamp, every_seconds, writes=team.leads)
        keeper.resume()
        session.note_way(compiled)
        session.note_processes()
        run = _Run(session, recipe, dataset, seed, keeper, team)
        run.until(min(total, stop_at or total), on_step, frozenset(score_at), score if team.leads else None)
        last = session.deliver()
    return TrainResult(
        iterations=session.done,
        seconds=keeper.seconds,
        final_loss=session.losses[-1],
        losses=tuple(session.losses),
        last=last,
        scores=dict(session.scores),
        notes=tuple(session.notes),
    )


class _Run:
    """The loop over the steps of one session."""

    def __init__(
        self, session: Session, recipe: Recipe, dataset: Dataset, seed: int, keeper: Keeper, team: Team
    ) -> None:
        self._session, self._recipe, self._dataset, self._seed, self._keeper = session, recipe, dataset, seed, keeper
        self._team = team
        self._retreat = Retreat(session, recipe)
        self._stream: Stream | None = None

    def until(self, end: int, on_step: OnStep | None, score_at: frozenset[int], score: Score | None) -> None:
        """Run up to step ``end``; if an exception stops it between two steps, a checkpoint is written."""
        session, keeper = self._session, self._keeper

        def score_if_due() -> None:
            if score is not None and session.done in score_at - session.scores.keys():
                with session.delivered() as network:
                    session.scores[session.done] = score(session.done, network)

        with deferred_interrupts() as release_interrupt:
            try:
                score_if_due()  # where an earlier call ended before it
                for step in self._steps(end, score_at | {end}):
                    score_if_due()
                    if on_step is not None:
                        on_step(step)
                    keeper.tick()
                    release_interrupt()
            except BaseException:
                if session.whole:
                    keeper.save()
                raise
            keeper.save()

    def _steps(self, end: int, looked_at: frozenset[int]) -> Iterator[Step]:
        """Take steps, from an earlier state again where one fails."""
        while self._session.done < end:
            try:
                batches = self._batches(end)
                while self._session.done < end:
                    with working(self._session.device):  # no image is read and no step taken while something is timed
                        begun = time.perf_counter()
                        image, label = next(batches)
                        ready = time.perf_counter()
                        self._retreat.check_memory(image, label)
                        step = self._session.step(image, label, looked_at=self._session.done + 1 in looked_at)
                        waited = (ready - begun) / (time.perf_counter() - begun)
                    yield dataclasses.replace(step, waited=waited)
                    self._retreat.tick()
            except DivergedError as error:
                self._retreat.after_divergence(error)
            except RuntimeError as error:
                if not lacks_memory(error) or self._team.size > 1:
                    raise  # the other processes of a team know nothing of it, and wait for this one
                self._retreat.after_short_memory(error)

    def _batches(self, end: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches from where the session is: image float B, 3, H, W and label int64 B, H, W; others after a retreat."""
        recipe, session = self._recipe, self._session
        views = Augment(**{name: getattr(recipe, name) for name in Augment.__dataclass_fields__})
        seed = self._seed + (session.retreats << 64)
        self._stream = self._stream or stream_of(self._dataset, session.device)
        return batches(
            self._dataset,
            recipe.batch_size,
            views,
            seed,
            session.done,
            end,
            session.device,
            self._stream,
            self._team.share,
            self._team.rank,
        )


def _class_weights(recipe: Recipe, dataset: Dataset, device: torch.device) -> Tensor | None:
    if recipe.class_weights == "none":
        return None
    return CLASS_WEIGHTS[recipe.class_weights](count_pixels(dataset)).to(device)
