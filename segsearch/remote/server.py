"""The worker's face to the network: who may ask, what is refused unread, and how a caller is kept informed."""

import contextlib
import json
import queue
import socket
import socketserver
import sys
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler

from segsearch.errors import InputError
from segsearch.frozen import Frozen
from segsearch.remote.desk import Desk, Visit
from segsearch.remote.protocol import (
    BEAT_SECONDS,
    BUSY,
    FACTS_PATH,
    JOB_HEADER,
    MEASURE_PATH,
    SILENCE_SECONDS,
    Event,
    Failure,
    Job,
    WorkerFacts,
)
from segsearch.remote.token import same

_LINGER_SECONDS = 1.0
_PIECE_BYTES = 2**20


class Server(socketserver.ThreadingTCPServer):
    """Listens; every caller has a thread, none of which measures."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, family: socket.AddressFamily, number: str, port: int, desk: Desk, facts: WorkerFacts) -> None:
        self.address_family, self.desk, self.facts = family, desk, facts
        self.token = ""
        super().__init__((number, port), Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say in one line what is our own mistake; a caller who hangs up is none."""
        error = sys.exception()
        if not isinstance(error, OSError):
            print(f"segsearch: {type(error).__name__} while answering: {error}", file=sys.stderr, flush=True)


class _RefusedError(Exception):
    """A request that ends with a status and one line."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status = status


class Handler(BaseHTTPRequestHandler):
    """One request of one caller."""

    server: Server
    timeout = SILENCE_SECONDS
    server_version, sys_version = "segsearch", ""

    def do_GET(self) -> None:
        """Tell what this worker can do."""
        with self._refusals():
            self._admit(FACTS_PATH)
            self._reply(HTTPStatus.OK, self.server.facts)

    def do_POST(self) -> None:
        """Take a job and a graph, and tell how its measurement goes."""
        with self._refusals():
            self._admit(MEASURE_PATH)
            job, length = self._job(), self._length()
            if not self.server.desk.take():
                raise _RefusedError(BUSY, "is busy measuring for another caller")
            self._follow(self._enter(job, length))

    def _enter(self, job: Job, length: int) -> Visit:
        """Read the graph and hand it to the thread that measures, which frees the desk."""
        try:
            graph = self.rfile.read(length)
            if len(graph) != length:
                raise _RefusedError(HTTPStatus.BAD_REQUEST, f"got {len(graph)} of {length} bytes of the graph")
            visit = Visit(job, graph, self.client_address[0])
        except BaseException:
            self.server.desk.free()
            raise
        self.server.desk.hand_over(visit)
        return visit

    def _follow(self, visit: Visit) -> None:
        """Pass on events until the last, and a beat where there is none: a caller must know that we live."""
        try:
            self._head(HTTPStatus.OK)
            event = Event(stage="check")
            while not event.last:
                with contextlib.suppress(queue.Empty):
                    event = visit.events.get(timeout=BEAT_SECONDS)
                self.wfile.write(event.line())
        except OSError:
            visit.gone = True
        finally:
            visit.closed.set()

    def _admit(self, path: str) -> None:
        word, _, token = self.headers.get("Authorization", "").partition(" ")
        if word != "Bearer" or not same(token.strip(), self.server.token):
            raise _RefusedError(HTTPStatus.UNAUTHORIZED, "does not accept this token" if token else "asks for a token")
        if self.path != path:
            raise _RefusedError(HTTPStatus.NOT_FOUND, "does not know this request; is it of another version?")

    def _job(self) -> Job:
        written = self.headers.get(JOB_HEADER, "")
        try:
            return Job.parse(json.loads(written), "job")
        except (ValueError, RecursionError):
            raise _RefusedError(HTTPStatus.BAD_REQUEST, f"got no job: the header {JOB_HEADER} is not JSON") from None
        except InputError as error:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, f"cannot read the job: {error}") from error

    def _length(self) -> int:
        written, most = self.headers.get("Content-Length", ""), self.server.facts.most_bytes
        if not (written.isascii() and written.isdecimal()):
            raise _RefusedError(HTTPStatus.LENGTH_REQUIRED, "needs the length of the graph")
        if len(written) > 18 or int(written) > most:
            raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"takes graphs of at most {most} bytes")
        return int(written)

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except _RefusedError as error:
            self._reply(error.status, Event(failure=Failure(kind="request", line=str(error))))
            self._linger()

    def _reply(self, status: int, value: Frozen) -> None:
        self._head(status)
        self.wfile.write(value.model_dump_json(exclude_none=True).encode() + b"\n")

    def _head(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Connection", "close")
        self.end_headers()

    def _linger(self) -> None:
        """Read on for a moment: closing on unread bytes makes the system throw away what was just answered."""
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(_LINGER_SECONDS)
        end = time.monotonic() + _LINGER_SECONDS
        with contextlib.suppress(OSError):
            while time.monotonic() < end and self.connection.recv(_PIECE_BYTES):
                pass

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing: the worker says itself what it measured."""
