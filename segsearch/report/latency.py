"""Measured latencies, in words."""

from collections.abc import Sequence

from segsearch.measure.record import LatencyRecord
from segsearch.measure.throughput import Throughput

LAUNCH_BOUND = 1.3
"""From this ratio of eager to graph latency on, a network waits for its kernels to be launched, not for them to run."""


def sentence(record: LatencyRecord, spec_id: str) -> str:
    """Median, spread and what they were measured on; a warning for whatever makes them doubtful."""
    height, width = record.size_hw
    lines = [
        f"{record.label} (id {spec_id}) at {height}x{width}, batch {record.batch}",
        f"{record.median_ms:.2f} ms median ({record.fps:.1f} FPS){of_processes(record)}, p10 {record.p10_ms:.2f},"
        f" p90 {record.p90_ms:.2f}, p99 {record.p99_ms:.2f}, {len(record.samples_ms)} samples",
        f"{record.backend} {record.backend_version}, {record.precision}, on {record.where}{_threads(record)}",
    ]
    return "\n".join([*lines, *_facts(record), *warnings(record)])


def of_processes(record: LatencyRecord) -> str:
    """Say how far the medians of several processes lie apart."""
    medians = record.process_medians_ms
    return f" of {len(medians)} processes, {min(medians):.2f} to {max(medians):.2f}" if len(medians) > 1 else ""


def marked(record: LatencyRecord) -> str:
    """Write the median in milliseconds; an exclamation mark says that it is not steady."""
    return f"{record.median_ms:.2f}{'' if record.steady else ' !'}"


def least_most(record: LatencyRecord) -> str:
    """Write the least and the greatest median of several processes; nothing for one."""
    medians = record.process_medians_ms
    return f"{min(medians):.2f}-{max(medians):.2f}" if len(medians) > 1 else ""


def side_by_side(records: Sequence[LatencyRecord]) -> str:
    """One line per backend of one network, with the latency over that of the first; then all warnings."""
    first, wide = records[0], max(len(record.backend) for record in records)
    height, width = first.size_hw
    head = f"{first.label} (id {first.spec_id}) at {height}x{width}, batch {first.batch}, on {first.where}"
    lines = [
        f"  {record.backend:{wide}}  {record.median_ms:9.2f} ms  {record.fps:8.1f} FPS  p90 {record.p90_ms:9.2f}"
        f"  {record.median_ms / first.median_ms:5.2f} x  {record.precision}{of_processes(record)}"
        + (f"  host to host {record.host.median_ms:.2f} ms" if record.host else "")
        for record in records
    ]
    said = [f"{record.backend}: {line}" for record in records for line in warnings(record)]
    return "\n".join([head + _threads(first), *lines, *_launching(records), *said])


def _launching(records: Sequence[LatencyRecord]) -> list[str]:
    """Say that a network waits for its kernels to be launched, where both ways of launching were measured alike."""
    by_backend = {record.backend: record for record in records}
    if not {"eager", "cudagraph"} <= by_backend.keys():
        return []
    eager, graph = by_backend["eager"], by_backend["cudagraph"]
    ratio = eager.median_ms / graph.median_ms
    alike = (eager.precision, eager.layout) == (graph.precision, graph.layout)
    said = f"launch-bound: eager takes {ratio:.2f} times as long as one CUDA graph"
    return [said] if alike and ratio > LAUNCH_BOUND else []


def throughput_line(record: LatencyRecord, found: Throughput) -> str:
    """Images per second at the best batch."""
    return f"{record.backend}: {found.images_per_second:.1f} images/s at the best batch, {found.batch}"


def latency_json(record: LatencyRecord, found: Throughput | None) -> dict[str, object]:
    """All of a record as plain data, and the figures that follow from it."""
    derived = {"id": record.spec_id, "fps": record.fps, "p99_ms": record.p99_ms, "iqr_ms": record.iqr_ms}
    derived["reference_ratio"] = record.reference_ratio
    batches = {"throughput": found.model_dump(mode="json")} if found else {}
    return record.model_dump(mode="json") | derived | batches


def warnings(record: LatencyRecord) -> list[str]:
    """List what makes a latency doubtful, one line each."""
    lines = []
    if not record.steady:
        lines.append(f"not steady: {record.unsteady}; measure again on a quiet machine")
    if not record.warmup_settled:
        lines.append("the latency had not settled when warm-up ended")
    if record.gpu and record.gpu.throttled:
        lines.append(f"the GPU was slowed down: {', '.join(record.gpu.throttled)}")
    return [f"warning: {line}" for line in lines]


def _threads(record: LatencyRecord) -> str:
    return "" if record.device_kind == "cuda" else f", {record.threads} thread{'s' * (record.threads > 1)}"


def _facts(record: LatencyRecord) -> list[str]:
    lines = []
    if record.host:
        host = record.host
        lines.append(
            f"host to host {host.median_ms:.2f} ms ({host.image}, decoded in {host.decode_ms:.2f} ms; two copies)"
        )
    if record.memory_mib is not None:
        lines.append(
            f"peak memory {record.memory_mib:.0f} MiB" + (" beside the weights" * (record.device_kind == "cpu"))
        )
    if record.reference_ratio is not None and record.reference_ms is not None:
        lines.append(f"{record.reference_ratio:.3g} times the reference network ({record.reference_ms:.3f} ms)")
    return lines
