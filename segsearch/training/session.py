"""One training: everything that changes while it runs, the step that changes it, and how to put it away and back."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from segsearch.errors import DivergedError, InputError, one_line
from segsearch.quiet import quiet
from segsearch.training.average import Average
from segsearch.training.distill import distillation
from segsearch.training.losses import supervised_loss
from segsearch.training.optimizer import Precision, make_optimizer, set_learning_rate
from segsearch.training.parallel import ALONE, Team
from segsearch.training.recipe import Recipe
from segsearch.training.schedules import rate_at


@dataclass(frozen=True, kw_only=True)
class Step:
    """One finished optimiser step."""

    done: int
    """Steps finished, this one included."""
    total: int
    loss: float
    learning_rate: float
    waited: float = 0.0
    """Share of the step's time that went by until its batch was there."""


class Supervised(nn.Module):
    """A network with its loss: the part of a step that is differentiated, whole, for whatever wraps a module."""

    def __init__(
        self, network: nn.Module, recipe: Recipe, precision: Precision, class_weights: Tensor | None = None
    ) -> None:
        super().__init__()
        self.network = network
        self._recipe, self._precision, self._class_weights = recipe, precision, class_weights

    def forward(self, image: Tensor, label: Tensor, taught: Tensor | None = None) -> Tensor:
        """Image float B, 3, H, W, label int64 B, H, W and a teacher's logits B, K, H, W to one number, float32."""
        supervise = cast(Callable[[Tensor], tuple[Tensor, ...]], self.network.supervise)
        with self._precision.forward():
            outputs = supervise(image)
        loss = supervised_loss(outputs, label, self._recipe, self._class_weights)
        if taught is not None:
            loss = loss + self._recipe.distill_weight * distillation(outputs[0], taught, self._recipe.temperature)
        return loss


_COMPILED = "was computed with torch.compile"


