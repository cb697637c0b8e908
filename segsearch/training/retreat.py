"""What a training does when a step fails: it goes back to an earlier state and tries in another way."""

import copy
import traceback
from collections import deque

import torch
from torch import Tensor

from segsearch.errors import DivergedError
from segsearch.processes import machine_memory_bytes
from segsearch.training.recipe import Recipe, divides
from segsearch.training.session import Session

MOST_KEPT = 1000
"""No network keeps more than this times the bytes of its images until the backward pass; published ones keep 30 to 190
times as much."""
MOST_SHARE = 0.6
"""Largest share of a machine's memory for what a network keeps so: a whole step takes 1.2 to 1.5 times as much."""
STEPS_APART = 100
"""Between two states kept in memory; the older of the last two is gone back to, as sane losses followed it."""


class Retreat:
    """Keeps a session's way back.

    A loss that is no number: back once, and on with other batches, as the same ones would lead there again. Memory that
    is short: back, and on with each batch in twice as many parts, as long as it can be cut. On a
    processor that is decided before the step, as the system kills a process that takes too much.
    """

    def __init__(self, session: Session, recipe: Recipe) -> None:
        self._session, self._batch_size = session, recipe.batch_size
        self._states = deque([copy.deepcopy(session.state())], maxlen=2)
        self._memory = machine_memory_bytes()
        self._kept_per_image: float | None = None

    def check_memory(self, image: Tensor, label: Tensor) -> None:
        """Raise torch.OutOfMemoryError where a processor's memory cannot hold one part of this batch."""
        session, memory = self._session, self._memory
        if session.device.type != "cpu" or MOST_KEPT * image.nbytes / session.parts <= memory:
            return
        if self._kept_per_image is None:
            self._kept_per_image = session.kept_bytes(image[:2], label[:2]) / 2
        kept = self._kept_per_image * len(image) / session.parts
        if kept > MOST_SHARE * memory:
            raise torch.OutOfMemoryError(f"a step needs more than {kept / 2**30:.1f} of {memory / 2**30:.1f} GiB")

    def tick(self) -> None:
        """Keep the state after every so many steps."""
        if self._session.done % STEPS_APART == 0:
            self._states.append(copy.deepcopy(self._session.state()))

    def after_divergence(self, error: DivergedError) -> None:
        """Go back. Raises DivergedError where that was tried before."""
        if self._session.retreats:
            raise DivergedError(f"{error}; before that, it {self._session.notes[-1]}") from error
        self._go_back("the loss was no longer a number, and on with other batches")
        self._session.retreats += 1

    def after_short_memory(self, error: RuntimeError) -> None:
        """Go back, to smaller parts. Raises the error where the batch cannot be cut any further."""
        parts = 2 * self._session.parts
        if not divides(self._batch_size, parts):
            raise error
        traceback.clear_frames(error.__traceback__)  # which hold what fills the memory
        if self._session.device.type == "cuda":
            torch.cuda.empty_cache()
        size = self._batch_size // parts
        self._go_back(f"memory was short, and on with {size} images at a time, whose statistics BatchNorm then takes")
        self._session.parts = parts

    def _go_back(self, why: str) -> None:
        session, state = self._session, self._states[0]
        failed, kept = session.done + 1, {"parts": session.parts, "retreats": session.retreats, "notes": session.notes}
        session.restore(copy.deepcopy(state) | kept)
        session.notes.append(f"went back from step {failed} to step {session.done}, as {why}")
        self._states = deque([state], maxlen=2)
