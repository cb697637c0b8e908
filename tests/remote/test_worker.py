"""A worker in a process of its own, on loopback: what it measures, whom it refuses, how it ends."""

import http.client
import json
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper

from segsearch.errors import DeviceError, InputError, SegsearchError, WorkerError
from segsearch.measure.conditions import Conditions
from segsearch.measure.record import LatencyRecord
from segsearch.remote.client import Worker, WorkerBusyError
from segsearch.remote.measure import measure_remote
from segsearch.remote.protocol import JOB_HEADER, MEASURE_PATH, MOST_BYTES
from segsearch.remote.worker import MeasureWorker

from .networks import ENDLESS, QUICK, SIZE, SPEC, deployed, job
from .processes import ENVIRONMENT, TOKEN, Running, running, segsearch


def asked(worker: Worker, graph: bytes, **changes: object) -> object:
    return worker.answer(job(graph, **changes), graph, lambda stage: None)


def test_the_same_call_against_another_process(worker: Running) -> None:
    stages: list[str] = []
    record = measure_remote(
        deployed(),
        worker.worker,
        Conditions(backend="onnxruntime", threads=1, timer=QUICK),
        spec_id=SPEC,
        label="tiny",
        listen=stages.append,
    )
    assert isinstance(record, LatencyRecord)
    assert (record.label, record.size_hw, record.batch, record.backend) == ("tiny", SIZE, 1, "onnxruntime")
    assert record.machine == socket.gethostname() and record.where == f"{record.device} at {record.machine}"
    assert len(record.samples_ms) >= QUICK.min_samples and record.timer == QUICK and record.threads == 1
    assert stages[-1] == "sample"
    assert " tiny onnxruntime: " in worker.line()
    assert worker.left == []


def test_another_backend_and_from_host_to_host(worker: Running) -> None:
    pytest.importorskip("openvino")
    record = measure_remote(
        deployed(),
        worker.worker,
        Conditions(backend="openvino", precision="float32", threads=1, timer=QUICK, host=True),
        spec_id=SPEC,
        macs=4 * 27 * 16 * 24,
    )
    assert (record.backend, record.precision, record.facts["precision"]) == ("openvino", "float32", "float32")
    assert record.host is not None and record.macs == 41_472 and record.floor_ms
    assert " openvino: " in worker.line()


def test_an_impossible_latency_is_refused(worker: Running, graph: bytes) -> None:
    with pytest.raises(DeviceError, match="the network did not run, or was not waited for"):
        asked(worker.worker, graph, macs=10**15)


def test_other_threads_are_put_back(worker: Running, graph: bytes) -> None:
    before = worker.worker.facts().threads
    assert asked(worker.worker, graph, threads=before + 1).record.threads == before + 1
    assert asked(worker.worker, graph, threads=None).record.threads == before


@pytest.mark.parametrize(
    ("token", "line"),
    [("another-token-of-16", "does not accept this token"), (TOKEN[:-1], "does not accept"), ("", "asks for a token")],
)
def test_the_wrong_token(worker: Running, graph: bytes, token: str, line: str) -> None:
    stranger = Worker(worker.address, token)
    for ask in (stranger.facts, lambda: asked(stranger, graph)):
        with pytest.raises(WorkerError, match=f"worker {worker.address}: {line}"):
            ask()


def raw(worker: Running, header: dict[str, str], body: bytes = b"") -> tuple[int, dict]:
    """Ask without our client's care."""
    connection = http.client.HTTPConnection(worker.address.host, worker.address.port, timeout=30)
    connection.putrequest("POST", MEASURE_PATH)
    for name, value in {"Authorization": f"Bearer {TOKEN}", **header}.items():
        connection.putheader(name, value)
    connection.endheaders(body or None)
    response = connection.getresponse()
    lines = response.read().splitlines()
    connection.close()
    return response.status, json.loads(lines[-1])


def test_an_oversized_body_is_refused_unread(worker: Running, graph: bytes) -> None:
    header = {JOB_HEADER: job(graph).model_dump_json()}
    for length in (str(MOST_BYTES + 1), "9" * 30):
        status, told = raw(worker, header | {"Content-Length": length})
        assert (status, told["failure"]["line"]) == (413, f"takes graphs of at most {MOST_BYTES} bytes")
    for length in ({}, {"Content-Length": "-1"}, {"Content-Length": "many"}):
        assert raw(worker, header | length)[0] == 411


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
def test_a_job_that_is_none(worker: Running, written: str, line: str) -> None:
    status, told = raw(worker, {JOB_HEADER: written, "Content-Length": "0"})
    assert status == 400 and told["failure"]["line"].startswith(line)


def test_a_caller_who_breaks_off_does_not_keep_the_worker(worker: Running, graph: bytes) -> None:
    with socket.create_connection((worker.address.host, worker.address.port)) as line:
        head = f"POST {MEASURE_PATH} HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n{JOB_HEADER}: "
        line.sendall(f"{head}{job(graph).model_dump_json()}\r\nContent-Length: {len(graph)}\r\n\r\n".encode())
        line.sendall(graph[:100])
    with socket.create_connection((worker.address.host, worker.address.port)) as line:
        line.sendall(b"\x16\x03\x01 no HTTP at all\r\n\r\n")
    measure_remote(
        deployed(), worker.worker, Conditions(backend="onnxruntime", timer=QUICK), spec_id=SPEC, patience_seconds=30
    )


