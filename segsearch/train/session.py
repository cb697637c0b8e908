"""One training: everything that changes while it runs, the step that changes it, and how to put it away and back."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from segsearch.errors import InputError, SegsearchError
from segsearch.train.losses import supervised_loss
from segsearch.train.optimizer import Precision, make_optimizer, poly, set_learning_rate
from segsearch.train.recipe import Recipe


class DivergedError(SegsearchError):
    """The loss is no longer a number. A trial records it as failed: the same seed would do it again."""

    def __init__(self, step: int, total: int, loss: float, learning_rate: float) -> None:
        super().__init__(f"training diverged at step {step} of {total}: loss {loss}, learning rate {learning_rate:.3g}")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One finished optimiser step."""

    done: int
    """Steps finished, this one included."""
    total: int
    loss: float
    learning_rate: float


class Session:
    """A network in training on one device; the states of torch's random generators are part of it."""

    def __init__(
        self, network: nn.Module, recipe: Recipe, total: int, device: torch.device, class_weights: Tensor | None = None
    ) -> None:
        self.losses: list[float] = []
        self.whole = True
        """False from the moment a step begins to change things until it has changed them all."""
        self._network, self._recipe, self._total, self._device = network, recipe, total, device
        self._class_weights = class_weights
        self._precision = Precision(recipe.amp, device)
        self._optimizer = make_optimizer(network, recipe)

    @property
    def done(self) -> int:
        """Steps finished."""
        return len(self.losses)

    def step(self, image: Tensor, label: Tensor) -> Step:
        """Learn from one batch: image float B, 3, H, W and label int64 B, H, W, both on the session's device.

        Raises:
            DivergedError: the loss is NaN or infinite.
            torch.OutOfMemoryError: let through.
        """
        recipe = self._recipe
        rate = poly(self.done, self._total, base=recipe.learning_rate, power=recipe.power, warmup=recipe.warmup)
        self.whole = False
        loss = self._loss(image, label)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise DivergedError(self.done + 1, self._total, value, rate)
        set_learning_rate(self._optimizer, rate)
        self._update(loss)
        self.losses.append(value)
        self.whole = True
        return Step(done=self.done, total=self._total, loss=value, learning_rate=rate)

    def _loss(self, image: Tensor, label: Tensor) -> Tensor:
        supervise = cast(Callable[[Tensor], tuple[Tensor, ...]], self._network.supervise)
        with self._precision.forward():
            outputs = supervise(image)
        if len(outputs) > 1 and self._recipe.auxiliary == "none":
            raise InputError("recipe.auxiliary", "'none', but the network has auxiliary heads", "encoder, neck, both")
        weight = self._recipe.auxiliary_weight
        return supervised_loss(outputs, label, auxiliary_weight=weight, class_weights=self._class_weights)

    def _update(self, loss: Tensor) -> None:
        """Move the parameters by the gradients of ``loss``."""
        scaler = self._precision.scaler
        self._optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if self._recipe.clip_norm is not None:
            scaler.unscale_(self._optimizer)
            nn.utils.clip_grad_norm_(self._network.parameters(), self._recipe.clip_norm)
        scaler.step(self._optimizer)
        scaler.update()

    def state(self) -> dict[str, object]:
        """Everything a later session needs to go on as if there had been no break."""
        assert self.whole, "inside a step"
        return {
            "network": self._network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._precision.scaler.state_dict(),
            "losses": list(self.losses),
            "random": torch.get_rng_state(),
            "cuda_random": torch.cuda.get_rng_state(self._device) if self._device.type == "cuda" else None,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a `state`.

        Raises:
            KeyError, TypeError, ValueError, RuntimeError: it is not one of this network and optimiser.
        """
        self._network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._precision.scaler.load_state_dict(state["scaler"])
        self.losses = [float(loss) for loss in state["losses"]]
        torch.set_rng_state(state["random"])
        if self._device.type == "cuda" and state["cuda_random"] is not None:
            torch.cuda.set_rng_state(state["cuda_random"], self._device)
