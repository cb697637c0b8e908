"""What was measured, on disk: lines of JSON, each a record under a key of all that changes a latency."""

import json
import os
import platform
from pathlib import Path
from typing import Any, Literal, Self

import torch
from pydantic import Field

from segsearch.errors import InputError
from segsearch.files import to_bytes
from segsearch.frozen import Frozen
from segsearch.measure.backends.table import find_backend
from segsearch.measure.conditions import PLAIN, Conditions, check_threads
from segsearch.measure.machine import device_name, find_device, software
from segsearch.measure.record import LatencyRecord
from segsearch.measure.timer import TimerSettings

VERSION = 6
"""Raised when what is timed changes, so that old measurements are not mixed with new ones."""


class LatencyProtocol(Frozen):
    """All that two latencies must share to stand in one ranking; `protocol_for` makes it of what a person asks for."""

    version: int = VERSION
    size_hw: tuple[int, int]
    batch: int = 1
    classes: int = Field(ge=2, le=256)
    machine: str
    """Its name in the network."""
    device: str
    """``cpu``, ``cuda`` or ``cuda:N``, as it is asked for."""
    device_name: str
    """The device by its maker's name."""
    backend: str
    backend_version: str
    torch: str
    driver: str | None
    precision: str
    threads: int
    """Of the processor."""
    timer: TimerSettings
    processes: int | None
    """New processes that each network is timed in; None is the process that asks."""
    graph: Literal["deployed", "plain"] = "deployed"
    """What is timed: the network as we ship it, or what ``torch.onnx.export`` alone makes of it."""

    @property
    def of_plain(self) -> Self:
        """The same, for plain exports. Only backends that run files know it."""
        return self.model_copy(update={"graph": "plain"})

    @property
    def conditions(self) -> Conditions:
        """What to measure under."""
        return Conditions(
            device=self.device,
            backend=self.backend,
            precision=self.precision,
            threads=self.threads,
            timer=self.timer,
        )

    @property
    def words(self) -> str:
        """Name for files: ``512x1024-cpu-onnxruntime-float32-2threads-1a2b3c4d``."""
        height, width = self.size_hw
        device = self.device.replace(":", "")
        threads = f"{self.threads}thread{'s' if self.threads > 1 else ''}"
        return f"{height}x{width}-{device}-{self.backend}-{self.precision}-{threads}-{self.id[:8]}"

    def __str__(self) -> str:
        """Write for people: ``onnxruntime 1.31.1, float32, 512x1024, NAME, 2 threads``."""
        height, width = self.size_hw
        threads = f", {self.threads} thread{'s' if self.threads > 1 else ''}" if self.device == "cpu" else ""
        return f"{self.backend} {self.backend_version}, {self.precision}, {height}x{width}, {self.device_name}{threads}"


def protocol_for(
    size_hw: tuple[int, int], under: Conditions = PLAIN, *, classes: int = 19, processes: int | None = None
) -> LatencyProtocol:
    """Fill in what ``under`` leaves open: float32 where the backend has it, torch's number of threads.

    Raises:
        InputError: an unknown device, backend, precision or number of threads.
        DeviceError: the device is not here, or the backend does not run on it, or not in that precision.
        MissingExtraError: the backend is not installed.
    """
    where = find_device(under.device)
    runner = find_backend(under.backend, where.type, under.precision)
    check_threads(under.threads)
    runner.check(where, under.precision)
    around, plain = software(where), "float32" if "float32" in runner.precisions else runner.precisions[0]
    return LatencyProtocol(
        size_hw=size_hw,
        classes=classes,
        machine=platform.node(),
        device=under.device,
        device_name=device_name(where),
        backend=under.backend,
        backend_version=runner.version(),
        torch=around.torch,
        driver=around.driver,
        precision=under.precision or plain,
        threads=under.threads or torch.get_num_threads(),
        timer=under.timer.on(where.type),
        processes=processes,
    )


class LatencyStore:
    """Records of one file, by protocol and network: the id of its spec, or the sha256 of a file.

    The file is made with its folder when the first record is added. Lines of other versions of the protocol are kept
    and not read; a last line that was cut off is dropped.

    Raises:
        InputError: the file cannot be read, or is damaged before its last line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found: dict[tuple[str, str], tuple[str, object]] = {}
        for number, line in enumerate(read_lines(path), start=1):
            place, protocol = f"{path}:{number}", line.get("protocol")
            if isinstance(protocol, dict) and protocol.get("version") == VERSION:
                key = LatencyProtocol.parse(protocol, f"{place}.protocol").id, str(line.get("network"))
                self._found[key] = f"{place}.record", line.get("record")

    def get(self, protocol: LatencyProtocol, network: str) -> LatencyRecord | None:
        """Return what was measured, if it was. Raises InputError where that line holds no record."""
        found = self._found.get((protocol.id, network))
        return None if found is None else LatencyRecord.parse(found[1], found[0])

    def add(self, protocol: LatencyProtocol, network: str, record: LatencyRecord) -> None:
        """Keep a record; it is on disk when this returns. Raises InputError where the file cannot be written."""
        key = {"protocol": protocol.model_dump(mode="json"), "network": network}
        plain = record.model_dump(mode="json")
        append_line(self.path, key | {"record": plain})
        self._found[protocol.id, network] = str(self.path), plain


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read a file of JSON objects, one a line, up to its last line break; none where there is no file.

    Raises:
        InputError: it cannot be read, or a line is no whole JSON object; names the line.
    """
    try:
        data = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror or error}") from error
    lines = list[dict[str, Any]]()
    for number, text in enumerate(data.split(b"\n")[:-1], start=1):
        try:
            line = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}:{number}", "is not whole JSON; delete this line to go on") from error
        if not isinstance(line, dict):
            raise InputError(f"{path}:{number}", "is no JSON object; delete this line to go on")
        lines.append(line)
    return lines


def append_line(path: Path, line: dict[str, Any]) -> None:
    """Add a line, in place of one that was cut off, and have it on disk before this returns.

    Raises:
        InputError: it cannot be written, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
            file.write(to_bytes(json.dumps(line, ensure_ascii=False) + "\n"))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(path, f"cannot be written: {error.strerror or error}") from error
