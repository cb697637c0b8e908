"""A leaderboard as one CSV file: one row per point and protocol."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from segsearch.files import write_atomic
from segsearch.leaderboard.board import Board, Entry
from segsearch.space.points import Published

if TYPE_CHECKING:
    from pandas import DataFrame

NAME = "leaderboard.csv"


def write_csv(boards: Sequence[Board], path: Path) -> None:
    """Write ``path``; ``pandas.read_csv`` reads it back. Raises InputError where it cannot be written."""
    write_atomic(path, leaderboard_frame(boards).to_csv(index=False, lineterminator="\n"))


def leaderboard_frame(boards: Sequence[Board]) -> "DataFrame":
    """Return a row per point and protocol."""
    import pandas as pd

    return pd.DataFrame(
        [_row(board, rank, entry) for board in boards for rank, entry in enumerate(board.entries, start=1)]
    )


def _row(board: Board, rank: int, entry: Entry) -> dict[str, object]:
    latency, protocol = entry.latency, board.protocol
    speed, miou = entry.published, entry.miou
    return {
        "backend": protocol.backend,
        "rank": rank,
        "name": entry.point.name,
        "paper": entry.point.paper,
        "spec_id": entry.point.spec.id,
        "fps": round(latency.fps, 4),
        "latency_ms": round(latency.median_ms, 4),
        "latency_p10_ms": round(latency.p10_ms, 4),
        "latency_p90_ms": round(latency.p90_ms, 4),
        "latency_p99_ms": round(latency.p99_ms, 4),
        "latency_least_ms": round(min(latency.process_medians_ms, default=latency.median_ms), 4),
        "latency_most_ms": round(max(latency.process_medians_ms, default=latency.median_ms), 4),
        "plain_export_ms": entry.plain and round(entry.plain.median_ms, 4),
        "times_faster_than_plain": entry.gain and round(entry.gain, 4),
        "reference_ratio": latency.reference_ratio and round(latency.reference_ratio, 4),
        "params": latency.params,
        "macs": latency.macs,
        "published_fps": speed and speed.value,
        "published_fps_size": _size(speed),
        "published_fps_device": speed and speed.device,
        "published_fps_where": speed and speed.where,
        "published_fps_same_size": speed and entry.same_size(speed),
        "published_miou": miou and round(miou.value / 100, 6),  # a fraction, as every mIoU in a file
        "published_miou_size": _size(miou),
        "published_miou_split": miou and miou.split,
        "published_miou_where": miou and miou.where,
        "size": f"{protocol.size_hw[0]}x{protocol.size_hw[1]}",
        "device": protocol.device_name,
        "threads": protocol.threads,
        "precision": protocol.precision,
        "backend_version": protocol.backend_version,
        "samples": len(latency.samples_ms),
        "steady": latency.steady,
        "unsteady": latency.unsteady,
        "processes": protocol.processes,
        "others_percent": round(latency.contention.others_percent_during, 1),
        "started_at": latency.started_at,
    }


def _size(row: Published | None) -> str | None:
    return None if row is None or row.size is None else f"{row.size[0]}x{row.size[1]}"
