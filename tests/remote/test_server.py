"""The worker's server in this process: whom it refuses, unread, and how long it waits for whom."""

import contextlib
import http.client
import json
import os
import queue
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from segsearch.errors import WorkerError
from segsearch.processes import Notice
from segsearch.remote.access import Address
from segsearch.remote.client import Worker, WorkerBusyError, record_of
from segsearch.remote.job import failed
from segsearch.remote.protocol import JOB_HEADER, MEASURE_PATH, MOST_BYTES, Event, WorkerFacts
from segsearch.remote.server import MOST_CALLERS, Server

from .networks import SPEC, job
from .processes import TOKEN

FACTS = WorkerFacts(
    segsearch="0",
    host="here",
    devices={"cpu": "abacus"},
    backends={"onnxruntime": "1"},
    threads=1,
    most_bytes=MOST_BYTES,
    most_seconds=1.0,
    most_mib=1,
)


class Listening:
    def __init__(self, server: Server) -> None:
        self.server = server
        self.address = Address("127.0.0.1", server.server_address[1])
        self.worker = Worker(self.address, TOKEN)

    def connect(self) -> socket.socket:
        return socket.create_connection((self.address.host, self.address.port), timeout=30)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listening]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Server(socket.AF_INET, "127.0.0.1", 0, TOKEN, FACTS) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Listening(server)
        server.shutdown()
        thread.join()


def head(graph: bytes, length: int, **changes: object) -> bytes:
    written = job(graph, **changes).model_dump_json()
    lines = f"Authorization: Bearer {TOKEN}", f"{JOB_HEADER}: {written}", f"Content-Length: {length}"
    return "\r\n".join([f"POST {MEASURE_PATH} HTTP/1.1", *lines, "", ""]).encode()


def answered(line: socket.socket) -> tuple[int, str]:
    """Status and failure that the server says before it hangs up; nothing if it hangs up without a word."""
    said = b"".join(iter(lambda: line.recv(65536), b""))
    if not said:
        return 0, ""
    first, _, body = said.partition(b"\r\n\r\n")
    return int(first.split()[1]), json.loads(body.splitlines()[-1])["failure"]["line"]


@pytest.mark.parametrize(
    ("token", "line"),
    [("another-token-of-16", "does not accept this token"), (TOKEN[:-1], "does not accept"), ("", "asks for a token")],
)
def test_the_wrong_token(here: Listening, graph: bytes, token: str, line: str) -> None:
    stranger = Worker(here.address, token)
    for ask in (stranger.facts, lambda: stranger.answer(job(graph), graph, print)):
        with pytest.raises(WorkerError, match=f"worker {here.address}: {line}"):
            ask()


def raw(here: Listening, header: dict[str, str], path: str = MEASURE_PATH) -> tuple[int, str]:
    """Ask without our client's care."""
    connection = http.client.HTTPConnection(here.address.host, here.address.port, timeout=30)
    connection.putrequest("POST", path)
    for name, value in {"Authorization": f"Bearer {TOKEN}", **header}.items():
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    told = json.loads(response.read().splitlines()[-1])
    connection.close()
    return response.status, told["failure"]["line"]


def test_an_oversized_body_is_refused_unread(here: Listening, graph: bytes) -> None:
    header = {JOB_HEADER: job(graph).model_dump_json()}
    for length in (str(MOST_BYTES + 1), "9" * 30):
        assert raw(here, header | {"Content-Length": length}) == (413, f"takes graphs of at most {MOST_BYTES} bytes")
    for unknown in ({}, {"Content-Length": "-1"}, {"Content-Length": "many"}):
        assert raw(here, header | unknown) == (411, "needs the length of the graph")


def test_another_version_is_told_so(here: Listening) -> None:
    assert raw(here, {}, "/v1/measure") == (404, "does not know this request; is it of another version?")


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("", "got no job"),
        ("{", "got no job"),
        ("[" * 60_000, "got no job"),
        ("{}", "cannot read the job: job.spec_id: is missing"),
        ('{"code": "import os"}', "cannot read the job: job.code: unknown key"),
    ],
)
def test_a_job_that_is_none(here: Listening, written: str, line: str) -> None:
    status, told = raw(here, {JOB_HEADER: written, "Content-Length": "0"})
    assert status == 400 and told.startswith(line)


def test_another_graph_than_announced(here: Listening, graph: bytes) -> None:
    with pytest.raises(WorkerError, match="is not the one announced: another sha256"):
        here.worker.answer(job(graph, sha256="0" * 64), graph, print)


def left(tmp_path: Path) -> list[Path]:
    return list(tmp_path.glob("segsearch-*/graph-*"))


def freed(tmp_path: Path) -> None:
    """Wait until the server has put away what a caller sent."""
    while left(tmp_path):
        time.sleep(0.01)


