"""What a training does when a step fails: it goes back to an earlier state and tries in another way."""

import copy
import traceback
from collections import deque

import torch

from segsearch.errors import DivergedError
from segsearch.training.recipe import Recipe, divides
from segsearch.training.session import Session

STEPS_APART = 100
"""Between two states kept in memory; the older of the last two is gone back to, as sane losses followed it."""


class Retreat:
    """Keeps a session's way back.

    A loss that is no number: back once, and on with other batches, as the same ones would lead there again. Memory that
    is short: back, and on with each batch in twice as many parts, as long as it can be cut.
    """

    def __init__(self, session: Session, recipe: Recipe) -> None:
        self._session, self._batch_size = session, recipe.batch_size
        self._states = deque([copy.deepcopy(session.state())], maxlen=2)

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

    def after_short_memory(self, error: torch.OutOfMemoryError) -> None:
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
