"""The latency of one network: in this process, in fresh processes, or on a worker. Everybody asks here.

``python -m segsearch.latency BACKEND`` is the process that `latency_of` starts: it loads the libraries, says that it is
ready, reads one request as a line of JSON, and answers with lines of JSON, the last one with the record or the error.
"""

import contextlib
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

import torch

import segsearch
from segsearch.data.normalise import MEAN, STD
from segsearch.errors import (
    DeviceError,
    InputError,
    MachineError,
    MissingExtraError,
    ProofError,
    SegsearchError,
    UnfitError,
    machine_fault,
    one_line,
)
from segsearch.export.deploy import deploy
from segsearch.measure.backends.onnx_file import written
from segsearch.measure.backends.table import file_backend, find_backend
from segsearch.measure.conditions import PLAIN, Conditions, check_threads
from segsearch.measure.cost import count
from segsearch.measure.device_lock import working
from segsearch.measure.latency import example_image, measure_deployed, measure_file
from segsearch.measure.load import Contention
from segsearch.measure.machine import find_device
from segsearch.measure.memory import FullDeviceError
from segsearch.measure.record import LatencyRecord
from segsearch.measure.timer import TimerSettings, quantile
from segsearch.models.build import build
from segsearch.models.network import Network
from segsearch.progress import Report, silent
from segsearch.remote.client import Worker, measure_remote
from segsearch.spec.network import NetworkSpec
from segsearch.train.weights import load_weights, save_weights

MOST_PROCESSES = 100
CHILD = ("-m", "segsearch.latency")
AT_ONCE = 3
"""So many processes load their libraries at the same time; they are timed one after another."""
PATIENCE_SECONDS = 600.0
"""How long to wait for a worker that measures for somebody else."""

_ERRORS: dict[str, type[SegsearchError]] = {
    kind.__name__: kind
    for kind in (DeviceError, FullDeviceError, InputError, MachineError, MissingExtraError, ProofError, UnfitError)
}
"""What a process may answer with in place of a record."""


@dataclass(frozen=True, kw_only=True)
class NetworkSubject:
    """A network of the space, timed as it would be deployed: BatchNorm folded, one image of bytes in, class mask out.

    Attributes:
        spec: what it is built from.
        classes: K.
        size_hw: height and width of the image in pixels.
        label: a name to find the record by.
        network: built from ``spec``, where its weights are to be used; None builds it with fresh weights of seed 0.
    """

    spec: NetworkSpec
    classes: int
    size_hw: tuple[int, int]
    label: str = ""
    network: Network | None = None

    def built(self) -> Network:
        """Return the network, built anew where none is given."""
        return self.network or fresh_network(self.spec, self.classes)


@dataclass(frozen=True, kw_only=True)
class FileSubject:
    """An ONNX file that takes one image of bytes and gives a class mask.

    Attributes:
        path: the file.
        label: a name to find the record by.
        spec_id: of the spec that it was exported from.
        macs: multiply-adds of the network, where known, to refuse an impossible latency.
    """

    path: Path
    label: str = ""
    spec_id: str = ""
    macs: int | None = None


Subject = NetworkSubject | FileSubject


