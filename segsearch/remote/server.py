"""The worker's HTTP server: who may ask, what is refused unread, and how a caller is kept informed.

Every caller has a thread, none of which measures. Requests to measure go to the main thread, one at a time.
"""

import contextlib
import hashlib
import io
import json
import queue
import shutil
import socket
import socketserver
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from segsearch.errors import InputError, one_line
from segsearch.frozen import Frozen
from segsearch.measure.device_lock import lock_folder
from segsearch.processes import Process
from segsearch.progress import say
from segsearch.remote.access import same
from segsearch.remote.job import GRAPH, JOB
from segsearch.remote.protocol import (
    BEAT_SECONDS,
    BODY_BYTES_PER_SECOND,
    BODY_SECONDS,
    BUSY,
    FACTS_PATH,
    HEAD_SECONDS,
    JOB_HEADER,
    MEASURE_PATH,
    SILENCE_SECONDS,
    Event,
    Failure,
    Job,
    WorkerFacts,
    plain,
)

MOST_CALLERS = 64
"""At the same time; more are turned away at once."""
_FOLDER = "graph-"
_LINGER_SECONDS = 1.0
_PIECE_BYTES = 2**20


@dataclass(eq=False)
class Request:
    """One measurement asked for: what, by whom, and what that caller is told."""

    job: Job
    caller: str
    folder: Path
    """Holds the graph, for as long as it is measured."""
    since: float = field(default_factory=time.monotonic)
    events: "queue.SimpleQueue[Event]" = field(default_factory=queue.SimpleQueue)
    gone: threading.Event = field(default_factory=threading.Event)
    """The caller has left: nobody waits for this measurement."""
    answered: threading.Event = field(default_factory=threading.Event)
    """The caller has been told the last event, or has left."""

    @property
    def name(self) -> str:
        """What is measured, for people."""
        return plain(self.job.label) or self.job.spec_id


class RefusedError(Exception):
    """A request that ends with a status and one line."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status = status


class Requests:
    """One request at a time; whoever comes meanwhile is refused."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._present: Request | None = None
        self._ready: queue.SimpleQueue[Request] = queue.SimpleQueue()
        _clear_leftovers()

    def enter(self, job: Job, caller: str) -> Request:
        """Begin a request, to be followed by `submit` or `leave`. Raises RefusedError while another is under way."""
        with self._lock:
            if self._present is not None:
                seconds = time.monotonic() - self._present.since
                busy = f"is busy: it has been measuring {self._present.name} for {self._present.caller}"
                raise RefusedError(BUSY, f"{busy} for {seconds:.0f} s")
            self._present = Request(job, caller, _make_folder())
            return self._present

    def leave(self, request: Request) -> None:
        """End a request, and remove its files."""
        shutil.rmtree(request.folder, ignore_errors=True)
        with self._lock:
            self._present = None

    def submit(self, request: Request) -> None:
        """Give a request, with its graph, to the thread that measures, which then calls `leave`."""
        self._ready.put(request)

    def next(self) -> Request:
        """Wait for a request that has been submitted."""
        return self._ready.get()


def _make_folder() -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix=f"{_FOLDER}{Process.this().tag}.", dir=lock_folder()))
    except (OSError, InputError) as error:
        raise RefusedError(HTTPStatus.INSUFFICIENT_STORAGE, f"cannot work: {one_line(error)}") from None


def _clear_leftovers() -> None:
    """Remove the graphs of workers that were killed."""
    for folder in lock_folder().glob(f"{_FOLDER}*"):
        owner = Process.tagged(folder.stem.removeprefix(_FOLDER))
        if owner is not None and owner.state == "ended":
            shutil.rmtree(folder, ignore_errors=True)


class Server(socketserver.ThreadingTCPServer):
    """Listens."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, family: socket.AddressFamily, number: str, port: int, token: str, facts: WorkerFacts) -> None:
        self.address_family, self.token, self.facts = family, token, facts
        self.requests = Requests()
        self._free = threading.BoundedSemaphore(MOST_CALLERS)
        super().__init__((number, port), Handler)

    def process_request(self, request: Any, client_address: object) -> None:
        """Start a thread for a caller, if there are not too many."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: object) -> None:
        """Answer a caller, in a thread of its own."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say in one line what is our own mistake; a caller who hangs up is none."""
        error = sys.exception()
        if not isinstance(error, OSError):
            say(f"segsearch: {type(error).__name__} while answering: {error}")


