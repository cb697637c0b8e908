"""Measure what a store does not have yet."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from segsearch.errors import DeviceError, InputError, ProofError, machine_fault
from segsearch.latency import NetworkSubject, latency_of
from segsearch.leaderboard.protocol import MeasuringProtocol
from segsearch.leaderboard.store import Measured, MeasuredStore
from segsearch.measure.cost import count
from segsearch.models.build import build
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

    An interruption loses the measurement under way and nothing else. Returns the names of the networks that could not
    be measured, each with the reason: too little memory, or a backend that cannot take it. They are tried again next
    time.

    Raises:
        MissingExtraError: the backend is not installed.
        InputError: the file cannot be written, or the disk is full.
        MachineError: no disk space, memory or file handles are left.
    """
    failed: dict[str, str] = {}
    for done, candidate in enumerate(candidates):
        report("measure", done, len(candidates))
        if store.get(candidate.spec.id) is not None:
            continue
        try:
            measured = _measured(candidate, store.protocol)
        except (DeviceError, InputError, ProofError) as error:
            if fault := machine_fault(error):
                raise fault from error
            failed[candidate.name] = str(error)
            note(f"{candidate.name}: {error}")
            continue
        store.add(measured)
        note(f"[{done + 1}/{len(candidates)}] {_line(candidate.name, measured)}")
    report("measure", len(candidates), len(candidates))
    return failed


def _measured(candidate: Candidate, protocol: MeasuringProtocol) -> Measured:
    with torch.device("meta"):
        cost = count(build(candidate.spec, protocol.classes), protocol.size_hw)
    subject = NetworkSubject(
        spec=candidate.spec, classes=protocol.classes, size_hw=protocol.size_hw, label=candidate.name
    )
    latency = latency_of(subject, protocol.conditions, processes=protocol.processes)
    return Measured(spec_id=candidate.spec.id, params=cost.params, macs=cost.macs, latency=latency)


def _line(name: str, measured: Measured) -> str:
    doubt = "" if measured.latency.steady else f"; not steady: {measured.latency.unsteady}"
    return f"{name}: {measured.median_ms:.2f} ms ({measured.fps:.1f} FPS){doubt}"