def fresh_network(spec: NetworkSpec, classes: int) -> Network:
    """Build a network with initial weights of seed 0; torch's own random state stays as it was."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return build(spec, classes)


def latency_of(
    subject: Subject,
    under: Conditions = PLAIN,
    *,
    processes: int | None = None,
    worker: Worker | None = None,
    report: Report = silent,
) -> LatencyRecord:
    """Measure the latency of one network or exported file.

    Args:
        subject: what to time.
        under: device, backend, precision, threads, and how long to sample.
        processes: None measures in this process; N >= 1 starts so many new processes, one after another, and returns
            their samples together, with the median of their medians. On a worker, so many jobs.
        worker: the machine to measure on; this one where None. It is sent the exported graph.
        report: told of the stages.

    Raises:
        InputError: a device, backend, precision or number that cannot be; a file that is none.
        DeviceError: the device is not here, or has too little memory. WorkerError: the worker did not answer.
        MissingExtraError: the backend is not installed.
        ProofError: the latency is impossible, or a process ended without an answer; says its last words.
        UnfitError: the backend cannot run the network.
    """
    if processes is not None and not 1 <= processes <= MOST_PROCESSES:
        raise InputError("processes", f"{processes} is not possible", f"1 to {MOST_PROCESSES}")
    if worker is not None:
        return joined([_there(subject, under, worker, report) for _ in range(processes or 1)])
    if processes is None:
        return _here(subject, under, report)
    return joined(_in_processes(subject, under, processes, report))


def joined(records: Sequence[LatencyRecord]) -> LatencyRecord:
    """Join records of one subject from several processes: all samples, and the median of the medians."""
    if len(records) == 1:
        return records[0].model_copy(update={"process_medians_ms": (records[0].median_ms,)})
    samples = tuple(lap for record in records for lap in record.samples_ms)
    references = [record.reference_ms for record in records if record.reference_ms is not None]
    update: dict[str, Any] = {
        "samples_ms": samples,
        "process_medians_ms": tuple(record.median_ms for record in records),
        "median_ms": statistics.median(record.median_ms for record in records),
        "p10_ms": quantile(samples, 0.1),
        "p90_ms": quantile(samples, 0.9),
        "reference_ms": statistics.median(references) if references else None,
        "reference_drift": max((record.reference_drift or 0.0 for record in records), default=None),
        "steady": all(record.steady is not False for record in records),
        "unsteady": next((record.unsteady for record in records if record.unsteady), None),
        "warmup_settled": all(record.warmup_settled for record in records),
        "memory_mib": max((r.memory_mib for r in records if r.memory_mib is not None), default=None),
        "contention": Contention.most(record.contention for record in records),
    }
    return records[0].model_copy(update=update)


def _here(subject: Subject, under: Conditions, report: Report) -> LatencyRecord:
    if isinstance(subject, FileSubject):
        return measure_file(
            subject.path, under, macs=subject.macs, label=subject.label, spec_id=subject.spec_id, report=report
        )
    return measure_deployed(
        subject.built(),
        subject.size_hw,
        under,
        mean=MEAN,
        std=STD,
        label=subject.label,
        spec_id=subject.spec.id,
        report=report,
    )


def _there(subject: Subject, under: Conditions, worker: Worker, report: Report) -> LatencyRecord:
    if isinstance(subject, FileSubject):
        raise InputError("worker", "is sent networks of ours, no files")
    network = subject.built()
    return measure_remote(
        deploy(network, subject.size_hw, MEAN, STD),
        worker,
        under,
        spec_id=subject.spec.id,
        macs=count(network, subject.size_hw).macs,
        label=subject.label,
        patience_seconds=PATIENCE_SECONDS,
        listen=lambda stage: report(stage, 0, 1),
    )


def _in_processes(subject: Subject, under: Conditions, processes: int, report: Report) -> list[LatencyRecord]:
    """Measure in new processes, one after another; what can be refused is refused before they start."""
    check_threads(under.threads)
    runner = find_backend(under.backend, find_device(under.device).type, under.precision)
    runner.version()
    under = dataclasses.replace(under, threads=under.threads or torch.get_num_threads())
    records: list[LatencyRecord] = []
    report("process", 0, processes)
    with _Children(under.backend, min(AT_ONCE, processes)) as first, _request(subject, under) as request:
        for number in range(processes):
            child = first.take() if number < AT_ONCE else first.start()
            host = under.host and number == 0
            records.append(child.answer({**request, "under": request["under"] | {"host": host}}))
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
            facts = {"label": subject.label, "spec_id": subject.spec_id, "macs": subject.macs}
            yield plain | {"file": str(subject.path.resolve()), **facts}
            return
        network = {
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


@contextlib.contextmanager
def exported(subject: NetworkSubject, holds: str) -> Iterator[FileSubject]:
    """Export a network, deployed, to an ONNX file with weights of the format ``holds`` that lives as long as the block.

    Raises: as `segsearch.measure.backends.onnx_file.written`.
    """
    network = subject.built()
    with contextlib.ExitStack() as stack:
        with working(torch.device("cpu")):
            deployed = deploy(network, subject.size_hw, MEAN, STD)
            path = stack.enter_context(written(deployed, example_image(subject.size_hw), holds))
        macs = count(network, subject.size_hw).macs
        yield FileSubject(path=path, label=subject.label, spec_id=subject.spec.id, macs=macs)


class _Children:
    """Processes that load their libraries while the caller prepares; all have ended when the block does."""

    def __init__(self, backend: str, ahead: int) -> None:
        self._backend, self._ahead = backend, ahead
        self._stack, self._waiting = contextlib.ExitStack(), list[_Child]()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._waiting = [stack.enter_context(_Child(self._backend)) for _ in range(self._ahead)]
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def take(self) -> "_Child":
        """Return the next of those started ahead, once all of them are ready: none may load while another is timed."""
        for child in self._waiting:
            child.wait()
        return self._waiting.pop(0)

    def start(self) -> "_Child":
        """Start one more."""
        child = self._stack.enter_context(_Child(self._backend))
        child.wait()
        return child


class _Child:
    """One process that measures once."""

    def __init__(self, backend: str) -> None:
        here = str(Path(segsearch.__file__).parents[1])  # the very package that runs now; -P: not the working folder's
        search = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
        self._ready = False
        self._words = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        self._process = subprocess.Popen(
            [sys.executable, "-P", *CHILD, backend],
            env=os.environ | {"PYTHONPATH": search},
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
        """Have it measure. Raises its error, or ProofError or DeviceError where it ends without an answer."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has died: its last words are read below
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        told = self._line()
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
        return DeviceError(f"device: {line}; it was ended by signal {-code}") if code < 0 else ProofError(line)


