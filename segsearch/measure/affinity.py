"""Which processors a measurement is held to: as many as it has threads, and the same for network and reference.

The reference tells of the processors it runs on. OpenVINO computes on a thread of its own, and with fewer threads than
processors that one ran on another processor than the reference: on two processors of shared hardware the latencies of
the two did not move together at all (correlation 0.1), and held to one processor they did (0.75).
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil

Processors = tuple[int, ...]
Pin = Callable[[], None]
"""Holds the threads that were started since, too."""
_SYSTEM = Path("/sys/devices/system/cpu")


@contextlib.contextmanager
def pinned(threads: int) -> Iterator[tuple[Processors | None, Pin]]:
    """Pin all threads of this process to ``threads`` processors inside the block; then let them go where they could.

    Gives these processors and what holds threads that are started later. The processors are None, and nothing is held,
    where there are no more of them than threads, or where the system cannot do it.
    """
    allowed = tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ()
    if not 0 < threads < len(allowed):
        yield None, lambda: None
        return
    chosen, before = choose(allowed, threads), dict[int, Processors]()
    for thread in _threads():
        with contextlib.suppress(OSError):  # it has ended
            before[thread] = tuple(os.sched_getaffinity(thread))

    def hold() -> None:
        for thread in _threads():
            _hold(thread, chosen)

    hold()
    try:
        yield chosen, hold
    finally:
        for thread in _threads():
            _hold(thread, before.get(thread, allowed))


def choose(allowed: Sequence[int], count: int, system: Path = _SYSTEM) -> Processors:
    """Pick ``count`` of the processors: a core of one's own before half of a shared one, then quick before slow ones.

    Among equals the last ones, as interrupts mostly go to the first.
    """

    def rank(number: int) -> tuple[int, int, int]:
        of_core = system / f"cpu{number}"
        siblings = _numbers(_read(of_core / "topology" / "thread_siblings_list"))
        speed = _read(of_core / "cpu_capacity") or _read(of_core / "cpufreq" / "cpuinfo_max_freq")
        taken_before = sum(other > number for other in siblings & set(allowed))
        return taken_before, -int(speed) if speed.isdecimal() else 0, -number

    return tuple(sorted(sorted(allowed, key=rank)[:count]))


def _numbers(text: str) -> set[int]:
    """Read the system's lists: ``0-3,8`` is 0, 1, 2, 3 and 8."""
    found = set[int]()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first.isdecimal() and (last or first).isdecimal():
            found |= set(range(int(first), int(last or first) + 1))
    return found


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _threads() -> list[int]:
    return [thread.id for thread in psutil.Process().threads()]


def _hold(thread: int, processors: Sequence[int]) -> None:
    with contextlib.suppress(OSError):  # it has ended, or the system forbids it
        os.sched_setaffinity(thread, processors)
