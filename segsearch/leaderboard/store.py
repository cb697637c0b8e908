"""Measurements on disk: one file per protocol, one line per network, each measured once."""

from pathlib import Path

from segsearch.errors import InputError
from segsearch.frozen import Frozen
from segsearch.leaderboard.journal import Journal
from segsearch.leaderboard.protocol import MeasuringProtocol
from segsearch.measure.record import LatencyRecord


class Measured(Frozen):
    """What one network costs under a protocol."""

    spec_id: str
    params: int
    macs: int
    latency: LatencyRecord

    @property
    def median_ms(self) -> float:
        """Median latency in milliseconds."""
        return self.latency.median_ms

    @property
    def fps(self) -> float:
        """Images per second at the median latency."""
        return self.latency.fps


class MeasuredStore:
    """Measurements of one protocol below one folder.

    Raises:
        InputError: the protocol's file cannot be read, or is damaged before its last line.
    """

    def __init__(self, folder: Path, protocol: MeasuringProtocol) -> None:
        self.protocol = protocol
        path = folder / f"{protocol.words}.jsonl"
        self._journal = Journal(path, _header(protocol), lambda found: _header(_protocol(found, path)))
        self._by_spec: dict[str, Measured] = {}
        for number, line in enumerate(self._journal.lines, start=2):
            measured = Measured.parse(line, f"{self.path}:{number}")
            self._by_spec[measured.spec_id] = measured

    @property
    def path(self) -> Path:
        """The protocol's file."""
        return self._journal.path

    def get(self, spec_id: str) -> Measured | None:
        """Return what was measured of a network, if it was."""
        return self._by_spec.get(spec_id)

    def add(self, measured: Measured) -> None:
        """Keep a measurement; it is on disk when this returns.

        Raises:
            InputError: the network is there already, or the file cannot be written.
        """
        if measured.spec_id in self._by_spec:
            raise InputError(self.path, f"has network {measured.spec_id} already")
        self._journal.append(measured.model_dump(mode="json"))
        self._by_spec[measured.spec_id] = measured


def _header(protocol: MeasuringProtocol) -> dict[str, object]:
    return {"protocol": protocol.model_dump(mode="json")}


def _protocol(header: dict[str, object], path: Path) -> MeasuringProtocol:
    """Read a header; what the protocol did not have when it was written is as by default."""
    return MeasuringProtocol.parse(header.get("protocol"), f"{path}:1")