def main() -> None:
    """Measure once, as the process that `latency_of` starts."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    find_backend(sys.argv[1]).version()
    _tell(answers, {"ready": True})
    if not (line := sys.stdin.readline()):
        return  # the one who asked has gone
    try:
        _tell(answers, {"record": _asked(json.loads(line)).model_dump(mode="json")})
    except Exception as error:
        fault = machine_fault(error)
        if fault is None and not isinstance(error, SegsearchError):
            raise  # its last words are read by the one who asked
        _tell(answers, told_of(fault or error))


def told_of(error: Exception) -> dict[str, Any]:
    """Write an error down as plain data."""
    kind = next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _ERRORS)
    about = [error.place, error.problem, error.allowed] if isinstance(error, InputError) else [str(error)]
    return {"error": kind, "about": about}


def error_of(told: dict[str, Any]) -> SegsearchError:
    """Make the error again that `told_of` wrote down."""
    kind, about = _ERRORS[told["error"]], told["about"]
    return kind(*about) if issubclass(kind, InputError) else kind.__new__(kind, *about)


def _asked(request: dict[str, Any]) -> LatencyRecord:
    timer = TimerSettings.parse(request["under"]["timer"], "timer")
    under = Conditions(**request["under"] | {"timer": timer})
    if "file" in request:
        facts = {name: request[name] for name in ("label", "spec_id", "macs")}
        return _here(FileSubject(path=Path(request["file"]), **facts), under, silent)
    asked = request["network"]
    spec, height_width = NetworkSpec.parse(asked["spec"], "spec"), (asked["size_hw"][0], asked["size_hw"][1])
    network = fresh_network(spec, asked["classes"])
    if "weights" in asked:
        load_weights(network, Path(asked["weights"]))
    subject = NetworkSubject(
        spec=spec, classes=asked["classes"], size_hw=height_width, label=asked["label"], network=network
    )
    return _here(subject, under, silent)


def _tell(answers: IO[str], told: dict[str, Any]) -> None:
    answers.write(json.dumps(told) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
