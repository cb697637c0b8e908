"""The worker: listens in a thread of its own, and measures in the main one, where Ctrl-C ends it cleanly.

torch's number of threads is a matter of the thread that sets it, so all measuring happens in one, as it does without a
worker.
"""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import torch

from segsearch import __version__
from segsearch.errors import DeviceError, InputError, MissingExtraError, SegsearchError
from segsearch.measure.backends.table import BACKENDS, FILE_BACKENDS
from segsearch.measure.machine import available, device_name, find_device
from segsearch.remote.address import Address, is_loopback, resolve
from segsearch.remote.desk import Desk, GoneError, Visit
from segsearch.remote.protocol import MOST_BYTES, Answer, Event, Failure, WorkerFacts, plain
from segsearch.remote.server import Server
from segsearch.remote.timing import check_job, time_graph
from segsearch.remote.token import LEAST, make_token

_LAST_WORDS_SECONDS = 2.0
Tell = Callable[[str], None]


class MeasureWorker:
    """Times graphs that callers send, one at a time.

    Attributes:
        address: where it listens.
        token: what callers must show.
        made_token: whether the token was made here, so that somebody must be told.
        facts: what it can do.
    """

    def __init__(
        self, *, host: str = "127.0.0.1", port: int = 0, token: str | None = None, backends: Sequence[str] = ()
    ) -> None:
        """Listen, but answer nobody before `serve`.

        Raises:
            InputError: beyond loopback without a token of some length, or an unknown backend.
            DeviceError: no such address here, or the port is taken. MissingExtraError: no backend is installed.
        """
        family, number = resolve(host)
        if not is_loopback(number) and len(token or "") < LEAST:
            raise InputError("--host", f"{host} is open to others, so a token must be given", f"{LEAST} characters")
        self.facts = find_facts(backends)
        self.made_token, self.token = token is None, token or make_token()
        self._desk, self._closed = Desk(), threading.Event()
        try:
            self._server = Server(family, number, port, self._desk, self.facts)
        except (OSError, OverflowError) as error:
            raise DeviceError(f"--port: cannot listen at {Address(number, port)}: {error}") from error
        self._server.token = self.token
        self.address = Address(number, int(self._server.server_address[1]))

    def serve(self, tell: Tell) -> None:
        """Answer until KeyboardInterrupt, which passes; ``tell`` gets a line per measurement."""
        listening = threading.Thread(target=self._listen, daemon=True)
        try:
            listening.start()
            while True:
                self._attend(self._desk.next(), tell)
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

    def _attend(self, visit: Visit, tell: Tell) -> None:
        """Measure and answer; the desk is free before the answer goes out, as its caller may ask again at once."""
        start = time.perf_counter()
        event = self._event(visit)
        seconds = time.perf_counter() - start
        self._desk.free()
        if event is not None:
            visit.tell(event)
        name = plain(visit.job.label) or visit.job.spec_id
        tell(f"{_now()} {visit.caller} {name} {visit.job.backend}: {_outcome(event)}, {seconds:.1f} s")

    def _event(self, visit: Visit) -> Event | None:
        try:
            return _measured(visit, tuple(self.facts.backends))
        except GoneError:
            return None
        except KeyboardInterrupt:
            visit.tell(_failed("request", "was stopped"))
            visit.closed.wait(_LAST_WORDS_SECONDS)
            raise


def find_facts(backends: Sequence[str] = ()) -> WorkerFacts:
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
    )


def _measured(visit: Visit, backends: Sequence[str]) -> Event:
    """Check, then time; what a graph cannot do is a failure of its network."""
    job, graph = visit.job, visit.graph
    try:
        backend, device = check_job(job, graph, backends)
    except SegsearchError as error:
        return _failed("request", str(error))
    except Exception as error:  # whatever a graph from elsewhere makes a library do
        return _failed("request", f"graph: cannot be checked: {type(error).__name__}: {error}")
    try:
        record = time_graph(job, graph, backend, device, each_call=visit.ask, tell=visit.tell_stage)
    except GoneError:
        raise
    except SegsearchError as error:
        return _failed("network", str(error))
    except OSError as error:
        return _failed("request", f"cannot work: {error}")
    except Exception as error:  # runtimes raise classes of their own, without a common base
        return _failed("network", f"{type(error).__name__}: {error}")
    return Event(answer=Answer(spec_id=job.spec_id, sha256=job.sha256, record=record))


def _failed(kind: str, line: str) -> Event:
    return Event(failure=Failure.parse({"kind": kind, "line": plain(line)}, "failure"))


def _outcome(event: Event | None) -> str:
    if event is None:
        return "the caller has left"
    if event.answer is not None:
        return f"{event.answer.record.median_ms:.2f} ms"
    assert event.failure is not None
    return event.failure.line


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
