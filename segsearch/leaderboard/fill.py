"""Measure what a store does not have yet."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from segsearch.errors import DeviceError
from segsearch.leaderboard.store import Measured, MeasuredStore
from segsearch.leaderboard.timing import time_spec
from segsearch.progress import Report, silent
from segsearch.spec.network import NetworkSpec


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A network to be timed, under the name that lines tell it by."""

    name: str
    spec: NetworkSpec


def unique(candidates: Mapping[str, NetworkSpec]) -> tuple[Candidate, ...]:
    """Keep one candidate per network, named as the first of those who share it."""
    first: dict[str, Candidate] = {}
    for name, spec in candidates.items():
        first.setdefault(spec.id, Candidate(name=name, spec=spec))
    return tuple(first.values())


def fill(
    store: MeasuredStore,
    candidates: tuple[Candidate, ...],
    *,
    report: Report = silent,
    note: Callable[[str], None] = lambda line: None,
) -> dict[str, str]:
    """Measure the candidates that the store lacks; each is on disk before the next begins.

    An interruption loses the measurement under way and nothing else. Returns the names of the networks that the device
    could not run, each with the reason; they are tried again next time.

    Raises: as `segsearch.leaderboard.timing.time_spec`, but no DeviceError of one network; InputError of a full disk.
    """
    failed: dict[str, str] = {}
    for done, candidate in enumerate(candidates):
        report("measure", done, len(candidates))
        if store.get(candidate.spec.id) is not None:
            continue
        try:
            measured = time_spec(candidate.spec, store.protocol, label=candidate.name)
        except DeviceError as error:
            failed[candidate.name] = str(error)
            note(f"{candidate.name}: {error}")
            continue
        store.add(measured)
        note(f"[{done + 1}/{len(candidates)}] {_line(candidate.name, measured)}")
    report("measure", len(candidates), len(candidates))
    return failed


def _line(name: str, measured: Measured) -> str:
    others = measured.latency.contention
    busy = f"; others used {others.others_percent_during:.0f} % of the processor" if others.busy else ""
    return f"{name}: {measured.median_ms:.2f} ms ({measured.fps:.1f} FPS){busy}"
