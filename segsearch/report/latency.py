"""One measured latency, in words."""

from segsearch.measure.record import LatencyRecord


def sentence(record: LatencyRecord, spec_id: str) -> str:
    """Median, spread and what they were measured on; a warning where the machine was not quiet."""
    height, width = record.size_hw
    threads = "" if record.device_kind == "cuda" else f", {record.threads} threads"
    lines = [
        f"{record.label} (id {spec_id}) at {height}x{width}, batch {record.batch}",
        f"{record.median_ms:.2f} ms median ({record.fps:.1f} FPS), p10 {record.p10_ms:.2f}, p90 {record.p90_ms:.2f},"
        f" {len(record.samples_ms)} samples",
        f"{record.backend} {record.backend_version}, {record.precision}, on {record.device}{threads}",
    ]
    if record.contention.busy:
        others = max(record.contention.others_percent_before, record.contention.others_percent_during)
        lines.append(f"warning: other programs used {others:.0f} % of the processor; measure again on a quiet machine")
    if not record.warmup_settled:
        lines.append("warning: the latency had not settled when warm-up ended")
    return "\n".join(lines)