def test_a_caller_who_breaks_off_makes_room(here: Listening, graph: bytes, tmp_path: Path) -> None:
    with here.connect() as line:
        line.sendall(head(graph, len(graph)) + graph[:100])
        while not left(tmp_path):
            time.sleep(0.01)
    freed(tmp_path)
    with here.connect() as line:
        line.sendall(b"\x16\x03\x01 no HTTP at all\r\n\r\n")
    with here.connect() as line:
        line.sendall(head(graph, len(graph)) + graph)
        assert here.server.requests.next().folder.joinpath("network.onnx").read_bytes() == graph


@pytest.mark.parametrize("where", ["first line", "head", "body"])
def test_who_sends_too_slowly_is_cut_off(
    here: Listening, graph: bytes, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though no single byte is late: a deadline holds for all of them."""
    for name in ("HEAD_SECONDS", "BODY_SECONDS"):
        monkeypatch.setattr(f"segsearch.remote.server.{name}", 0.3)
    whole = head(graph, len(graph)) + graph
    at = {"first line": 3, "head": 40, "body": len(head(graph, len(graph))) + 10}[where]
    with here.connect() as line:
        line.sendall(whole[:at])
        line.settimeout(0.02)
        with contextlib.suppress(ConnectionError):
            while True:
                at += 1
                line.sendall(whole[at - 1 : at])
                try:
                    line.recv(1, socket.MSG_PEEK)
                    break
                except TimeoutError:
                    assert at < 2000, "it listens for ever"
            line.settimeout(30)
            status, said = answered(line)
            assert (status, said == "") == ((408, False) if where == "body" else (0, True))
            assert where != "body" or "bytes of the graph in 0 s" in said
    freed(tmp_path)


def test_who_comes_meanwhile_is_told_who_is_there_and_waits(
    here: Listening, graph: bytes, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Notice, "AFTER_SECONDS", 0.0)
    monkeypatch.setattr("segsearch.remote.client._ASK_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr("segsearch.remote.server.BEAT_SECONDS", 0.02)
    busy = rf"worker {here.address}: is busy: it has been measuring {SPEC} for 127.0.0.1 for \d+ s"
    stages: list[str] = []

    def listen(stage: str) -> None:
        stages.append(stage)
        if stage == "wait" and stages.count("wait") == 3:  # then the first one's measurement ends
            here.server.requests.leave(first)
        if stage == "check":
            here.server.requests.next().events.put(failed("request", "was reached"))

    with here.connect() as line:
        line.sendall(head(graph, len(graph)) + graph)
        first = here.server.requests.next()
        with pytest.raises(WorkerBusyError, match=busy):
            here.worker.answer(job(graph), graph, print)
        with pytest.raises(WorkerError, match="was reached"):
            record_of(job(graph), graph, here.worker, 60, listen)
    said = capfd.readouterr().err
    assert said.startswith("segsearch: waiting for worker") and said.count("\n") == 1, "once, not at every try"


def test_a_hundred_callers_may_come_at_once_and_too_many_are_turned_away(tmp_path: Path, graph: bytes) -> None:
    with Server(socket.AF_INET, "127.0.0.1", 0, TOKEN, FACTS) as server, contextlib.ExitStack() as stack:
        here = Listening(server)
        lines = [stack.enter_context(here.connect()) for _ in range(100)]  # nobody accepts yet
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            assert [answered(line) for line in lines[MOST_CALLERS:]] == [(0, "")] * (100 - MOST_CALLERS)
            for line in lines:
                line.close()
            while True:  # the threads of those who have left end one after another
                with contextlib.suppress(WorkerError):
                    assert here.worker.facts() == FACTS
                    break
        finally:
            server.shutdown()
            thread.join()


def test_a_disk_that_is_full_is_said(here: Listening, graph: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/dev/full")
    with pytest.raises(WorkerError, match="cannot work: /dev/full/segsearch-"):
        here.worker.answer(job(graph), graph, print)


def test_graphs_of_workers_that_were_killed_are_cleared_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = tmp_path / f"segsearch-{os.getuid()}"
    with Server(socket.AF_INET, "127.0.0.1", 0, TOKEN, FACTS) as first:
        request = first.requests.enter(job(b""), "me")
        for name in ("graph-4194000-100.abc", "graph-mine", "graph-x-2.abc"):
            (folder / name).mkdir()
        with Server(socket.AF_INET, "127.0.0.1", 0, TOKEN, FACTS):
            assert {path.name for path in left(tmp_path)} == {request.folder.name, "graph-mine", "graph-x-2.abc"}


def test_events_reach_the_caller_and_a_beat_between_them(
    here: Listening, graph: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segsearch.remote.server.BEAT_SECONDS", 0.02)
    stages: queue.SimpleQueue[str] = queue.SimpleQueue()

    def act() -> None:
        request = here.server.requests.next()
        assert [stages.get(timeout=30) for _ in range(3)] == ["check"] * 3
        request.events.put(Event(stage="sample"))
        while stages.get(timeout=30) != "sample":
            pass
        request.events.put(failed("request", "that will do"))

    thread = threading.Thread(target=act)
    thread.start()
    with pytest.raises(WorkerError, match="that will do"):
        here.worker.answer(job(graph), graph, stages.put)
    thread.join(30)
    assert not thread.is_alive()
