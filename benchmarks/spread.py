"""How far latencies of a network lie apart between processes: ``python benchmarks/spread.py --points 20``.

Draws random points of a space and measures each in several processes, under each backend with the care that
`segsearch measure` takes. All points have their turn before one is measured again: minutes lie between. Writes
``latency_spread.csv``, a row per process, and ``latency_spread.md``, a row per network and backend. Run again, it goes
on where it stopped.
"""

import argparse
import csv
import json
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from segsearch.export.deploy import Deployed

COLUMNS = (
    *("space", "size", "threads", "point", "spec_id", "macs", "backend", "backend_version", "process", "median_ms"),
    *("p10_ms", "p25_ms", "p90_ms", "samples", "reference_ms", "reference_drift", "retakes", "steady"),
    *("refusals", "others_percent", "device", "torch", "started_at"),
)
MOST_REFUSALS = 20
KEY = ["space", "size", "threads", "point", "backend", "process"]


def main() -> None:
    options = _options()
    if options.one is not None:
        print(json.dumps(list(_measure(options, options.one))))
        return
    table = options.out / "latency_spread.csv"
    for process in range(options.processes):
        for point in range(options.points):
            backends = [name for name in options.backends if not _there(table, options, point, name, process)]
            for row in _in_a_process(options, point, backends) if backends else ():
                _append(table, row | {"process": process})
                print(process, row["spec_id"], row["backend"], f"{row['median_ms']:.2f} ms", row["steady"], flush=True)
    (options.out / "latency_spread.md").write_text(summary(pd.read_csv(table)), encoding="utf-8")


def summary(rows: pd.DataFrame) -> str:
    """Spread per network over processes: of medians, of p10, of ratios to the reference network."""
    rows["ratio"] = rows["median_ms"] / rows["reference_ms"]
    lines = [
        "# Spread of latencies between processes",
        "",
        f"{rows['device'].iloc[0]}, torch {rows['torch'].iloc[0]}, threads {rows['threads'].unique().tolist()},"
        f" {rows['process'].nunique()} processes for each network; command: `python benchmarks/spread.py"
        f" --points {rows['point'].nunique()} --threads {rows['threads'].iloc[0]}`."
        " Spread is (largest - smallest) / median; ratios are to the reference network.",
        "",
        "| backend | size | networks | within 3 % | worst spread of medians | of p10 | of ratios | steady |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (backend, size), of_backend in rows.groupby(["backend", "size"]):
        by_network = of_backend.groupby("spec_id")
        medians, p10, ratios = (spreads(by_network[name]) for name in ("median_ms", "p10_ms", "ratio"))
        lines.append(
            f"| {backend} | {size} | {len(medians)} | {(medians <= 0.03).sum()} | {medians.max():.1%} | {p10.max():.1%}"
            f" | {ratios.max():.1%} | {of_backend['steady'].mean():.0%} |"
        )
    lines += [
        "",
        "| backend | network | size | MACs | median ms | spread | of p10 | of ratios | others, % |",
    ]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    for (backend, size, spec_id), own in rows.groupby(["backend", "size", "spec_id"]):
        found = (spread(own[name]) for name in ("median_ms", "p10_ms", "ratio"))
        lines.append(
            f"| {backend} | {spec_id} | {size} | {own['macs'].iloc[0] / 1e9:.2f} G | {own['median_ms'].median():.2f} | "
            + " | ".join(f"{value:.1%}" for value in found)
            + f" | {own['others_percent'].max():.0f} |"
        )
    return "\n".join(lines) + "\n"


def spread(values: "pd.Series[float]") -> float:
    return float((values.max() - values.min()) / values.median())


def spreads(groups: "pd.core.groupby.SeriesGroupBy") -> "pd.Series[float]":
    return groups.apply(spread)


def _measure(options: argparse.Namespace, point: int) -> Iterator[dict[str, object]]:
    """Build the point of that number, deploy it and measure it under each backend, in this process."""
    import torch

    from segsearch.data.normalise import MEAN, STD
    from segsearch.export.deploy import deploy
    from segsearch.models.build import build
    from segsearch.space.load import load_space
    from segsearch.space.lower import lower
    from segsearch.space.walk import sample

    spec = lower(sample(load_space(options.space), random.Random(f"{options.seed}-{point}")))
    torch.manual_seed(0)
    height, width = map(int, options.size.split("x"))
    deployed = deploy(build(spec), (height, width), MEAN, STD)
    for backend in options.backends:
        yield _timed(options, deployed, backend, spec.id) | {"point": point, "torch": str(torch.__version__)}


def _timed(options: argparse.Namespace, deployed: "Deployed", backend: str, spec_id: str) -> dict[str, object]:
    from segsearch.errors import DeviceError
    from segsearch.measure.conditions import Conditions
    from segsearch.measure.deployed import example_image
    from segsearch.measure.latency import measure
    from segsearch.measure.timer import CAREFUL, quantile

    under = Conditions(backend=backend, threads=options.threads, timer=CAREFUL, unsteady="refuse")
    refusals = 0
    while True:  # a machine that does not stand still is refused: that is what makes the others repeat
        try:
            record = measure(deployed, example_image(deployed.size_hw), under, spec_id=spec_id)
            break
        except DeviceError:
            refusals += 1
            if refusals == MOST_REFUSALS:
                raise
    facts = record.model_dump(include=set(COLUMNS))
    return facts | {
        "space": options.space,
        "size": options.size,
        "p25_ms": quantile(record.samples_ms, 0.25),
        "samples": len(record.samples_ms),
        "refusals": refusals,
        "others_percent": round(record.contention.others_percent, 1),
    }


def _in_a_process(options: argparse.Namespace, point: int, backends: Sequence[str]) -> list[dict[str, object]]:
    command = [sys.executable, __file__, "--one", str(point), "--space", options.space, "--size", options.size]
    command += ["--threads", str(options.threads), "--seed", str(options.seed), "--backends", *backends]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    rows: list[dict[str, object]] = json.loads(done.stdout.splitlines()[-1])
    return rows


def _there(table: Path, options: argparse.Namespace, point: int, backend: str, process: int) -> bool:
    if not table.exists():
        return False
    asked = (options.space, options.size, options.threads, point, backend, process)
    rows = pd.read_csv(table)
    return bool((rows[KEY] == pd.Series(asked, index=KEY)).all(axis=1).any())


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
    parser.add_argument("--backends", nargs="+", default=["onnxruntime", "openvino"])
    parser.add_argument("--space", default="realtime")
    parser.add_argument("--size", default="256x512")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("studies/results"))
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
