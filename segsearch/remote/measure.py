"""The same call as `segsearch.measure.latency.measure_deployed`, against another machine."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from segsearch.errors import WorkerError
from segsearch.export.deploy import Deployed
from segsearch.measure.backends.base import FileBackend
from segsearch.measure.backends.table import file_backend
from segsearch.measure.conditions import Conditions
from segsearch.measure.device_lock import working
from segsearch.measure.record import LatencyRecord
from segsearch.remote.client import Listen, Worker, WorkerBusyError
from segsearch.remote.graph import digest, graph_bytes
from segsearch.remote.protocol import Answer, Job, WorkerFacts, plain

_ASK_AGAIN_SECONDS = 1.0


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
        deployed: as `segsearch.export.deploy.deploy` makes it.
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
        MissingExtraError, ProofError: as `segsearch.export.onnx.to_onnx`.
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
    """Send a job with its graph, and believe the answer only if it is to that job. Raises as `measure_remote`."""
    answer = _patiently(lambda: worker.answer(job, graph, listen), patience_seconds)
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


def _patiently(ask: Callable[[], Answer], seconds: float) -> Answer:
    end = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except WorkerBusyError:
            if time.monotonic() >= end:
                raise
        time.sleep(_ASK_AGAIN_SECONDS)


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