def floats() -> bytes:
    """Somebody's own model: logits of floats."""
    faces = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, *SIZE]) for name in ("image", "logits")]
    body = helper.make_graph([helper.make_node("Relu", ["image"], ["logits"])], "g", faces[:1], faces[1:])
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString()


def test_what_is_no_graph_of_ours(worker: Running, graph: bytes) -> None:
    for body, line in (
        (b"garbage", "graph: is not ONNX"),
        (graph[: len(graph) // 2], "graph: is not ONNX"),
        (b"", "graph: is not a model exported by segsearch"),
        (floats(), "graph: is not a model exported by segsearch"),
    ):
        with pytest.raises(WorkerError, match=f"worker {worker.address}: {line}"):
            asked(worker.worker, body)
    assert worker.left == []


def test_another_graph_than_announced(worker: Running, graph: bytes) -> None:
    with pytest.raises(WorkerError, match="is not the one announced: another sha256"):
        asked(worker.worker, graph, sha256="0" * 64)
    with pytest.raises(WorkerError, match=f"the graph is of spec {SPEC}, the job of ffffffffffff"):
        asked(worker.worker, graph, spec_id="f" * 12)
    with pytest.raises(WorkerError, match=r"exported at \(32, 48\), not at \(48, 32\)"):
        asked(worker.worker, graph, size_hw=[48, 32])


def test_a_torch_file_is_not_even_looked_into(worker: Running, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    torch.save(Trap(), tmp_path / "trap.pt")
    with pytest.raises(WorkerError, match="graph: is not ONNX"):
        asked(worker.worker, (tmp_path / "trap.pt").read_bytes())
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"backend": "eager"}, "backend: 'eager' is not offered by this worker .allowed: "),
        ({"backend": "tvm"}, "backend: 'tvm' is not offered"),
        ({"device": "tpu"}, "device: 'tpu' is not known"),
        ({"precision": "float7"}, "precision: onnxruntime does not run in 'float7'"),
        ({"precision": "float16"}, "precision: onnxruntime does not run float16 on cpu"),
        ({"device": "cuda:9"}, "device: cuda:9 is not here"),
    ],
)
def test_conditions_it_cannot_meet(worker: Running, graph: bytes, changes: dict[str, object], line: str) -> None:
    with pytest.raises(WorkerError, match=line):
        asked(worker.worker, graph, **changes)


def test_another_precision_than_the_graphs(worker: Running, graph: bytes) -> None:
    with pytest.raises(DeviceError, match="graph: its weights are float32, which does not run as int8"):
        asked(worker.worker, graph, precision="int8")
    with pytest.raises(InputError, match="precision: int8 comes from a quantised ONNX file, not from a network"):
        measure_remote(deployed(), worker.worker, Conditions(backend="onnxruntime", precision="int8"), spec_id=SPEC)


def test_a_network_that_its_runtime_refuses_is_the_networks_fault(worker: Running, graph: bytes) -> None:
    model = onnx.load_model_from_string(graph)
    node = next(node for node in model.graph.node if node.op_type == "Resize")
    attribute = next(a for a in node.attribute if a.name == "coordinate_transformation_mode")
    attribute.s = b"sideways"  # which the checker lets pass
    with pytest.raises(DeviceError, match=f"worker {worker.address}: ") as caught:
        asked(worker.worker, model.SerializeToString())
    assert not isinstance(caught.value, WorkerError)
    assert "\n" not in str(caught.value)


def test_one_at_a_time_and_a_caller_who_leaves_makes_room(worker: Running, graph: bytes) -> None:
    timing = threading.Event()

    def leave(stage: str) -> None:
        if stage == "sample":
            timing.set()
            if second.done():
                raise KeyboardInterrupt

    def ask() -> None:
        timing.wait(60)
        with pytest.raises(WorkerBusyError, match=f"worker {worker.address}: is busy measuring for another caller"):
            asked(worker.worker, graph)

    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(ask)
        with pytest.raises(KeyboardInterrupt):
            worker.worker.answer(job(graph, timer=ENDLESS.model_dump(mode="json")), graph, leave)
        second.result()
    measure_remote(
        deployed(), worker.worker, Conditions(backend="onnxruntime", timer=QUICK), spec_id=SPEC, patience_seconds=60
    )


def when_timing(there: Running, graph: bytes, act: object) -> str:
    """Ask for an endless measurement, act once it has begun, and return the error's line."""
    acted: list[object] = []

    def listen(stage: str) -> None:
        if stage == "sample" and not acted:
            acted.append(act())

    with pytest.raises(WorkerError) as caught:
        there.worker.answer(job(graph, timer=ENDLESS.model_dump(mode="json")), graph, listen)
    assert acted
    return str(caught.value)


