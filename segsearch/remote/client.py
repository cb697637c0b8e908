"""The caller's side: the same call as `segsearch.measure.latency.measure`, against another machine.

Every way in which a worker can fail becomes one line that names it.
"""

import contextlib
import dataclasses
import http.client
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import torch

from segsearch.deployment.deploy import Deployed
from segsearch.errors import DeviceError, InputError, WorkerError
from segsearch.frozen import Frozen
from segsearch.measure.backends.base import FileBackend
from segsearch.measure.backends.table import file_backend
from segsearch.measure.conditions import Conditions
from segsearch.measure.device_lock import working
from segsearch.measure.record import LatencyRecord
from segsearch.processes import Notice
from segsearch.progress import say
from segsearch.remote.access import Address
from segsearch.remote.graph import digest, graph_bytes
from segsearch.remote.protocol import (
    BUSY,
    FACTS_PATH,
    JOB_HEADER,
    MEASURE_PATH,
    MOST_LINE_BYTES,
    SILENCE_SECONDS,
    Answer,
    Event,
    Job,
    WorkerFacts,
    plain,
)

Listen = Callable[[str], object]
"""Told the worker's stage, at least every `BEAT_SECONDS`; may raise to stop, which frees the worker too."""

_ASK_AGAIN_SECONDS = 1.0
_Answered = TypeVar("_Answered", bound=Frozen)


class WorkerBusyError(WorkerError):
    """The worker measures for somebody else."""


@dataclass(frozen=True)
class Worker:
    """A worker as its callers see it."""

    address: Address
    token: str = field(repr=False)

    def facts(self) -> WorkerFacts:
        """Ask what it can do. Raises WorkerError if it does not answer, or not as a worker does."""
        with self._request("GET", FACTS_PATH, None, {}) as response:
            return self._parsed(WorkerFacts, self._line(response, "asked"))

    def answer(self, job: Job, graph: bytes, listen: Listen) -> Answer:
        """Send a job and its graph, and wait for the answer, as it came.

        Raises:
            WorkerBusyError: it measures for somebody else. DeviceError: it cannot run this network.
            WorkerError: it died, is silent, does not take the job, or answers in another language.
        """
        header = {JOB_HEADER: json.dumps(job.model_dump(mode="json"))}
        stage = "sent"
        with self._request("POST", MEASURE_PATH, graph, header) as response:
            while True:
                event = self._parsed(Event, self._line(response, stage))
                if event.failure is not None:
                    raise self._failure(event, 200)
                if event.answer is not None:
                    return event.answer
                stage = str(event.stage)
                listen(stage)

    @contextlib.contextmanager
    def _request(
        self, method: str, path: str, body: bytes | None, header: dict[str, str]
    ) -> Iterator[http.client.HTTPResponse]:
        """Send a request and give the answer, whatever goes wrong meanwhile in one line."""
        connection = http.client.HTTPConnection(self.address.host, self.address.port, timeout=SILENCE_SECONDS)
        try:
            self._connect(connection)
            response = self._exchange(connection, method, path, body, header)
            with response:
                if response.status != http.HTTPStatus.OK:
                    raise self._failure(self._parsed(Event, self._line(response, "asked")), response.status)
                yield response
        except http.client.HTTPException as error:
            raise self._error(f"does not answer as a segsearch measure-worker ({type(error).__name__})") from error
        finally:
            connection.close()

    def _connect(self, connection: http.client.HTTPConnection) -> None:
        try:
            connection.connect()
        except (OSError, UnicodeError) as error:
            raise self._error(f"cannot be reached: {getattr(error, 'strerror', None) or error}") from error

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | None,
        header: dict[str, str],
    ) -> http.client.HTTPResponse:
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused unread: the reason is waiting
                connection.request(method, path, body, {"Authorization": f"Bearer {self.token}", **header})
            return connection.getresponse()
        except TimeoutError as error:
            raise self._error(f"has been silent for {SILENCE_SECONDS:g} s") from error
        except OSError as error:
            raise self._error("closed the connection without an answer") from error

    def _line(self, response: http.client.HTTPResponse, stage: str) -> bytes:
        """Read one whole line, which an honest and living worker soon sends."""
        try:
            line = response.readline(MOST_LINE_BYTES)
        except TimeoutError as error:
            raise self._error(f"has been silent for {SILENCE_SECONDS:g} s (stage: {stage})") from error
        except OSError as error:
            raise self._error(f"died before it answered (stage: {stage})") from error
        if len(line) == MOST_LINE_BYTES:
            raise self._error(f"answers with a line beyond {MOST_LINE_BYTES} bytes")
        if not line.endswith(b"\n"):
            raise self._error(f"died before it answered (stage: {stage})")
        return line

    def _parsed(self, kind: type[_Answered], line: bytes) -> _Answered:
        try:
            return kind.parse(json.loads(line), "its answer")
        except (ValueError, RecursionError) as error:
            raise self._error("does not answer as a segsearch measure-worker: no JSON") from error
        except InputError as error:
            raise self._error(f"does not answer as a segsearch measure-worker of this version: {error}") from error

    def _failure(self, event: Event, status: int) -> DeviceError:
        """Turn what a worker says went wrong into an error: of the network, or else of the worker or the request."""
        if event.failure is None:
            return self._error(f"answers with HTTP status {status} and no reason")
        if event.failure.kind == "network":
            return DeviceError(f"worker {self.address}: {plain(event.failure.line)}")
        return self._error(event.failure.line, WorkerBusyError if status == BUSY else WorkerError)

    def _error(self, line: str, kind: type[WorkerError] = WorkerError) -> WorkerError:
        return kind(f"worker {self.address}: {plain(line)}")


