"""How often foreign load is noticed: ``python benchmarks/injected_load.py --runs 20 --out injected_load.md``.

Measures one network in turns with and without a busy process on every core, and counts how often the record says so:
by the reference network, by the share of the processor that others had, and by either.
"""

import argparse
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from rich.progress import track

from segsearch.cli.arguments import size_hw
from segsearch.measure.conditions import Conditions
from segsearch.measure.record import LatencyRecord
from segsearch.space.points import named_point
from segsearch.timing import NetworkSubject, latency_of


def main() -> None:
    options = _options()
    loaded, quiet = list[LatencyRecord](), list[LatencyRecord]()
    for _ in track(range(options.runs), description="measuring"):
        quiet.append(_measure(options))
        with busy(options.busy):
            loaded.append(_measure(options))
    lines = [
        "| load | runs | reference moved | others used the processor | either | median of medians, ms"
        " | median ratio to the reference | others, % |",
        "|---|---|---|---|---|---|---|---|",
        _row(f"{options.busy} busy processes", loaded),
        _row("none of ours", quiet),
    ]
    head = f"{options.backend}, {options.point}, {options.size}, {options.threads} threads, on {loaded[0].device}"
    text = "\n".join(["# Is foreign load noticed?", "", head, "", *lines]) + "\n"
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def busy(processes: int) -> Iterator[None]:
    """Keep so many processes of another program busy."""
    others = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def _row(load: str, records: list[LatencyRecord]) -> str:
    moved = [r.reference_drift is not None and r.reference_drift > r.timer.reference_tolerance for r in records]
    counts = [sum(moved), sum(r.contention.busy for r in records), sum(not r.steady for r in records)]
    medians = torch.tensor([record.median_ms for record in records]).median()
    ratios = torch.tensor([record.reference_ratio for record in records]).median()
    others = torch.tensor([record.contention.others_percent for record in records]).median()
    return (
        f"| {load} | {len(records)} | {counts[0]} | {counts[1]} | {counts[2]}"
        f" | {medians:.2f} | {ratios:.2f} | {others:.0f} |"
    )


def _measure(options: argparse.Namespace) -> LatencyRecord:
    spec = named_point(options.point).spec
    subject = NetworkSubject(spec=spec, classes=19, size_hw=size_hw(options.size))
    return latency_of(subject, Conditions(backend=options.backend, threads=options.threads))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--busy", type=int, default=os.cpu_count())
    parser.add_argument("--backend", default="eager")
    parser.add_argument("--point", default="fpenet_plain")
    parser.add_argument("--size", default="128x256")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
