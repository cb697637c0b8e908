"""Processes that train one network together, each on its share of every batch, as ``torchrun`` starts them."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from segsearch.errors import InputError, MachineError, one_line

LONGEST_WAIT = timedelta(days=1)
"""For other processes: the first one scores alone meanwhile. torchrun ends all of them where one dies."""


@dataclass(frozen=True, kw_only=True)
class Team:
    """Which process this is of those that train together; by default it is alone."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the files, scores, and speaks."""
        return self.rank == 0

    def check(self, batch_size: int, parts: int) -> None:
        """Raise InputError where a batch cannot be shared equally, in parts that BatchNorm can learn from."""
        each = batch_size // self.size
        if self.size > 1 and (batch_size % self.size or each % parts or each // parts < 2):
            problem = f"{batch_size} images in {parts} parts cannot be shared equally by {self.size} processes"
            raise InputError("recipe.batch_size", problem, "a multiple, so that each part has at least 2 images")

    def share(self, order: list[int]) -> list[int]:
        """Return this process's part of a batch's images."""
        each = len(order) // self.size
        return order[self.rank * each : (self.rank + 1) * each]

    def mean(self, value: Tensor) -> float:
        """Return the mean of a number over all processes, the same in each; NaN where it is NaN in one."""
        if self.size > 1:
            value = value.detach().clone()
            dist.all_reduce(value)
            value /= self.size
        return float(value.detach())

    @contextmanager
    def guarded(self, stop: Callable[[], bool]) -> Iterator[None]:
        """Turn what the end of another process causes here into an interrupt, if ``stop`` says that one was asked for.

        Raises:
            MachineError: another process died. KeyboardInterrupt: all were to stop, and another one did so first.
        """
        try:
            yield
        except RuntimeError as error:
            if self.size == 1 or not (isinstance(error, dist.DistError) or "gloo" in str(error)):
                raise
            if stop():
                raise KeyboardInterrupt from error
            line = "another process of this training ended; the same command goes on from the last checkpoint"
            raise MachineError(f"this machine: {line}") from error

    def wait(self) -> None:
        """Wait for all processes."""
        if self.size > 1:
            dist.barrier()

    def prepare(self, network: nn.Module, device: torch.device) -> None:
        """Let BatchNorm learn from all processes' images; on GPUs only, as torch has this for no other device."""
        if self.size > 1 and device.type == "cuda":
            nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]

    def wrap(self, module: nn.Module, device: torch.device) -> nn.Module:
        """Return a module whose backward pass leaves each process with the mean of all gradients."""
        if self.size == 1:
            return module
        return DistributedDataParallel(module, device_ids=[device] if device.type == "cuda" else None)


ALONE = Team()


def started_rank() -> int:
    """Return which of torchrun's processes this is; 0 where it started none. Raises InputError for no number."""
    return _told("RANK", 0)


def _told(name: str, default: int | None = None) -> int:
    """Return a number that torchrun set. Raises InputError where it is none, or is needed and not set."""
    value = os.environ.get(name, "" if default is None else str(default))
    if not value.isdecimal():
        raise InputError(f"environment variable {name}", f"is '{value}'", "a number, as torchrun sets it")
    return int(value)


@contextmanager
def joined(device: str) -> Iterator[tuple[Team, str]]:
    """Join the processes that torchrun started; gives the team, and the device of this process.

    Args:
        device: ``cpu`` or ``cuda``, of which each process takes one GPU.

    Raises:
        InputError: one GPU is named, which several processes cannot share; or what torchrun sets is incomplete.
        MachineError: the processes do not find each other.
    """
    size = _told("WORLD_SIZE", 1)
    if size == 1:
        yield ALONE, device
        return
    if device.startswith("cuda:"):
        raise InputError("--device", f"{device} is one GPU, and {size} processes were started", "cpu, cuda")
    if device == "cuda":
        device = f"cuda:{_told('LOCAL_RANK')}"
        torch.cuda.set_device(device)
    for name in ("RANK", "MASTER_PORT"):
        _told(name)
    try:
        dist.init_process_group("gloo" if device == "cpu" else "nccl", timeout=LONGEST_WAIT)
    except (ValueError, RuntimeError) as error:
        raise MachineError(f"this machine: the processes do not find each other: {one_line(error)}") from error
    try:
        yield Team(rank=dist.get_rank(), size=size), device
    finally:
        dist.destroy_process_group()
