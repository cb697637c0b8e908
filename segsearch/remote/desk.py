"""Between the threads that talk to callers and the main thread that measures: one job at a time."""

import queue
import threading
from dataclasses import dataclass, field

from segsearch.remote.protocol import Event, Job


class GoneError(Exception):
    """The caller has left: nobody waits for this measurement."""


@dataclass(eq=False)
class Visit:
    """One job on its way: what was asked, what is told, and whether the caller is still there."""

    job: Job
    graph: bytes
    caller: str
    events: "queue.SimpleQueue[Event]" = field(default_factory=queue.SimpleQueue)
    stage: str = ""
    gone: bool = False
    """Set once by the thread that talks, read by the one that measures."""
    closed: threading.Event = field(default_factory=threading.Event)
    """Set when the caller has been told the last event, or has left."""

    def tell(self, event: Event) -> None:
        """Queue an event for the caller."""
        self.events.put(event)

    def tell_stage(self, stage: str) -> None:
        """Queue a stage, unless the caller knows it already."""
        if stage != self.stage:
            self.stage = stage
            self.tell(Event(stage=stage))

    def ask(self) -> None:
        """Raise GoneError if the caller has left."""
        if self.gone:
            raise GoneError


class Desk:
    """Takes one visit at a time; whoever comes meanwhile is sent away."""

    def __init__(self) -> None:
        self._taken = threading.Lock()
        self._visits: queue.SimpleQueue[Visit] = queue.SimpleQueue()

    def take(self) -> bool:
        """Reserve the desk, to be followed by `hand_over` or `free`; False if it is taken."""
        return self._taken.acquire(blocking=False)

    def free(self) -> None:
        """Let the next one come."""
        self._taken.release()

    def hand_over(self, visit: Visit) -> None:
        """Give the visit to the thread that measures."""
        self._visits.put(visit)

    def next(self) -> Visit:
        """Wait for a visit; `free` follows when it is over."""
        return self._visits.get()