class Compiled(nn.Module):
    """A module run through torch.compile, for each shape of its inputs anew."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        with quiet():  # of what torch's own modules do that is deprecated
            self._run = torch.compile(module, dynamic=False)

    def forward(self, *inputs: Tensor | None) -> Tensor:
        """See the module.

        Raises:
            InputError: the compiler fails, or finds no other compiler that it needs.
        """
        from torch._dynamo.exc import TorchDynamoException  # a second that only who compiles has to wait

        try:
            with quiet():
                made: Tensor = self._run(*inputs)
        except TorchDynamoException as error:
            cure = "the same command without it goes on; on processors it needs a C++ compiler such as g++"
            problem = f"torch's compiler failed: {one_line(str(error).splitlines()[0])}"
            raise InputError("--compile", problem, cure) from error
        return made


class Session:
    """A network in training on one device; the states of torch's random generators are part of it.

    Attributes:
        losses: of every step that counts.
        whole: False from the moment a step begins to change things until it has changed them all.
        parts: in which a batch is learnt, one after another.
        retreats: how often it went back to an earlier state because the loss was no longer a number.
        scores: by the number of steps, what `Score` said of the weights then.
        notes: what happened otherwise than planned, in sentences.
    """

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        *,
        images: int,
        device: torch.device,
        class_weights: Tensor | None = None,
        teacher: nn.Module | None = None,
        compiled: bool = False,
        team: Team = ALONE,
    ) -> None:
        self.losses: list[float] = []
        self.whole = True
        self.parts, self.retreats = recipe.accumulate, 0
        self.scores: dict[int, float | None] = {}
        self.notes: list[str] = []
        self.total = recipe.total_steps(images)
        self.device = device
        self._network, self._recipe, self._images, self._class_weights = network, recipe, images, class_weights
        self._precision = Precision(recipe.amp, device)
        self._team, self._teacher = team, teacher
        self._processes = team.size
        """Those of its checkpoint, until `note_processes`."""
        self._supervised = team.wrap(Supervised(network, recipe, self._precision, class_weights), device)
        if compiled:
            self._supervised = Compiled(self._supervised)
        self._optimizer = make_optimizer(network, recipe)
        self._average = Average(network, recipe.ema) if recipe.ema is not None else None

    def note_way(self, compiled: bool) -> None:
        """Note where steps begin to be computed with torch.compile, or without it again, as their rounding differs."""
        told = [note for note in self.notes if "torch.compile" in note]
        if compiled != (bool(told) and told[-1].startswith(_COMPILED)):
            way = _COMPILED if compiled else "was computed without torch.compile"
            self.notes.append(f"{way} from step {self.done + 1} on")

    def note_processes(self) -> None:
        """Note where another number of processes goes on: each draws its own views, and BatchNorm sees other parts."""
        if self.done and self._processes != self._team.size:
            count = f"{self._team.size} process{'es' if self._team.size > 1 else ''}"
            self.notes.append(f"was computed by {count} from step {self.done + 1} on, and by {self._processes} before")
        self._processes = self._team.size

    @property
    def done(self) -> int:
        """Steps finished."""
        return len(self.losses)

    def step(self, image: Tensor, label: Tensor, *, looked_at: bool = False) -> Step:
        """Learn from one batch: image float B, 3, H, W and label int64 B, H, W, both on the session's device.

        A batch in several parts has the mean of the parts' losses. The weights of a step that is ``looked_at``,
        as it is the last one or is scored, must be numbers; of others the loss of the next one tells that.

        Raises:
            DivergedError: the loss is NaN or infinite, or a weight that is looked at.
            torch.OutOfMemoryError: let through.
        """
        rate = rate_at(self.done, self.total, self._images, self._recipe)
        self.whole = False
        self._optimizer.zero_grad(set_to_none=True)
        value = 0.0
        for images, labels in zip(image.chunk(self.parts), label.chunk(self.parts), strict=True):
            loss = self._supervised(images, labels, self._taught(images)) / self.parts
            value += self._team.mean(loss)
            if not math.isfinite(value):
                place = f"step {self.done + 1} of {self.total}"
                raise DivergedError(f"training diverged at {place}: loss {value}, learning rate {rate:.3g}")
            self._precision.scaler.scale(loss).backward()
        set_learning_rate(self._optimizer, rate)
        self._update()
        if looked_at and not self.finite:
            place = f"step {self.done + 1} of {self.total}"
            raise DivergedError(
                f"training diverged at {place}: weights are NaN or infinite, not numbers, learning rate {rate:.3g}"
            )
        self.losses.append(value)
        if self._average is not None:
            self._average.update(self.done)
        self.whole = True
        return Step(done=self.done, total=self.total, loss=value, learning_rate=rate)

    def kept_bytes(self, image: Tensor, label: Tensor) -> int:
        """Return the bytes that autograd keeps of images until the backward pass; a step takes more.

        Nothing is changed.
        """
        kept = dict[int, int]()
        image, label = image.clone(), label.clone()  # of a part, autograd keeps the whole batch, which is there anyway
        held = {tensor.untyped_storage().data_ptr() for tensor in self._network.state_dict().values()}

        def count(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in held:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        with self.delivered() as network, torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            supervised = Supervised(network, self._recipe, self._precision, self._class_weights)
            supervised(image, label, self._taught(image))
        return sum(kept.values())

    def _taught(self, image: Tensor) -> Tensor | None:
        """Logits of the teacher, if there is one."""
        if self._teacher is None:
            return None
        with torch.no_grad(), self._precision.forward():
            taught: Tensor = self._teacher(image)
        return taught

    def _update(self) -> None:
        """Move the parameters by their gradients."""
        scaler = self._precision.scaler
        if self._recipe.clip_norm is not None:
            scaler.unscale_(self._optimizer)
            nn.utils.clip_grad_norm_(self._network.parameters(), self._recipe.clip_norm)
        scaler.step(self._optimizer)
        scaler.update()

    @property
    def finite(self) -> bool:
        """Whether no weight is NaN or infinite: an update can spoil them and leave its own loss a number."""
        return all(bool(torch.isfinite(tensor).all()) for tensor in self._network.state_dict().values())

    @contextmanager
    def delivered(self) -> Iterator[nn.Module]:
        """Give the network with the weights that a training ending here would deliver; what is done to it is undone."""
        own = {name: tensor.clone() for name, tensor in self._network.state_dict().items()}
        modes = {module: module.training for module in self._network.modules()}
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            try:
                self._take_average()
                yield self._network
            finally:
                self._network.load_state_dict(own)
                for module, mode in modes.items():
                    module.training = mode

    def deliver(self) -> dict[str, Tensor] | None:
        """Give the network its averaged weights; return the last step's own, or None where nothing is averaged."""
        if self._average is None:
            return None
        own = {name: tensor.clone() for name, tensor in self._network.state_dict().items()}
        self._take_average()
        return own

    def _take_average(self) -> None:
        if self._average is not None:
            self._network.load_state_dict(self._average.tensors, strict=False)

    def state(self) -> dict[str, object]:
        """Everything a later session needs to go on as if there had been no break."""
        assert self.whole, "inside a step"
        return {
            "network": self._network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._precision.scaler.state_dict(),
            "average": self._average.tensors if self._average is not None else None,
            "losses": list(self.losses),
            "parts": self.parts,
            "retreats": self.retreats,
            "scores": dict(self.scores),
            "notes": list(self.notes),
            "processes": self._processes,
            "random": torch.get_rng_state(),
            "cuda_random": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a `state`.

        Raises:
            KeyError, TypeError, ValueError, RuntimeError: it is not one of this network and optimiser.
        """
        self._network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._precision.scaler.load_state_dict(state["scaler"])
        average = state["average"]
        if self._average is not None:
            self._average.restore(average)
        self.losses = [float(loss) for loss in state["losses"]]
        self.parts, self.retreats = int(state["parts"]), int(state["retreats"])
        self.scores = dict(state["scores"])
        self.notes = [str(note) for note in state["notes"]]
        self._processes = int(state.get("processes", self._processes))
        torch.set_rng_state(state["random"])
        if self.device.type == "cuda" and state["cuda_random"] is not None:
            torch.cuda.set_rng_state(state["cuda_random"], self.device)
        self.whole = True
