"""One job of a worker, in a process of its own: check the graph as if a stranger had sent it, then time it.

``python -m segsearch.remote.job FOLDER BACKEND...`` reads the job and the graph of a folder, and writes events, a line
each, the last with the answer or the failure. What it must not do is kept from it by the process that starts it (see
`segsearch.remote.worker`): take too long, take too much memory, outlive the worker.
"""

import contextlib
import json
import os
import socket
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from segsearch.errors import InputError, SegsearchError, WorkerError, machine_fault, one_line
from segsearch.measure.backends.table import file_backend
from segsearch.measure.latency import measure_file
from segsearch.measure.machine import find_device
from segsearch.processes import die_with_parent
from segsearch.remote.graph import check_received
from segsearch.remote.protocol import Answer, Event, Failure, Job, plain

GRAPH, JOB = "network.onnx", "job.json"
"""Files of a job's folder."""


def outcome(job: Job, graph: Path, allowed: Collection[str], tell: Callable[[str], None]) -> Event:
    """Check a job, time its graph, and say how that went, whatever a graph from elsewhere makes a library do.

    Args:
        job: what was asked for.
        graph: the ONNX file.
        allowed: names of the backends that may be used.
        tell: told the stage, now and again.
    """
    tell("check")
    try:
        _check(job, graph, allowed)
    except Exception as error:
        return failed("request", _words(error, graph, "graph: cannot be checked: "))
    try:
        record = measure_file(
            graph,
            job.conditions,
            macs=job.macs,
            label=job.label,
            spec_id=job.spec_id,
            report=lambda what, done, total: tell(what),
        )
    except Exception as error:  # runtimes raise classes of their own, without a common base
        fault = machine_fault(error)
        return failed("request" if fault else "network", _words(fault or error, graph))
    record = record.model_copy(update={"machine": socket.gethostname(), "macs": job.macs})
    return Event(answer=Answer(spec_id=job.spec_id, sha256=job.sha256, record=record))


def failed(kind: str, line: str) -> Event:
    """Return the last event of a job without an answer: the ``request`` or the ``network`` is at fault."""
    return Event(failure=Failure.parse({"kind": kind, "line": plain(line)}, "failure"))


def _check(job: Job, graph: Path, allowed: Collection[str]) -> None:
    """See that a job can be done here, and that the graph is the one it announces. Raises in one line why not."""
    if job.backend not in allowed:
        raise InputError("backend", f"{job.backend!r} is not offered by this worker", allowed)
    where = find_device(job.device)
    runner = file_backend(job.backend, where.type, job.precision)
    runner.version()
    runner.check(where, job.precision)
    spec_id = check_received(graph.read_bytes(), job.size_hw)
    if spec_id != job.spec_id:
        raise WorkerError(f"the graph is of spec {spec_id}, the job of {job.spec_id}")


def _words(error: Exception, graph: Path, place: str = "") -> str:
    """Write an error in one line; the caller knows nothing of our path."""
    known = isinstance(error, SegsearchError)
    return one_line(str(error) if known else f"{place}{type(error).__name__}: {error}").replace(str(graph), "graph")


def main(folder: str, *backends: str) -> None:
    """Do the job that lies in a folder."""
    die_with_parent()
    _be_first_to_go()
    with os.fdopen(os.dup(1), "wb", buffering=0) as answers:
        os.dup2(2, 1)  # what libraries print is no answer
        stage = ""

        def tell(what: str) -> None:
            nonlocal stage
            if what != stage:
                stage = what
                answers.write(Event(stage=what).line())

        job = Job.parse(json.loads((Path(folder) / JOB).read_text(encoding="utf-8")), "job")
        answers.write(outcome(job, Path(folder) / GRAPH, backends, tell).line())
    os._exit(0)  # nothing is left to be done, and tidying up takes long


def _be_first_to_go() -> None:
    """Leave no image of the memory behind, and be ended before others where the machine's memory is short."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    main(*sys.argv[1:])
