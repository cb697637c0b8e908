"""Servers that are no honest worker: whatever they answer, nothing of it becomes a latency, and one line says why."""

import contextlib
import json
import socket
import threading

import pytest

from segsearch.errors import DeviceError, WorkerError
from segsearch.measure.conditions import Conditions
from segsearch.measure.record import LatencyRecord
from segsearch.remote.access import Address
from segsearch.remote.client import Worker, check_offer, record_of
from segsearch.remote.graph import digest
from segsearch.remote.protocol import MOST_LINE_BYTES
from tests.engine.builders import latency

from .networks import QUICK, SIZE, SPEC, job

FACTS = {
    "segsearch": "0",
    "host": "liar",
    "devices": {"cpu": "abacus"},
    "backends": {"onnxruntime": "1"},
    "threads": 1,
    "most_bytes": 1000,
    "most_seconds": 900.0,
    "most_mib": 1000,
}


class Liar:
    """Answers whatever it is told, over a bare socket: first as facts, then to the job."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = answers
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.worker = Worker(Address("127.0.0.1", self._listening.getsockname()[1]), "t" * 16)
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        for answer in self._answers:
            line, _ = self._listening.accept()
            with line, contextlib.suppress(OSError):
                self._read(line)
                line.sendall(answer)

    def _read(self, line: socket.socket) -> None:
        with line.makefile("rb") as file:
            length = 0
            while (header := file.readline()).strip():
                name, _, value = header.partition(b":")
                length = int(value) if name == b"Content-Length" else length
            file.read(length)

    def __enter__(self) -> "Liar":
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._thread.join()
        self._listening.close()


def http(*lines: object, status: str = "200 OK") -> bytes:
    body = b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)
    return f"HTTP/1.0 {status}\r\n\r\n".encode() + body


def answer(graph: bytes, about: dict[str, object] | None = None, **record: object) -> dict[str, object]:
    honest = latency(2.0).model_dump(mode="json") | {
        "size_hw": list(SIZE),
        "backend": "onnxruntime",
        "timer": QUICK.model_dump(mode="json"),
        "batch": 1,
        "device_kind": "cpu",
        "precision": "float32",
        "threads": 1,
        "spec_id": SPEC,
    }
    return {"answer": {"spec_id": SPEC, "sha256": digest(graph), "record": honest | record} | (about or {})}


def told(graph: bytes, *answers: bytes) -> LatencyRecord:
    with Liar(*answers) as liar:
        check_offer(liar.worker, Conditions(backend="onnxruntime"))
        return record_of(job(graph), graph, liar.worker, 0.0)


def test_the_liar_can_be_honest(graph: bytes) -> None:
    assert told(graph, http(FACTS), http({"stage": "time"}, answer(graph))).median_ms == 2.0


@pytest.mark.parametrize(
    ("about", "record", "line"),
    [
        ({"spec_id": "f" * 12}, {}, f"answers for spec ffffffffffff, not {SPEC}; not used"),
        ({"sha256": "0" * 64}, {}, "answers for graph 000000"),
        ({}, {"size_hw": [64, 96]}, r"answers for size \(64, 96\), not \(32, 48\)"),
        ({}, {"spec_id": "f" * 12}, "answers for spec of the record ffffffffffff"),
        ({}, {"batch": 8}, "answers for batch 8, not 1"),
        ({}, {"backend": "tensorrt"}, "answers for backend tensorrt, not onnxruntime"),
        ({}, {"device_kind": "cuda"}, "answers for device cuda, not cpu"),
        ({}, {"precision": "int8"}, "answers for precision int8, not float32"),
        ({}, {"label": "other"}, "answers for label other, not; not used"),
        ({}, {"device": "\x1b[2Jabacus"}, "answers with text that is not fit for a terminal; not used"),
        ({}, {"facts": {"streams\n": "1"}}, "answers with text that is not fit"),
        ({}, {"threads": 64}, "answers for threads 64, not 1"),
        ({}, {"timer": {}}, "answers for timer "),
        ({}, {"median_ms": -1.0}, "of this version: its answer.answer.record.median_ms: should be greater than 0"),
        ({}, {"samples_ms": []}, "its answer.answer.record.samples_ms"),
        ({}, {"invented": 1}, "its answer.answer.record.invented: unknown key"),
        ({"spec_id": "../../x"}, {}, "its answer.answer.spec_id"),
    ],
)
def test_another_answer_than_asked_for(
    graph: bytes, about: dict[str, object], record: dict[str, object], line: str
) -> None:
    with pytest.raises(WorkerError, match=line) as caught:
        told(graph, http(FACTS), http(answer(graph, about, **record)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("answered", "line"),
    [
        (b"", "closed the connection without an answer"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "does not answer as a segsearch measure-worker .BadStatusLine."),
        (http(b""), r"died before it answered .stage: sent."),
        (http({"stage": "time"}), r"died before it answered .stage: time."),
        (http({"stage": "time"}, b'{"answer": {"spec'), r"died before it answered .stage: time."),
        (http(b"<html>\n"), "does not answer as a segsearch measure-worker: no JSON"),
        (http(b"[" * 200_000 + b"\n"), "does not answer as a segsearch measure-worker"),
        (http(b'{"stage": NaN}\n'), "does not answer as a segsearch measure-worker"),
        (http({"stage": "dance\n"}), "its answer.stage: must be printable"),
        (http({}), "must be one of stage, answer, failure"),
        (http({"stage": "time", "code": "import os"}), "its answer.code: unknown key"),
        (http(FACTS), "its answer.segsearch: unknown key"),
        (http(b"<html>\n", status="500 Oops"), "does not answer as a segsearch measure-worker: no JSON"),
        (http({"stage": "time"}, status="302 Found"), "answers with HTTP status 302 and no reason"),
        (
            http({"failure": {"kind": "request", "line": "\x1b[2Jall\nis " + "w" * 999}}),
            "worker 127[^\x1b\n]*: .2Jall ... www",
        ),
        (http(b"x" * (MOST_LINE_BYTES + 1)), f"answers with a line beyond {MOST_LINE_BYTES} bytes"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "died before it answered",
        ),
    ],
)
def test_no_answer_at_all(graph: bytes, answered: bytes, line: str) -> None:
    with pytest.raises(WorkerError, match=line) as caught:
        told(graph, http(FACTS), answered)
    assert len(str(caught.value)) < 700 and str(caught.value).isprintable()


def test_a_networks_fault_is_told_from_a_workers(graph: bytes) -> None:
    with pytest.raises(DeviceError, match="out of memory") as caught:
        told(graph, http(FACTS), http({"failure": {"kind": "network", "line": "out of memory"}}))
    assert not isinstance(caught.value, WorkerError)


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({"devices": {"cuda:0": "GPU"}}, "has no device 'cpu' .available: cuda:0."),
        ({"backends": {"openvino": "1"}}, "has no backend 'onnxruntime' .available: openvino."),
        ({"threads": "many"}, "its answer.threads"),
    ],
)
def test_facts_that_do_not_suit(graph: bytes, facts: dict[str, object], line: str) -> None:
    with pytest.raises(WorkerError, match=line):
        told(graph, http(FACTS | facts))


def test_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segsearch.remote.client.SILENCE_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        worker = Worker(Address("127.0.0.1", mute.getsockname()[1]), "t" * 16)
        with pytest.raises(WorkerError, match="has been silent for 0.5 s"):
            worker.facts()


@pytest.mark.parametrize(
    ("address", "line"),
    [
        (Address("no-such-host.invalid", 80), "cannot be reached: "),
        (Address("x" * 70, 80), "cannot be reached: "),
        (Address("127.0.0.1", 1), "cannot be reached: Connection refused"),
    ],
)
def test_nobody_there(address: Address, line: str) -> None:
    with pytest.raises(WorkerError, match=f"worker {address}: {line}") as caught:
        Worker(address, "t" * 16).facts()
    assert "\n" not in str(caught.value)
