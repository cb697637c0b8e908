"""New processes that measure once each (`segsearch.timing.child`), one after another."""

import contextlib
import dataclasses
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from segsearch.errors import (
    DeviceError,
    EndedError,
    InputError,
    MachineError,
    MissingExtraError,
    ProofError,
    SegsearchError,
    UnfitError,
    one_line,
)
from segsearch.measure.backends.table import file_backend, find_backend
from segsearch.measure.conditions import Conditions
from segsearch.measure.machine import find_device
from segsearch.measure.memory import FullDeviceError
from segsearch.measure.record import LatencyRecord
from segsearch.processes import KILLED_BY, python_module
from segsearch.progress import Report
from segsearch.timing.subjects import FileSubject, NetworkSubject, Subject, exported
from segsearch.training.weights import save_weights

AT_ONCE = 3
"""So many processes load their libraries at the same time; they are timed one after another."""

_KINDS = (DeviceError, FullDeviceError, InputError, MachineError, MissingExtraError, ProofError, UnfitError)
_ERRORS: dict[str, type[SegsearchError]] = {kind.__name__: kind for kind in _KINDS}
"""What a process may answer with in place of a record."""


def measure_in_processes(subject: Subject, under: Conditions, processes: int, report: Report) -> list[LatencyRecord]:
    """Measure in new processes, one after another; ``under.threads`` is a number. Raises as `latency_of`."""
    records: list[LatencyRecord] = []
    report("process", 0, processes)
    with _Children(under.backend, processes) as children, _request(subject, under) as request:
        for number in range(processes):
            host = under.host and number == 0
            records.append(children.take().answer({**request, "under": request["under"] | {"host": host}}))
            report("process", number + 1, processes)
    return records


@contextlib.contextmanager
def _request(subject: Subject, under: Conditions) -> Iterator[dict[str, Any]]:
    """Write down what a process is to do; files that it needs live as long as the block.

    A backend that runs files gets one, exported here once.
    """
    plain = {"under": dataclasses.asdict(under) | {"timer": under.timer.model_dump(mode="json")}}
    with contextlib.ExitStack() as stack:
        if isinstance(subject, NetworkSubject) and find_backend(under.backend).takes_file:
            runner = file_backend(under.backend, find_device(under.device).type, under.precision)
            holds = runner.weights[under.precision] if under.precision else "float32"
            subject = stack.enter_context(exported(subject, holds))
        if isinstance(subject, FileSubject):
            yield plain | {"file": dataclasses.asdict(subject) | {"path": str(subject.path.resolve())}}
            return
        network: dict[str, Any] = {
            "spec": subject.spec.model_dump(mode="json"),
            "classes": subject.classes,
            "size_hw": subject.size_hw,
            "label": subject.label,
        }
        if subject.network is not None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="segsearch-latency-")))
            save_weights(subject.network, folder / "weights.safetensors")
            network["weights"] = str(folder / "weights.safetensors")
        yield plain | {"network": network}


class _Children:
    """Processes that load their libraries while the caller prepares; all have ended when the block does."""

    def __init__(self, backend: str, count: int) -> None:
        self._backend, self._left = backend, count
        self._stack, self._waiting = contextlib.ExitStack(), list[_Child]()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:  # no file handle is left, or Ctrl-C
            self._stack.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        started = min(AT_ONCE, self._left)
        self._left -= started
        self._waiting += [self._stack.enter_context(_Child(self._backend)) for _ in range(started)]

    def take(self) -> "_Child":
        """Return the next one, once all that were started are ready: none may load libraries while another is timed."""
        if not self._waiting:
            self._start()
        for child in self._waiting:
            child.wait()
        return self._waiting.pop(0)


class _Child:
    """One process that measures once."""

    def __init__(self, backend: str) -> None:
        command, environment = python_module("segsearch.timing.child", backend)
        self._ready = False
        self._words = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            text=True,
            encoding="utf-8",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()
        self._words.close()

    def wait(self) -> None:
        """Wait until it has loaded its libraries. Raises as `answer`."""
        if not self._ready:
            self._line()
            self._ready = True

    def answer(self, request: dict[str, Any]) -> LatencyRecord:
        """Have it measure, and end. Raises its error, or ProofError or DeviceError where it ends without an answer."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has died: its last words are read below
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        told = self._line()
        self._process.wait()  # its end is work, too, and the next one looks for the work of others
        if "error" in told:
            raise error_of(told)
        return LatencyRecord.parse(told["record"], "record")

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        try:
            found: dict[str, Any] = json.loads(self._process.stdout.readline())
        except ValueError:
            raise self._death() from None
        return found

    def _death(self) -> SegsearchError:
        code = self._process.wait()
        self._words.seek(0)
        words = self._words.read().strip().splitlines() or [f"exit code {code}"]
        line = f"could not be timed in a new process: {one_line(words[-1])}"
        if code >= 0:
            return ProofError(line)
        line = f"device: {line}; it was ended by signal {-code}"
        return EndedError(line) if -code in KILLED_BY else DeviceError(line)


def told_of(error: Exception) -> dict[str, Any]:
    """Write an error down as plain data."""
    kind = next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _ERRORS)
    about = [error.place, error.problem, error.allowed] if isinstance(error, InputError) else [str(error)]
    return {"error": kind, "about": about}


def error_of(told: dict[str, Any]) -> SegsearchError:
    """Make the error again that `told_of` wrote down."""
    kind, about = _ERRORS[told["error"]], told["about"]
    return kind(*about) if issubclass(kind, InputError) else kind.__new__(kind, *about)
