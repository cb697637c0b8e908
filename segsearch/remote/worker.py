"""The worker: callers have threads (see `segsearch.remote.server`), and every job a process of its own.

The main thread starts the job's process, passes on what it tells, and ends it: when it has answered, when its caller
leaves, when it takes too long or too much memory, and when the worker is told to stop. The process leads a group of its
own, which gets SIGTERM and then SIGKILL: a runtime that compiles for minutes looks at no signal in between.
"""

import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import torch

from segsearch import __version__
from segsearch.errors import DeviceError, InputError, MissingExtraError, one_line
from segsearch.measure.backends.table import BACKENDS, FILE_BACKENDS
from segsearch.measure.machine import available, device_name, find_device
from segsearch.processes import end_for_good, machine_memory_bytes, memory_bytes, python_module
from segsearch.remote.access import Address, check_strength, is_loopback, make_token, resolve
from segsearch.remote.job import failed
from segsearch.remote.protocol import MOST_BYTES, MOST_LINE_BYTES, Event, WorkerFacts
from segsearch.remote.server import Request, Server

MOST_SECONDS = 900.0
"""Default limit of one measurement: building a TensorRT engine on a small machine takes ten minutes."""
_WATCH_SECONDS = 0.2
_LAST_WORDS_SECONDS = 2.0
_PIECE_BYTES, _WORDS_BYTES = 2**20, 4000
_MIB = 2**20
_BEFORE = ("start", "check")
"""Stages in which no network runs yet."""
_CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGBUS}


@dataclass(frozen=True)
class Limits:
    """Of the process that does one job.

    Memory is what the process holds (RSS), looked at five times a second. A limit by the system (``RLIMIT_AS``) would
    count addresses instead, of which torch, OpenVINO and CUDA reserve many times what they use.
    """

    seconds: float = MOST_SECONDS
    mib: int = 0
    """0: half of the machine's memory."""

    @property
    def bytes(self) -> int:
        """Of memory."""
        return self.mib * _MIB or machine_memory_bytes() // 2


class MeasureWorker:
    """Times graphs that callers send, one at a time.

    Attributes:
        address: where it listens.
        token: what callers must show.
        made_token: whether the token was made here, so that somebody must be told.
        facts: what it can do.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        backends: Sequence[str] = (),
        limits: Limits = Limits(),
    ) -> None:
        """Listen, but answer nobody before `serve`.

        Raises:
            InputError: beyond loopback without a token that is hard to guess, or an unknown backend.
            DeviceError: no such address here, or the port is taken. MissingExtraError: no backend is installed.
        """
        family, number = resolve(host)
        if not is_loopback(number):
            check_strength(token, host)
        self._limits, self._closed = limits, threading.Event()
        self.facts = find_facts(backends, limits)
        self.made_token, self.token = token is None, token or make_token()
        try:
            self._server = Server(family, number, port, self.token, self.facts)
        except (OSError, OverflowError) as error:
            raise DeviceError(f"--port: cannot listen at {Address(number, port)}: {error}") from error
        self.address = Address(number, int(self._server.server_address[1]))

    def serve(self, tell: Callable[[str], None]) -> None:
        """Answer until KeyboardInterrupt, which passes; ``tell`` gets a line per measurement."""
        listening = threading.Thread(target=self._listen, daemon=True)
        try:
            listening.start()
            while True:
                self._measure(self._server.requests.next(), tell)
        finally:
            if listening.ident is not None:  # it has begun, or else nobody would answer the shutdown
                self._server.shutdown()
            self.close()

    def close(self) -> None:
        """Stop listening."""
        self._closed.set()
        self._server.server_close()

    def _listen(self) -> None:
        """Take calls until closed, which a Ctrl-C may do before this thread has come so far."""
        try:
            self._server.serve_forever(poll_interval=0.2)
        except (OSError, ValueError):
            if not self._closed.is_set():
                raise

    def _measure(self, request: Request, tell: Callable[[str], None]) -> None:
        """Measure and answer; the next may come before the answer goes out, as it may be this caller's."""
        start = time.perf_counter()
        try:
            event = run_job(request, tuple(self.facts.backends), self._limits)
        except OSError as error:  # no process can be started
            event = failed("request", f"cannot work: {one_line(error)}")
        except KeyboardInterrupt:
            request.events.put(failed("request", "was stopped"))
            request.answered.wait(_LAST_WORDS_SECONDS)
            raise
        finally:
            self._server.requests.leave(request)
        if event is not None:
            request.events.put(event)
        seconds = time.perf_counter() - start
        now = datetime.now(UTC).isoformat(timespec="seconds")
        tell(f"{now} {request.caller} {request.name} {request.job.backend}: {_outcome(event)}, {seconds:.1f} s")


