"""The best that this machine has lately done on the reference network, kept for the next measurement and process.

A measurement alone cannot know that the machine was slow all the while. Two virtual cores that share a real one for
some seconds make two threads take twice as long, while one thread notices nothing; clocks and heat do the like.
"""

import json
import math
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from segsearch.errors import InputError
from segsearch.files import write_atomic
from segsearch.measure.device_lock import hardware_name, lock_folder
from segsearch.measure.machine import device_name

FORGET_SECONDS = 3600.0
"""A machine may become slower for good."""
CLEARLY = 0.97
"""So much better a block has to be, for the least of many is chance, and would in the end be out of reach. What short
runs are scaled by takes no harm from that, and would make a jump at the next that is clearly better."""
PROBE_SECONDS = 1.0
"""So long the reference is tried where nothing is known."""


class Level:
    """The best latency of the reference network on one device with so many threads, in milliseconds."""

    def __init__(self, file: Path, name: str, clearly: float = CLEARLY) -> None:
        self._file, self._name, self._clearly = file, name, clearly

    @property
    def remembered_ms(self) -> float | None:
        """What is remembered, if anything is."""
        kept = self._read().get(self._name)
        return kept and kept[0]

    def known_ms(self, reference: Callable[[], float]) -> float:
        """Return what is remembered; else try ``reference`` for a while and return its best."""
        if (kept := self.remembered_ms) is not None:
            return kept
        end, best = time.monotonic() + PROBE_SECONDS, reference()
        while time.monotonic() < end:
            best = min(best, reference())
        self.learn(best)
        return best

    def learn(self, reference_ms: float) -> None:
        """Remember this latency if it is less than ``clearly`` times what is known; else that that still holds.

        A file that cannot be written costs nothing else.
        """
        levels = self._read()
        before = levels.get(self._name, (math.inf, 0.0))[0]
        levels[self._name] = (reference_ms if reference_ms < self._clearly * before else before, time.time())
        with suppress(InputError):
            write_atomic(self._file, json.dumps(levels))

    def _read(self) -> dict[str, tuple[float, float]]:
        unreadable = (OSError, ValueError, TypeError, AttributeError, RecursionError, OverflowError)
        with suppress(*unreadable):  # not there, or not ours
            kept = json.loads(self._file.read_text(encoding="utf-8")).items()
            found = {str(name): (float(ms), float(at)) for name, (ms, at) in kept}
            return {name: pair for name, pair in found.items() if _holds(*pair)}
        return {}


def level_of(device: torch.device, how: str) -> Level:
    """Find the level on a device with torch's present number of threads; ``how``: ``blocks`` or ``short runs``.

    Its name tells all that the reference network's latency depends on; two GPUs of one make are not quite the same.
    """
    threads = f"{torch.get_num_threads()} threads"
    name = f"{device_name(device)} {hardware_name(device)}, {threads}, torch {torch.__version__}, {how}"
    return Level(lock_folder() / "reference.json", name, CLEARLY if how == "blocks" else 1.0)


def _holds(reference_ms: float, at: float) -> bool:
    return 0 < reference_ms < math.inf and 0 <= time.time() - at < FORGET_SECONDS
