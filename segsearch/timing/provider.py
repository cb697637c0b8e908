"""`latency_of`: the one place where latencies come from."""

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Any

import torch

from segsearch.count.cost import count
from segsearch.data.normalise import MEAN, STD
from segsearch.deployment.deploy import deploy
from segsearch.errors import InputError
from segsearch.measure.backends.table import ready_backend
from segsearch.measure.conditions import PLAIN, Conditions, check_threads
from segsearch.measure.load import Contention, GpuLog
from segsearch.measure.machine import find_device
from segsearch.measure.record import LatencyRecord, unsteady_words
from segsearch.measure.timer import quantile
from segsearch.progress import Report, silent
from segsearch.remote.client import Worker, measure_remote
from segsearch.timing.process import measure_in_processes
from segsearch.timing.subjects import FileSubject, Subject

MOST_PROCESSES = 100
PATIENCE_SECONDS = 600.0
"""How long to wait for a worker that measures for somebody else."""


def latency_of(
    subject: Subject,
    under: Conditions = PLAIN,
    *,
    processes: int | None = None,
    worker: Worker | None = None,
    report: Report = silent,
) -> LatencyRecord:
    """Measure the latency of one network or exported file.

    Args:
        subject: what to time.
        under: device, backend, precision, threads, and how long to sample.
        processes: None measures in this process; N >= 1 starts so many new processes, one after another, and returns
            their samples together, with the median of their medians. On a worker, so many jobs.
        worker: the machine to measure on; default: this one. It is sent the exported graph.
        report: told of the stages.

    Raises:
        InputError: a device, backend, precision or number that cannot be; a file that is none.
        DeviceError: the device is not here, or has too little memory. WorkerError: the worker did not answer.
        MissingExtraError: the backend is not installed. MachineError: no disk space, memory or file handles are left.
        ProofError: the latency is impossible, or a process ended without an answer; says its last words.
        UnfitError: the backend cannot run the network.
    """
    if processes is not None and not 1 <= processes <= MOST_PROCESSES:
        raise InputError("processes", f"{processes} is not possible", f"1 to {MOST_PROCESSES}")
    if worker is not None:
        return joined([_there(subject, under, worker, report) for _ in range(processes or 1)])
    if processes is None:
        return subject.here(under, report)
    check_threads(under.threads)
    ready_backend(under.backend, find_device(under.device), under.precision)
    under = dataclasses.replace(under, threads=under.threads or torch.get_num_threads())
    return joined(measure_in_processes(subject, under, processes, report))


def joined(records: Sequence[LatencyRecord]) -> LatencyRecord:
    """Join records of one subject from several processes: all samples, and the median of the medians.

    They are steady if each is, and if the reference network took as long in all of them, within the tolerance.
    """
    first, contention = records[0], Contention.most(record.contention for record in records)
    samples = tuple(lap for record in records for lap in record.samples_ms)
    references = [record.reference_ms or 1.0 for record in records]
    middle = statistics.median(references)
    drifts = [record.reference_drift or 0.0 for record in records]
    drift = max(*drifts, *(abs(reference / middle - 1) for reference in references))
    unsteady = unsteady_words(drift, first.timer.reference_tolerance, contention)
    update: dict[str, Any] = {
        "samples_ms": samples,
        "process_medians_ms": tuple(record.median_ms for record in records),
        "median_ms": statistics.median(record.median_ms for record in records),
        "p10_ms": quantile(samples, 0.1),
        "p90_ms": quantile(samples, 0.9),
        "reference_ms": middle if first.reference_ms else None,
        "reference_samples_ms": tuple(lap for record in records for lap in record.reference_samples_ms),
        "reference_drift": drift,
        "retakes": sum(record.retakes for record in records),
        "steady": unsteady is None,
        "unsteady": unsteady,
        "warmup_settled": all(record.warmup_settled for record in records),
        "memory_mib": max((r.memory_mib for r in records if r.memory_mib is not None), default=None),
        "contention": contention,
        "gpu": GpuLog.joined([record.gpu for record in records if record.gpu is not None]),
    }
    return first.model_copy(update=update)


def _there(subject: Subject, under: Conditions, worker: Worker, report: Report) -> LatencyRecord:
    if isinstance(subject, FileSubject):
        raise InputError("worker", "is sent networks of ours, no files")
    network = subject.built()
    cost = count(network, subject.size_hw)
    record = measure_remote(
        deploy(network, subject.size_hw, MEAN, STD),
        worker,
        under,
        spec_id=subject.spec.id,
        macs=cost.macs,
        label=subject.label,
        patience_seconds=PATIENCE_SECONDS,
        listen=lambda stage: report(stage, 0, 1),
    )
    return record.model_copy(update={"params": cost.params})
