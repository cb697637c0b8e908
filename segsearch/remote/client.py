"""The caller's side of the wire: every way in which a worker can fail becomes one line that names it."""

import contextlib
import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from segsearch.errors import DeviceError, InputError, WorkerError
from segsearch.frozen import Frozen
from segsearch.remote.address import Address
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
