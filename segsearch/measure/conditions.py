"""What a latency is measured under; two that differ in it are not to be compared."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from segsearch.errors import InputError
from segsearch.measure.timer import MOST_THREADS, TimerSettings


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Where, by what and how long to time a network."""

    device: str = "cpu"
    """``cpu``, ``cuda`` or ``cuda:N``."""
    backend: str = "eager"
    """A row of `segsearch.measure.backends.table.BACKENDS`."""
    precision: str | None = None
    """One that the backend knows; default: as the network's weights are."""
    threads: int | None = None
    """Of the processor; default: torch's present number. Put back afterwards."""
    timer: TimerSettings = field(default_factory=TimerSettings)
    """When warm-up and sampling end, before it is adapted to the kind of device."""
    host: bool = False
    """Whether to measure from an encoded image to a mask in memory, too: one image in, one mask out."""


PLAIN = Conditions()
"""The processor, plain torch, the timer's defaults."""


def check_threads(threads: int | None) -> None:
    """Raise InputError for a number that no processor has; None is torch's own."""
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise InputError("threads", f"{threads} is too {'few' if threads < 1 else 'many'}", f"1 to {MOST_THREADS}")


@contextlib.contextmanager
def torch_threads(threads: int | None) -> Iterator[None]:
    """Let torch use that many threads of the processor inside the block; as many as before when None."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
