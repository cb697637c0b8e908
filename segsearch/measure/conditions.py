"""What a latency is measured under; two that differ in it are not to be compared."""

from dataclasses import dataclass, field
from typing import Literal

from segsearch.measure.timer import TimerSettings

Unsteady = Literal["note", "refuse"]
"""What to do where the reference network moved: keep the record and say so in it, or refuse."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Where, by what and how carefully to time a network."""

    device: str = "cpu"
    """``cpu``, ``cuda`` or ``cuda:N``."""
    backend: str = "eager"
    """A row of `segsearch.measure.backends.table.BACKENDS`."""
    precision: str | None = None
    """One that the backend knows; as the network's weights are when left out."""
    threads: int | None = None
    """Of the processor; torch's present number when left out. Put back afterwards."""
    timer: TimerSettings = field(default_factory=TimerSettings)
    """When warm-up and sampling end, before it is adapted to the kind of device."""
    unsteady: Unsteady = "note"
    host: bool = False
    """Whether to measure from an encoded image to a mask in memory, too: one image in, one mask out."""


PLAIN = Conditions()
"""The processor, plain torch, the timer's defaults."""
