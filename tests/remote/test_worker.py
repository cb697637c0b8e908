"""A worker in a process of its own, on loopback: what it measures, how it bounds a job, how it ends."""

import contextlib
import json
import signal
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from segsearch.errors import InputError, SegsearchError, WorkerError
from segsearch.measure.conditions import Conditions
from segsearch.measure.record import LatencyRecord
from segsearch.processes import memory_bytes
from segsearch.remote.access import Address
from segsearch.remote.client import Worker, WorkerBusyError, measure_remote
from segsearch.remote.job import GRAPH, JOB
from segsearch.remote.server import Request
from segsearch.remote.worker import Limits, MeasureWorker, run_job
from tests.command import refusal, run

from .networks import ENDLESS, QUICK, SIZE, SPEC, deployed, job
from .processes import ENVIRONMENT, TOKEN, Running, running


def test_the_same_call_against_another_process(worker: Running) -> None:
    stages: list[str] = []
    record = measure_remote(
        deployed(),
        worker.worker,
        Conditions(backend="onnxruntime", timer=QUICK),
        spec_id=SPEC,
        label="tiny",
        listen=stages.append,
    )
    assert isinstance(record, LatencyRecord)
    assert (record.label, record.size_hw, record.batch, record.backend) == ("tiny", SIZE, 1, "onnxruntime")
    assert record.machine == socket.gethostname() and record.where == f"{record.device} at {record.machine}"
    assert len(record.samples_ms) >= QUICK.min_samples and record.timer == QUICK
    assert record.threads == worker.worker.facts().threads
    assert stages[0] == "check" and stages[-1] == "sample"
    assert " tiny onnxruntime: " in worker.line()
    assert worker.left == []


@pytest.mark.nightly
def test_another_backend_and_from_host_to_host(worker: Running) -> None:
    pytest.importorskip("openvino")
    record = measure_remote(
        deployed(),
        worker.worker,
        Conditions(backend="openvino", precision="float32", threads=2, timer=QUICK, host=True),
        spec_id=SPEC,
        macs=4 * 27 * 16 * 24,
    )
    assert (record.backend, record.precision, record.facts["precision"]) == ("openvino", "float32", "float32")
    assert record.host is not None and record.macs == 41_472 and record.floor_ms and record.threads == 2
    assert " openvino: " in worker.line()


def test_one_at_a_time_and_a_caller_who_leaves_makes_room(worker: Running, graph: bytes) -> None:
    timing = threading.Event()

    def leave(stage: str) -> None:
        if stage == "sample":
            timing.set()
            if second.done():
                raise KeyboardInterrupt

    def ask() -> None:
        timing.wait(60)
        busy = rf"worker {worker.address}: is busy: it has been measuring {SPEC} for 127.0.0.1 for \d+ s"
        with pytest.raises(WorkerBusyError, match=busy):
            worker.worker.answer(job(graph), graph, print)

    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(ask)
        with pytest.raises(KeyboardInterrupt):
            worker.worker.answer(job(graph, timer=ENDLESS.model_dump(mode="json")), graph, leave)
        second.result()
    assert "the caller has left" in worker.line()
    assert worker.left == [] and worker.children == []


def when_timing(there: Running, graph: bytes, act: Callable[[], object]) -> str:
    """Ask for an endless measurement, act once it has begun, and return the error's line."""
    acted: list[object] = []

    def listen(stage: str) -> None:
        if stage == "sample" and not acted:
            acted.append(act())

    with pytest.raises(WorkerError) as caught:
        there.worker.answer(job(graph, timer=ENDLESS.model_dump(mode="json")), graph, listen)
    assert acted
    return str(caught.value)


