"""The measuring act on a worker: an exported file under one of its backends, by its own clock."""

import dataclasses
import socket
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

from segsearch.errors import InputError, WorkerError
from segsearch.measure.backends.base import FileBackend, Prepared
from segsearch.measure.backends.table import file_backend
from segsearch.measure.latency import Ready, example_image, measure_ready
from segsearch.measure.machine import find_device
from segsearch.measure.record import LatencyRecord
from segsearch.measure.roofline import Workload
from segsearch.remote.graph import check_received, digest
from segsearch.remote.protocol import Job

_P = ParamSpec("_P")
_R = TypeVar("_R")


def check_job(job: Job, graph: bytes, allowed: Collection[str]) -> tuple[FileBackend, torch.device]:
    """See that a job can be done here, and that the graph is the one it announces.

    Raises:
        SegsearchError: in one line, why not.
    """
    if job.backend not in allowed:
        raise InputError("backend", f"{job.backend!r} is not offered by this worker", allowed)
    device = find_device(job.device)
    backend = file_backend(job.backend, device.type, job.precision)
    backend.version()
    if digest(graph) != job.sha256:
        raise WorkerError("the graph that arrived is not the one announced: another sha256")
    spec_id = check_received(graph, job.size_hw)
    if spec_id != job.spec_id:
        raise WorkerError(f"the graph is of spec {spec_id}, the job of {job.spec_id}")
    return backend, device


def time_graph(
    job: Job,
    graph: bytes,
    backend: FileBackend,
    device: torch.device,
    *,
    each_call: Callable[[], object],
    tell: Callable[[str], None],
) -> LatencyRecord:
    """Open a checked graph and time it at batch 1.

    Args:
        job: what was asked for.
        graph: bytes of the file, as checked by `check_job`.
        backend: as found by `check_job`.
        device: as found by `check_job`.
        each_call: called before every inference; raises to stop.
        tell: told the stage, now and again.

    Raises: as `segsearch.measure.latency.measure`, and whatever the backend raises for a graph that it cannot run.
    """
    example = example_image(job.size_hw).to(device)

    def make() -> Ready:
        prepared = _open(job, graph, backend, example)
        return Ready(
            prepared=_asked(prepared, each_call),
            work=Workload(macs=job.macs or 0, bytes=len(graph) + example.numel() + example[0, 0].numel()),
            precision=prepared.facts.get("precision", job.precision or backend.precisions[0]),
            layout="contiguous",
        )

    record = measure_ready(
        make,
        backend,
        device,
        example.shape,
        job.conditions,
        label=job.label,
        spec_id=job.spec_id,
        report=lambda what, done, total: tell(what),
    )
    return record.model_copy(update={"machine": socket.gethostname(), "macs": job.macs})


def _open(job: Job, graph: bytes, backend: FileBackend, example: Tensor) -> Prepared:
    with tempfile.TemporaryDirectory(prefix="segsearch-graph-") as folder:
        path = Path(folder) / "network.onnx"
        path.write_bytes(graph)
        try:
            return backend.open(path, example, precision=job.precision)
        except InputError as error:  # the caller knows nothing of our path
            raise InputError("graph", error.problem, error.allowed) from error


def _asked(prepared: Prepared, each_call: Callable[[], object]) -> Prepared:
    """Ask before everything that a prepared graph does whether to go on; it costs a tenth of a microsecond."""
    return dataclasses.replace(prepared, run=_asking(prepared.run, each_call), mask=_asking(prepared.mask, each_call))


def _asking(call: Callable[_P, _R], each_call: Callable[[], object]) -> Callable[_P, _R]:
    def asking(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        each_call()
        return call(*args, **kwargs)

    return asking