class _TimedReader(io.RawIOBase):
    """What a caller sends until a moment, however slowly it comes; then raises TimeoutError."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.until = time.monotonic() + HEAD_SECONDS

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(min(left, SILENCE_SECONDS))
        return self._connection.recv_into(buffer)


class Handler(BaseHTTPRequestHandler):
    """One request of one caller."""

    server: Server
    timeout = SILENCE_SECONDS
    server_version, sys_version = "segsearch", ""

    def setup(self) -> None:
        """Bound the time that a caller takes to send."""
        super().setup()
        self.rfile.close()
        self._sent = _TimedReader(self.connection)
        self.rfile = io.BufferedReader(self._sent, 2**16)

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
            request = self.server.requests.enter(job, self.client_address[0])
            try:
                self._receive(request, length)
            except BaseException:
                self.server.requests.leave(request)
                raise
            self.server.requests.submit(request)
            self._follow(request)

    def _receive(self, request: Request, length: int) -> None:
        """Write the graph and the job into the request's folder."""
        seconds = BODY_SECONDS + length / BODY_BYTES_PER_SECOND
        self._sent.until = time.monotonic() + seconds
        left, found = length, hashlib.sha256()
        try:
            with (request.folder / GRAPH).open("wb") as file:
                while left and (piece := self.rfile.read1(min(left, _PIECE_BYTES))):
                    file.write(piece)
                    found.update(piece)
                    left -= len(piece)
            (request.folder / JOB).write_text(request.job.model_dump_json())
        except TimeoutError:
            line = f"got {length - left} of {length} bytes of the graph in {seconds:.0f} s, or none for a while"
            raise RefusedError(HTTPStatus.REQUEST_TIMEOUT, line) from None
        except ConnectionError:
            raise
        except OSError as error:
            raise RefusedError(HTTPStatus.INSUFFICIENT_STORAGE, f"cannot work: {one_line(error)}") from None
        if left:
            raise RefusedError(HTTPStatus.BAD_REQUEST, f"got {length - left} of {length} bytes of the graph")
        if found.hexdigest() != request.job.sha256:
            line = "the graph that arrived is not the one announced: another sha256"
            raise RefusedError(HTTPStatus.BAD_REQUEST, line)

    def _follow(self, request: Request) -> None:
        """Pass on events until the last, and repeat the present one where there is none: a caller must know we live."""
        try:
            self._head(HTTPStatus.OK)
            event = Event(stage="check")
            while not event.last:
                with contextlib.suppress(queue.Empty):
                    event = request.events.get(timeout=BEAT_SECONDS)
                self.wfile.write(event.line())
        except OSError:
            request.gone.set()
        finally:
            request.answered.set()

    def _admit(self, path: str) -> None:
        word, _, token = self.headers.get("Authorization", "").partition(" ")
        if word != "Bearer" or not same(token.strip(), self.server.token):
            raise RefusedError(HTTPStatus.UNAUTHORIZED, "does not accept this token" if token else "asks for a token")
        if self.path != path:
            raise RefusedError(HTTPStatus.NOT_FOUND, "does not know this request; is it of another version?")

    def _job(self) -> Job:
        written = self.headers.get(JOB_HEADER, "")
        try:
            return Job.parse(json.loads(written), "job")
        except (ValueError, RecursionError):
            raise RefusedError(HTTPStatus.BAD_REQUEST, f"got no job: the header {JOB_HEADER} is not JSON") from None
        except InputError as error:
            raise RefusedError(HTTPStatus.BAD_REQUEST, f"cannot read the job: {error}") from error

    def _length(self) -> int:
        written, most = self.headers.get("Content-Length", ""), self.server.facts.most_bytes
        if not (written.isascii() and written.isdecimal()):
            raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "needs the length of the graph")
        if len(written) > 18 or int(written) > most:
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"takes graphs of at most {most} bytes")
        return int(written)

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except RefusedError as error:
            self._reply(error.status, Event(failure=Failure(kind="request", line=str(error))))
            self._linger()

    def _reply(self, status: int, value: Frozen) -> None:
        self._head(status)
        self.wfile.write(value.model_dump_json(exclude_none=True).encode() + b"\n")

    def _head(self, status: int) -> None:
        self.connection.settimeout(SILENCE_SECONDS)
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