def measure_remote(
    deployed: Deployed,
    worker: Worker,
    under: Conditions,
    *,
    spec_id: str,
    macs: int | None = None,
    label: str = "",
    patience_seconds: float = 0.0,
    listen: Listen = lambda stage: None,
) -> LatencyRecord:
    """Export a network, have a worker time the file at batch 1, and believe the answer only if it is of that file.

    Args:
        deployed: as `segsearch.deployment.deploy.deploy` makes it.
        worker: on the other machine.
        under: as for a measurement here, but by the worker's devices, threads and memory, and of a backend that runs
            exported files.
        spec_id: of the network's spec; travels inside the graph and must come back.
        macs: multiply-adds of the network, so that the worker can refuse an impossible latency.
        label: a name to find the record by.
        patience_seconds: how long to wait for a worker that measures for somebody else.
        listen: told the worker's stage every few seconds; may raise to stop.

    Returns: the worker's record: its device, its versions, its load; ``machine`` is its name.

    Raises:
        WorkerError: it cannot be reached, dies, refuses the job or the token, or answers for another graph.
        DeviceError: it cannot run this network. InputError: a backend that runs no exported graph.
        MissingExtraError, ProofError: as `segsearch.deployment.onnx.to_onnx`.
    """
    runner = check_offer(worker, under).backend
    with working(torch.device("cpu")):
        graph = graph_bytes(deployed, spec_id, runner.weights[under.precision] if under.precision else None)
    job = Job.parse(
        {
            "spec_id": spec_id,
            "sha256": digest(graph),
            "size_hw": list(deployed.size_hw),
            **dataclasses.asdict(under),
            "timer": under.timer.model_dump(mode="json"),
            "macs": macs,
            "label": plain(label)[:255],
        },
        "job",
    )
    return record_of(job, graph, worker, patience_seconds, listen)


def record_of(
    job: Job, graph: bytes, worker: Worker, patience_seconds: float, listen: Listen = lambda stage: None
) -> LatencyRecord:
    """Send a job with its graph, and believe the answer only if it is to that job. Raises as `measure_remote`.

    While the worker is busy it is asked again, for ``patience_seconds``; a line on stderr says what it is busy with.
    """
    end, notice = time.monotonic() + patience_seconds, Notice()
    while True:
        try:
            answer = worker.answer(job, graph, listen)
        except WorkerBusyError as error:
            if time.monotonic() >= end:
                raise
            if notice.due():
                say(f"segsearch: waiting for {error}")
            listen("wait")
            time.sleep(_ASK_AGAIN_SECONDS)
        else:
            _verify(answer, job, worker)
            return answer.record


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What a worker can do for a caller, and the backend's own facts."""

    facts: WorkerFacts
    backend: FileBackend


def check_offer(worker: Worker, under: Conditions) -> Offer:
    """Ask a worker what it can do, and see that it has the device and the backend of ``under``.

    Raises: InputError, DeviceError and WorkerError as `measure_remote`.
    """
    device, backend = under.device, under.backend
    runner = file_backend(backend, device.partition(":")[0], under.precision)
    facts = worker.facts()
    place = f"worker {worker.address}"
    if facts.maker(device) is None:
        raise WorkerError(f"{place}: has no device {device!r} (available: {', '.join(facts.devices)})")
    if backend not in facts.backends:
        raise WorkerError(f"{place}: has no backend {backend!r} (available: {', '.join(facts.backends)})")
    return Offer(facts=facts, backend=runner)


def _verify(answer: Answer, job: Job, worker: Worker) -> None:
    """Raise WorkerError unless the answer is for the very graph and the very conditions that were asked for."""
    record = answer.record
    pairs = {
        "spec": (answer.spec_id, job.spec_id),
        "spec of the record": (record.spec_id, job.spec_id),
        "graph": (answer.sha256, job.sha256),
        "label": (record.label, job.label),
        "size": (record.size_hw, job.size_hw),
        "batch": (record.batch, 1),
        "backend": (record.backend, job.backend),
        "device": (record.device_kind, job.device.partition(":")[0]),
        "precision": (record.precision, job.precision or record.precision),
        "threads": (record.threads, job.threads or record.threads),
        "timer": (record.timer, job.timer.on(record.device_kind)),
    }
    for name, (got, asked) in pairs.items():
        if got != asked:
            raise WorkerError(f"worker {worker.address}: {plain(f'answers for {name} {got}, not {asked}')}; not used")
    if not all(text.isprintable() for text in _texts(record.model_dump(mode="json", exclude={"samples_ms"}))):
        raise WorkerError(f"worker {worker.address}: answers with text that is not fit for a terminal; not used")


def _texts(data: object) -> Iterator[str]:
    """All text inside plain data."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for pair in data.items():
            yield from _texts(pair)
    elif isinstance(data, (list, tuple)):
        for value in data:
            yield from _texts(value)
