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
"""Times the bytes of its images that no network keeps for the backward pass: the published ones keep 30 to 190."""
MOST_SHARE = 0.6
"""Of the memory, by what a network keeps: a whole step takes 1.2 to 1.5 times that."""
STEPS_APART = 100
"""Between two states kept in memory; the older of the last two is gone back to, as sane losses followed it."""


class Retreat:
    """Keeps a session's way back.

    A loss that is no number: back once, and on with other batches, as the same ones would lead there again. Memory that
    is short: back, and on with each batch in twice as many parts, as long as it can be cut. A processor's memory is
    looked at before, as the system would kill this process.
    """

    def __init__(self, session: Session, recipe: Recipe) -> None:
        self._session, self._batch_size = session, recipe.batch_size
        self._states = deque([copy.deepcopy(session.state())], maxlen=2)
        self._fitting_parts: int | None = None

    def before(self, image: Tensor, label: Tensor) -> None:
        """Look at a batch before its step. Raises torch.OutOfMemoryError where a processor's memory cannot hold it."""
        session = self._session
        if session.device.type != "cpu" or session.parts == self._fitting_parts:
            return
        memory = machine_memory_bytes()
        if MOST_KEPT * image.nbytes / session.parts > memory:
            kept = session.kept_bytes(image[:2], label[:2]) * len(image) / (2 * session.parts)
            if kept > MOST_SHARE * memory:
                raise torch.OutOfMemoryError(f"a step needs more than {kept / 2**30:.1f} of {memory / 2**30:.1f} GiB")
        self._fitting_parts = session.parts

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