def find_facts(backends: Sequence[str] = (), limits: Limits = Limits()) -> WorkerFacts:
    """Look at what this machine offers: all installed file backends, or those named.

    Raises:
        InputError: a name that is no file backend. MissingExtraError: a named one is not installed, or none is.
    """
    for name in backends:
        if name not in FILE_BACKENDS:
            raise InputError("--backend", f"{name!r} runs no exported graph", FILE_BACKENDS)
    found: dict[str, str] = {}
    missing: MissingExtraError | None = None
    for name in backends or FILE_BACKENDS:
        try:
            found[name] = BACKENDS[name]().version()
        except MissingExtraError as error:
            missing = error
    if missing is not None and (backends or not found):
        raise missing
    return WorkerFacts(
        segsearch=__version__,
        host=socket.gethostname(),
        devices={name: device_name(find_device(name)) for name in available()},
        backends=found,
        threads=torch.get_num_threads(),
        most_bytes=MOST_BYTES,
        most_seconds=limits.seconds,
        most_mib=limits.bytes // _MIB,
    )


def run_job(request: Request, backends: Sequence[str], limits: Limits) -> Event | None:
    """Do a job in a new process, within limits, and return its last event; None when its caller has left."""
    command, environment = python_module("segsearch.remote.job", str(request.folder), *backends)
    process = subprocess.Popen(
        command,
        cwd=request.folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    with process:
        try:
            return _Watch(process, request, limits).last_event()
        finally:
            end_for_good(process)


class _Watch:
    """Reads what a job's process tells, and looks at its limits meanwhile."""

    def __init__(self, process: "subprocess.Popen[bytes]", request: Request, limits: Limits) -> None:
        self._process, self._request, self._limits = process, request, limits
        self._end, self._most_bytes = time.monotonic() + limits.seconds, limits.bytes
        self._stage, self._words = "start", b""

    def last_event(self) -> Event | None:
        for line in self._lines():
            if line is not None:
                try:
                    event = Event.parse(json.loads(line), "event")
                except (ValueError, RecursionError, InputError) as error:
                    return failed("request", f"the process that measures talks nonsense: {error}")
                if event.last:
                    return event
                self._stage = str(event.stage)
                self._request.events.put(event)
            if self._request.gone.is_set():
                return None
            if refusal := self._beyond():
                return refusal
        return self._death()

    def _lines(self) -> Iterator[bytes | None]:
        """Give lines as they come, and None a few times a second; end when the process has."""
        out, words = self._process.stdout, self._process.stderr
        assert out is not None and words is not None
        line, open_ones, watched = bytearray(), {out, words}, time.monotonic()
        while True:
            ended = self._process.poll() is not None  # asked first: what it has told lies in the pipes then
            ready, _, _ = select.select(open_ones, [], [], 0 if ended else _WATCH_SECONDS)
            for stream in ready:
                piece = os.read(stream.fileno(), _PIECE_BYTES)
                if not piece:
                    open_ones.remove(stream)
                elif stream is words:
                    self._words = (self._words + piece)[-_WORDS_BYTES:]
                else:
                    line += piece
                    if len(line) > MOST_LINE_BYTES:
                        return
                    if b"\n" in piece:
                        *whole, rest = bytes(line).split(b"\n")
                        yield from whole
                        line = bytearray(rest)
            if ended and not ready:
                return
            if not open_ones and not ended:
                time.sleep(_WATCH_SECONDS)
            if time.monotonic() - watched >= _WATCH_SECONDS:  # not at every piece: that slows a long line
                yield None
                watched = time.monotonic()

    def _beyond(self) -> Event | None:
        """Say which limit is passed, if one is."""
        if time.monotonic() > self._end:
            kind = "request" if self._stage in (*_BEFORE, "wait") else "network"
            return failed(kind, f"ended after {self._limits.seconds:g} s, this worker's limit (stage: {self._stage})")
        held, most = memory_bytes(self._process.pid) // _MIB, self._most_bytes // _MIB
        if held > most:
            kind = "request" if self._stage in _BEFORE else "network"
            return failed(kind, f"ended at {held} MiB of memory, this worker's limit is {most} (stage: {self._stage})")
        return None

    def _death(self) -> Event:
        """Say how a process ended that did not answer: a crash is due to the graph, other signals come from outside."""
        code = self._process.poll()
        if code is None:
            return failed("request", f"the process that measures tells a line of more than {MOST_LINE_BYTES} bytes")
        words = one_line(self._words.decode(errors="replace").strip().rpartition("\n")[2]) if self._words else ""
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        line = f"the process that measured ended {how} (stage: {self._stage})"
        kind = "network" if -code in _CRASHES and self._stage not in _BEFORE else "request"
        return failed(kind, f"{line}: {words}" if words else line)


def _outcome(event: Event | None) -> str:
    if event is None:
        return "the caller has left"
    if event.answer is not None:
        return f"{event.answer.record.median_ms:.2f} ms"
    assert event.failure is not None
    return event.failure.line