def test_killed_while_it_measures(tmp_path: Path, graph: bytes) -> None:
    with running(tmp_path) as there:
        start = time.monotonic()
        line = when_timing(there, graph, there.kill)
        assert line == f"worker {there.address}: died before it answered (stage: sample)"
        assert time.monotonic() - start < 60, "noticed within seconds, not at the end of the measurement"
        with pytest.raises(WorkerError, match=f"worker {there.address}: cannot be reached: Connection refused"):
            there.worker.facts()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ended_while_it_measures(tmp_path: Path, graph: bytes, number: signal.Signals) -> None:
    with running(tmp_path) as there:
        line = when_timing(there, graph, lambda: there.process.send_signal(number))
        assert line == f"worker {there.address}: was stopped"
        assert there.process.wait(30) == 0
        assert there.left == []


def test_frozen_is_noticed_too(tmp_path: Path, graph: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segsearch.remote.client.SILENCE_SECONDS", 4.0)
    with running(tmp_path) as there:
        line = when_timing(there, graph, lambda: there.process.send_signal(signal.SIGSTOP))
        assert line == f"worker {there.address}: has been silent for 4 s (stage: sample)"


def test_ctrl_c_while_it_waits(tmp_path: Path) -> None:
    with running(tmp_path) as there:
        assert there.end(signal.SIGINT) == (0, "stopped\n")


def test_closed_before_its_thread_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a Ctrl-C in the first moment does."""
    worker, late = MeasureWorker(backends=["onnxruntime"]), threading.Thread.start
    threads, failed = [], []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    monkeypatch.setattr(threading.Thread, "start", lambda self: threads.append(self))
    monkeypatch.setattr(worker._desk, "next", lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        worker.serve(print)
    late(threads[0])
    threads[0].join(20)
    assert not threads[0].is_alive() and failed == []


def test_a_token_of_its_own_is_shown_and_no_other(tmp_path: Path) -> None:
    with running(tmp_path, environment=ENVIRONMENT) as there:
        made = there.said[-2].removeprefix("token: ")
        assert len(made) == 32
        assert replace(there.worker, token=made).facts().backends
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    with running(tmp_path, "--token-file", str(file), environment=ENVIRONMENT) as there:
        assert there.worker.facts().segsearch
        shown = "".join(there.said) + Path(f"/proc/{there.process.pid}/cmdline").read_text()
        shown += there.end(signal.SIGINT)[1] + repr(there.worker)
    assert TOKEN not in shown


def test_only_the_backends_it_is_told_to_offer(tmp_path: Path) -> None:
    with running(tmp_path, "--backend", "onnxruntime") as there:
        assert list(there.worker.facts().backends) == ["onnxruntime"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"host": "0.0.0.0"}, "--host: 0.0.0.0 is open to others, so a token must be given"),
        ({"host": "0.0.0.0", "token": "short"}, "--host: 0.0.0.0 is open to others"),
        ({"host": "::"}, "--host: :: is open to others"),
        ({"host": "203.0.113.9", "token": TOKEN}, "--port: cannot listen at 203.0.113.9:0"),
        ({"host": "no such host"}, "--host: 'no such host' is no address of this machine"),
        ({"backends": ["eager"]}, "--backend: 'eager' runs no exported graph (allowed: onnxruntime"),
    ],
)
def test_a_worker_that_does_not_start(arguments: dict[str, object], line: str) -> None:
    with pytest.raises(SegsearchError) as caught:
        MeasureWorker(**arguments)
    assert str(caught.value).startswith(line)
    assert "short" not in str(caught.value)


def test_a_port_that_is_taken(worker: Running) -> None:
    done = segsearch("measure-worker", "--port", str(worker.address.port))
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert f"--port: cannot listen at {worker.address}: " in done.stderr


def test_the_verb(worker: Running, tmp_path: Path) -> None:
    """At the least size of FPENet, as a person types it."""
    remote = ["--remote", str(worker.address), "--size", "64x64", "--threads", "1"]
    done = segsearch("measure", "fpenet", *remote, "--backend", "onnxruntime", "--processes", "1", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["machine"], told["backend"], told["size_hw"]) == (socket.gethostname(), "onnxruntime", [64, 64])
    for environment, line in (
        (ENVIRONMENT, "token: none is given (allowed: --token-file FILE, or SEGSEARCH_TOKEN of the environment)"),
        (ENVIRONMENT | {"SEGSEARCH_TOKEN": "x"}, f"worker {worker.address}: does not accept this token"),
    ):
        done = segsearch("measure", "fpenet", *remote, "--backend", "onnxruntime", environment=environment)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", f"segsearch: {line}\n")


def test_only_graphs_are_sent(worker: Running) -> None:
    with pytest.raises(InputError, match="backend: 'eager' runs no exported graph"):
        measure_remote(deployed(), worker.worker, Conditions(backend="eager"), spec_id=SPEC)


def test_a_worker_keeps_its_token_to_itself() -> None:
    assert TOKEN not in repr(Worker(None, TOKEN))
