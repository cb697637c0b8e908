"""How far latencies of a network lie apart between processes: ``python benchmarks/spread.py --points 20``.

Draws random points of a space, exports each once, and times the file in several new processes under each backend, as
`segsearch measure` does. The processes of one point follow each other (``--order together``), or all points have their
turn before one is timed again, so that minutes lie between (``--order apart``).
Writes ``latency_spread.csv``, a row per process, and ``latency_spread.md``, a row per network and backend. Run again,
it goes on where it stopped. Nothing is left out: measurements that were not steady are rows, too.
"""

import argparse
import contextlib
import csv
import itertools
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from segsearch.cli.arguments import size_hw
from segsearch.measure.conditions import Conditions
from segsearch.measure.timer import QUOTED
from segsearch.space.load import load_space
from segsearch.space.lower import lower
from segsearch.space.walk import sample
from segsearch.timing import FileSubject, NetworkSubject, exported, latency_of

COLUMNS = (
    *("order", "space", "size", "threads", "point", "spec_id", "macs", "backend", "backend_version", "process"),
    *("median_ms", "p10_ms", "p90_ms", "p99_ms", "samples", "reference_ms", "ratio", "reference_drift", "retakes"),
    *("steady", "unsteady", "others_percent", "seconds", "device", "torch", "started_at"),
)
BACKENDS = ("onnxruntime", "openvino")
ORDERS = ("together", "apart")
KEY = ["order", "space", "size", "threads", "point", "backend", "process"]
FIGURES = {"median_ms": "the clock", "ratio": "ratio to the reference", "p10_ms": "p10"}


def main() -> None:
    options = _options()
    table = options.out / "latency_spread.csv"
    with contextlib.ExitStack() as files:
        graphs: dict[int, FileSubject] = {}
        for process, point, backend in _missing(table, options):
            if point not in graphs:
                graphs[point] = files.enter_context(_exported(options, point))
            row = _timed(options, graphs[point], backend) | {"point": point, "process": process}
            _append(table, row)
            said = f"{row['median_ms']:.2f} ms, {row['ratio']:.3f} x reference, in {row['seconds']:.0f} s"
            print(process, point, backend, said, flush=True)
    (options.out / "latency_spread.md").write_text(summary(pd.read_csv(table)), encoding="utf-8")


def _missing(table: Path, options: argparse.Namespace) -> Iterator[tuple[int, int, str]]:
    turns = list(itertools.product(range(options.processes), range(options.points), options.backends))
    done = set[tuple[object, ...]]()
    if table.exists():
        done = set(pd.read_csv(table)[KEY].itertuples(index=False, name=None))
    for process, point, backend in sorted(turns, key=lambda turn: turn[1]) if options.order == "together" else turns:
        key = (options.order, options.space, options.size, options.threads, point, backend, process)
        if key not in done:
            yield process, point, backend


@contextlib.contextmanager
def _exported(options: argparse.Namespace, point: int) -> Iterator[FileSubject]:
    spec = lower(sample(load_space(options.space), random.Random(f"{options.seed}-{point}")))
    subject = NetworkSubject(spec=spec, classes=19, size_hw=size_hw(options.size))
    with exported(subject, "float32") as file:
        yield file


def _timed(options: argparse.Namespace, file: FileSubject, backend: str) -> dict[str, object]:
    under = Conditions(backend=backend, precision="float32", threads=options.threads, timer=QUOTED)
    start = time.monotonic()
    record = latency_of(file, under, processes=1)
    return record.model_dump(include=set(COLUMNS)) | {
        "order": options.order,
        "space": options.space,
        "size": options.size,
        "threads": options.threads,
        "p99_ms": record.p99_ms,
        "samples": len(record.samples_ms),
        "ratio": record.reference_ratio,
        "others_percent": round(record.contention.others_percent, 1),
        "seconds": round(time.monotonic() - start, 1),
        "torch": record.software.torch,
    }


def spreads(rows: pd.DataFrame) -> pd.DataFrame:
    """Spread of each figure over the processes of one network and backend: (largest - smallest) / median."""
    groups = rows.groupby(["order", "backend", "size", "spec_id"])[list(FIGURES)]
    return ((groups.max() - groups.min()) / groups.median())[groups.size() >= 2]


def summary(rows: pd.DataFrame) -> str:
    """Write the note: how many pairs of network and backend lie within 3 %, and each pair's spread."""
    processes, found = rows["process"].nunique(), spreads(rows)
    lines = [
        "# Spread of latencies between processes",
        "",
        f"{rows['device'].iloc[0]}, torch {rows['torch'].iloc[0]}, threads: {rows['threads'].iloc[0]}; command:"
        f" `python benchmarks/spread.py --points {rows['point'].nunique()} --processes {processes}"
        f" --threads {rows['threads'].iloc[0]} --size {rows['size'].iloc[0]}"
        f" --order {' or '.join(rows['order'].unique())}`."
        " Spread is (largest - smallest) / median over the processes of one network. ``together``: these follow each"
        " other; ``apart``: all networks have their turn in between. Measurements that were not steady count, too.",
        "",
        "| order | backend | size | networks | processes | not steady | seconds each, median | figure"
        " | within 3 % | median spread | worst |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for key, of_backend in rows.groupby(["order", "backend", "size"]):
        own: Any = found.loc[key]  # type: ignore[index]  # the stubs know no tuple of the group's keys
        for figure, words in FIGURES.items():
            lines.append(
                f"| {' | '.join(map(str, key))} | {len(own)} | {len(of_backend)} | {(~of_backend['steady']).sum()}"
                f" | {of_backend['seconds'].median():.1f} | {words} | {(own[figure] <= 0.03).sum()}"
                f" | {own[figure].median():.1%} | {own[figure].max():.1%} |"
            )
    lines += [
        "",
        "| order | backend | network | MACs | processes | not steady | median ms | "
        + " | ".join(FIGURES.values())
        + " |",
        "|---|---|---|---|---|---|---|" + "---|" * len(FIGURES),
    ]
    for (order, backend, size, spec_id), of_network in rows.groupby(["order", "backend", "size", "spec_id"]):
        spread: Any = found.loc[order, backend, size, spec_id] if len(of_network) > 1 else []  # type: ignore[index]
        several = [f"{value:.1%}" for value in spread]
        lines.append(
            f"| {order} | {backend} | {spec_id} | {of_network['macs'].iloc[0] / 1e9:.2f} G | {len(of_network)}"
            f" | {(~of_network['steady']).sum()} | {of_network['median_ms'].median():.2f} | {' | '.join(several)} |"
        )
    return "\n".join(lines) + "\n"


def _append(table: Path, row: dict[str, object]) -> None:
    new = not table.exists()
    table.parent.mkdir(parents=True, exist_ok=True)
    with table.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if new:
            writer.writeheader()
        writer.writerow(row)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=20)
    parser.add_argument("--processes", type=int, default=5)
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    parser.add_argument("--order", choices=ORDERS, default="together", help="how the processes of a point follow")
    parser.add_argument("--space", default="realtime")
    parser.add_argument("--size", default="256x512")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("studies/results"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
