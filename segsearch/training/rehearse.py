"""A few steps of a training, to guess what all of them take."""

import itertools
import statistics
import time
from dataclasses import dataclass

import torch
from torch import nn

from segsearch.data.dataset import Dataset
from segsearch.measure.machine import find_device
from segsearch.measure.memory import MemoryWatch, memory_errors
from segsearch.training.distill import Teacher
from segsearch.training.loop import train
from segsearch.training.recipe import Recipe
from segsearch.training.session import Step

TIMED_STEPS = 2


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """What one step takes."""

    seconds_per_step: float
    mib: float | None
    """Memory that all steps together take, on a GPU with the network; None where the system does not tell."""
    notes: tuple[str, ...] = ()
    """What went otherwise than planned, as where memory was short."""


def rehearse(
    network: nn.Module,
    recipe: Recipe,
    dataset: Dataset,
    device: str | torch.device,
    *,
    teacher: Teacher | None = None,
    compiled: bool = False,
) -> Rehearsal:
    """Train a network for one step and a few that are timed. It is not to be used afterwards.

    Raises:
        InputError: a training image cannot be read. FullDeviceError: network and batch do not fit into the memory.
    """
    device, marks, notes = find_device(str(device)), list[float](), list[str]()
    short = recipe.model_copy(update={"iterations": 1 + TIMED_STEPS, "epochs": None, "warmup": 0})
    watch = MemoryWatch(device)

    def mark(step: Step) -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        marks.append(time.perf_counter())

    def run() -> None:
        result = train(
            network,
            short,
            dataset,
            seed=0,
            device=device,
            channels_last=True,
            on_step=mark,
            teacher=teacher,
            compiled=compiled,
        )
        notes.extend(result.notes)

    with memory_errors(device):
        mib = watch.running_mib(run)
    seconds = statistics.median(later - earlier for earlier, later in itertools.pairwise(marks))
    return Rehearsal(seconds_per_step=seconds, mib=mib, notes=tuple(notes))