@pytest.mark.nightly
def test_killed_and_frozen_while_it_measures(tmp_path: Path, graph: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[psutil.Process] = []

    def freeze() -> None:
        children.extend(there.children)
        there.process.send_signal(signal.SIGSTOP)

    with running(tmp_path) as there:
        monkeypatch.setattr("segsearch.remote.client.SILENCE_SECONDS", 4.0)  # twice a beat
        line = when_timing(there, graph, freeze)
        assert line == f"worker {there.address}: has been silent for 4 s (stage: sample)"
        there.process.send_signal(signal.SIGCONT)
        assert "the caller has left" in there.line()
        line = when_timing(there, graph, lambda: (children.extend(there.children), there.kill()))
        assert line == f"worker {there.address}: died before it answered (stage: sample)"
        with pytest.raises(WorkerError, match=f"worker {there.address}: cannot be reached: Connection refused"):
            there.worker.facts()
        assert len(children) == 2
        assert psutil.wait_procs(children, timeout=30)[1] == [], "no job outlives its worker"
    with running(tmp_path) as there:
        assert there.left == [], "what the killed one left is cleared away"
        assert there.end(signal.SIGINT) == (0, "stopped\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ended_while_it_measures(tmp_path: Path, graph: bytes, number: signal.Signals) -> None:
    children: list[psutil.Process] = []

    def end() -> None:
        children.extend(there.children)
        there.process.send_signal(number)

    with running(tmp_path) as there:
        assert when_timing(there, graph, end) == f"worker {there.address}: was stopped"
        assert there.process.wait(30) == 0
        assert there.left == [] and len(children) == 1 and not children[0].is_running()


def limited(folder: Path, graph: bytes, limits: Limits, **changes: object) -> tuple[str, str]:
    """Do a job in a process of its own, within limits; who is at fault, and the line that says so."""
    asked = job(graph, timer=ENDLESS.model_dump(mode="json"), **changes)
    (folder / GRAPH).write_bytes(graph)
    (folder / JOB).write_text(asked.model_dump_json())
    before = psutil.Process().children()
    event = run_job(Request(asked, "me", folder), ("onnxruntime",), limits)
    assert psutil.Process().children() == before
    assert event is not None and event.failure is not None
    return event.failure.kind, event.failure.line


def test_a_job_that_takes_too_long_is_ended(tmp_path: Path, graph: bytes) -> None:
    kind, line = limited(tmp_path, graph, Limits(seconds=0.5))
    assert (kind, line) == ("request", "ended after 0.5 s, this worker's limit (stage: start)")


def test_a_job_that_takes_too_much_memory_is_ended(tmp_path: Path, graph: bytes) -> None:
    kind, line = limited(tmp_path, graph, Limits(mib=64))
    assert kind == "request" and line.endswith(" MiB of memory, this worker's limit is 64 (stage: start)")


STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, 1); print(flush=True); time.sleep(99)"], stdout=subprocess.PIPE)
child.stdout.readline()
print('{"stage": "sample"}', flush=True)
%s
time.sleep(99)
"""


@pytest.mark.parametrize(
    ("then", "kind", "line"),
    [
        ("", "network", "ended after 2 s, this worker's limit (stage: sample)"),
        ("os.close(1); os.close(2)", "network", "ended after 2 s, this worker's limit (stage: sample)"),
        ("held = b'x' * 2**29", "network", "MiB of memory, this worker's limit is 256 (stage: sample)"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "network", "the process that measured ended by signal 11 (stage: sample)"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "request", "the process that measured ended by signal 9 (stage: sample)"),
        ("sys.exit('no wheel fits')", "request", "the process that measured ended with exit code 1 (stage: sample): no wheel fits"),
        ("print('<html>', flush=True)", "request", "the process that measures talks nonsense: "),
        ("print('{}', flush=True)", "request", "the process that measures talks nonsense: "),
        ("print('[' * 10**6, flush=True)", "request", "the process that measures talks nonsense: "),
        ("print('x' * (2**25 + 1), flush=True)", "request", "the process that measures tells a line of more than 33554432 bytes"),
        ("print('x' * 2**20, end='', flush=True)", "network", "ended after 2 s, this worker's limit (stage: sample)"),
    ],
)  # fmt: skip
def test_whatever_a_job_does_it_and_its_children_are_ended(
    then: str, kind: str, line: str, tmp_path: Path, graph: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a process that looks at no SIGTERM, as a runtime that compiles for minutes does not."""
    seen: set[psutil.Process] = set()

    def looked_at(pid: int) -> int:
        with contextlib.suppress(psutil.NoSuchProcess):
            seen.update(psutil.Process(pid).children())
        return memory_bytes(pid)

    monkeypatch.setattr("segsearch.remote.worker.memory_bytes", looked_at)
    command = [sys.executable, "-c", STUBBORN % then]
    monkeypatch.setattr("segsearch.remote.worker.python_module", lambda *_: (command, ENVIRONMENT))
    monkeypatch.setattr("segsearch.remote.worker._WATCH_SECONDS", 0.02)
    found = limited(tmp_path, graph, Limits(seconds=2.0, mib=256))
    assert found[0] == kind and line in found[1] and len(found[1]) < 700
    assert psutil.wait_procs(seen, timeout=30)[1] == []


def test_a_machine_that_can_start_no_process_says_so_and_goes_on(
    graph: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("segsearch.remote.worker.python_module", lambda *_: ([str(tmp_path / "absent")], ENVIRONMENT))
    worker, lines = MeasureWorker(backends=["onnxruntime"]), list[str]()
    for _ in range(2):
        request = worker._server.requests.enter(job(graph), "me")
        worker._measure(request, lines.append)
        event = request.events.get(timeout=10)
        assert event.failure is not None and event.failure.kind == "request"
        assert event.failure.line.startswith("cannot work: [Errno 2]") and not request.folder.exists()
    worker.close()
    assert len(lines) == 2 and all("me 0123456789ab onnxruntime: cannot work" in line for line in lines)


def test_closed_before_its_thread_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a Ctrl-C in the first moment does."""
    worker, late = MeasureWorker(backends=["onnxruntime"]), threading.Thread.start
    threads, failed = list[threading.Thread](), list[object]()
    monkeypatch.setattr(threading, "excepthook", failed.append)
    monkeypatch.setattr(threading.Thread, "start", lambda self: threads.append(self))
    monkeypatch.setattr(worker._server.requests, "next", lambda: signal.raise_signal(signal.SIGINT))
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
    options = ("--token-file", str(file), "--backend", "onnxruntime", "--seconds", "77", "--memory", "3000")
    with running(tmp_path, *options, environment=ENVIRONMENT) as there:
        facts = there.worker.facts()
        assert (list(facts.backends), facts.most_seconds, facts.most_mib) == (["onnxruntime"], 77.0, 3000)
        shown = "".join(there.said) + Path(f"/proc/{there.process.pid}/cmdline").read_text()
        shown += there.end(signal.SIGINT)[1] + repr(there.worker)
    assert TOKEN not in shown


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"host": "0.0.0.0"}, "--host: 0.0.0.0 is open to others, so a token must be given (allowed: 16 random char"),
        ({"host": "0.0.0.0", "token": "short"}, "--host: 0.0.0.0 is open to others, so the token must be hard to gue"),
        ({"host": "0.0.0.0", "token": "a" * 16}, "--host: 0.0.0.0 is open to others, so the token must be hard to g"),
        ({"host": "::"}, "--host: :: is open to others"),
        ({"host": "203.0.113.9", "token": TOKEN}, "--port: cannot listen at 203.0.113.9:0"),
        ({"host": "no such host"}, "--host: 'no such host' is no address of this machine"),
        ({"backends": ["eager"]}, "--backend: 'eager' runs no exported graph (allowed: onnxruntime"),
    ],
)
def test_a_worker_that_does_not_start(arguments: dict[str, Any], line: str) -> None:
    with pytest.raises(SegsearchError) as caught:
        MeasureWorker(**arguments)
    assert str(caught.value).startswith(line)
    assert "short" not in str(caught.value) and "aaaa" not in str(caught.value)


def test_a_port_that_is_taken(worker: Running) -> None:
    said = refusal("measure-worker", "--port", str(worker.address.port))
    assert said.startswith(f"--port: cannot listen at {worker.address}: ")


def test_the_verb(worker: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the least size of FPENet, as a person types it."""
    remote = ("measure", "fpenet", "--remote", str(worker.address), "--size", "64x64", "--backend", "onnxruntime")
    monkeypatch.setenv("SEGSEARCH_TOKEN", TOKEN)
    done = run(*remote, "--threads", "1", "--quick", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["machine"], told["backend"], told["size_hw"]) == (socket.gethostname(), "onnxruntime", [64, 64])
    monkeypatch.setenv("SEGSEARCH_TOKEN", "x")
    assert refusal(*remote) == f"worker {worker.address}: does not accept this token"
    monkeypatch.delenv("SEGSEARCH_TOKEN")
    line = "token: none is given (allowed: --token-file FILE, or SEGSEARCH_TOKEN of the environment)"
    assert refusal(*remote) == line


def test_what_is_not_sent(worker: Running) -> None:
    for under, line in (
        (Conditions(backend="eager"), "backend: 'eager' runs no exported graph"),
        (Conditions(backend="onnxruntime", precision="int8"), "precision: int8 comes from a quantised ONNX file, not"),
    ):
        with pytest.raises(InputError, match=line):
            measure_remote(deployed(), worker.worker, under, spec_id=SPEC)


def test_a_worker_keeps_its_token_to_itself() -> None:
    assert TOKEN not in repr(Worker(Address("127.0.0.1", 1), TOKEN))
