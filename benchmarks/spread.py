"""How far latencies of a network lie apart between processes: ``python benchmarks/spread.py --points 20``.

Draws random points of a space, exports each once, and measures it in several processes, under each backend with the
care that `segsearch measure` takes. The processes of one point follow each other (``--order together``), or all points
have their turn before one is measured again, so that minutes lie between (``--order apart``).
Writes ``latency_spread.csv``, a row per process, and ``latency_spread.md``, a row per network and backend. Run again,
it goes on where it stopped.
"""

import argparse
import csv
import itertools
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

COLUMNS = (
    *("order", "space", "size", "threads", "point", "spec_id", "macs", "backend", "backend_version", "process"),
    *("median_ms", "p10_ms", "p25_ms", "p90_ms", "samples", "reference_ms", "slower", "reference_drift"),
    *("retakes", "quiet_share", "steady", "seconds", "processors", "others_percent", "device", "torch", "started_at"),
)
BACKENDS = ("onnxruntime", "openvino")
ORDERS = ("together", "apart")
KEY = ["order", "space", "size", "threads", "point", "backend", "process"]


def main() -> None:
    options = _options()
    if options.graphs is not None:
        print(json.dumps(list(_measure(options))))
        return
    table = options.out / "latency_spread.csv"
    with tempfile.TemporaryDirectory(prefix="segsearch-spread-") as graphs:
        for _ in range(options.passes):
            if not list(_missing(table, options)):
                break
            _pass(table, options, graphs)
    (options.out / "latency_spread.md").write_text(summary(pd.read_csv(table)), encoding="utf-8")
    if missing := list(_missing(table, options)):
        sys.exit(f"{len(missing)} processes found no machine that stood still; the same command tries them again")


def _pass(table: Path, options: argparse.Namespace, graphs: str) -> None:
    """Measure what is missing. What is refused has its turn in the next pass: a restless hour passes."""
    for process, point, backends in _missing(table, options):
        for row in _in_a_process(options, point, backends, graphs):
            if "refused" not in row:
                _append(table, row | {"order": options.order, "process": process})
            latency = row.get("refused") or f"{row['median_ms']:.2f} ms in {row['seconds']:.0f} s"
            print(process, point, row["backend"], latency, flush=True)


def _missing(table: Path, options: argparse.Namespace) -> Iterator[tuple[int, int, list[str]]]:
    turns = itertools.product(range(options.processes), range(options.points))
    for process, point in sorted(turns, key=lambda turn: turn[1]) if options.order == "together" else turns:
        backends = [name for name in options.backends if not _there(table, options, point, name, process)]
        if backends:
            yield process, point, backends


def summary(rows: pd.DataFrame) -> str:
    """Spread per network over processes: of medians, of p10, of ratios to the reference network, of what was timed."""
    rows["timed_ms"] = rows["median_ms"] * (1 + rows["slower"])
    rows["ratio"] = rows["timed_ms"] / rows["reference_ms"]
    processes = rows["process"].nunique()
    lines = [
        "# Spread of latencies between processes",
        "",
        f"{rows['device'].iloc[0]}, torch {rows['torch'].iloc[0]}, threads {rows['threads'].unique().tolist()};"
        f" command: `python benchmarks/spread.py --points {rows['point'].nunique()} --processes {processes}"
        f" --threads {rows['threads'].iloc[0]} --order {' or '.join(rows['order'].unique())}`."
        " Spread is (largest - smallest) / median. Medians are scaled to what the reference network takes on this"
        " machine at rest; ratios are to that, so that nothing is left of what rest was thought to be; ``as timed`` is"
        " what the clock told; ``slower``, by how much the reference was off rest. ``together``: the processes of a"
        " network follow each other; ``apart``: all networks have their turn in between, so that a spread holds what"
        " the machine does within minutes, too. What is refused, as the machine did not stand still, is tried again"
        " after all others, or missing: a network counts where at least two processes measured it.",
        "",
        "| order | backend | size | networks | processes each | within 3 % | worst spread of medians | median"
        " | of p10, worst | of ratios, worst | as timed, worst | as timed, within 3 % | seconds each, median |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (order, backend, size), of_backend in rows.groupby(["order", "backend", "size"]):
        found = spreads(of_backend)
        counts = of_backend.groupby("spec_id").size()
        lines.append(
            f"| {order} | {backend} | {size} | {len(found)} of {len(counts)} | {counts.min()} to {counts.max()}"
            f" | {(found['median_ms'] <= 0.03).sum()} | {found['median_ms'].max():.1%}"
            f" | {found['median_ms'].median():.1%} | {found['p10_ms'].max():.1%} | {found['ratio'].max():.1%}"
            f" | {found['timed_ms'].max():.1%} | {(found['timed_ms'] <= 0.03).sum()}"
            f" | {of_backend['seconds'].median():.0f} |"
        )
    lines += [
        "",
        "| order | backend | network | size | MACs | processes | within minutes | median ms | spread | of p10"
        " | of ratios | as timed | slower | others, % |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (order, backend, size, spec_id), own in rows.groupby(["order", "backend", "size", "spec_id"]):
        several = spreads(own)
        figures = [f"{value:.1%}" for value in several.iloc[0]] if len(several) else [""] * 4
        lines.append(
            f"| {order} | {backend} | {spec_id} | {size} | {own['macs'].iloc[0] / 1e9:.2f} G | {len(own)}"
            f" | {minutes(own):.0f} | {own['median_ms'].median():.2f} | {' | '.join(figures)}"
            f" | {own['slower'].min():.0%} to {own['slower'].max():.0%} | {own['others_percent'].max():.0f} |"
        )
    return "\n".join(lines) + "\n"


def minutes(rows: pd.DataFrame) -> float:
    """Time from the first of these measurements to the last."""
    started = pd.to_datetime(rows["started_at"])
    return (started.max() - started.min()).total_seconds() / 60


def spreads(rows: pd.DataFrame) -> pd.DataFrame:
    """Spread of each figure over the processes of one network, for all that two processes measured."""
    groups = rows.groupby("spec_id")[["median_ms", "p10_ms", "ratio", "timed_ms"]]
    return ((groups.max() - groups.min()) / groups.median())[groups.size() >= 2]


def _measure(options: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Measure the point of that number under each backend, in this process."""
    import torch

    graph = Path(options.graphs) / f"{options.one}.onnx"
    facts_file = graph.with_suffix(".json")
    if not facts_file.exists():
        facts_file.write_text(json.dumps(_export(options, graph)))
    facts = json.loads(facts_file.read_text())
    for backend in options.backends:
        yield _timed(options, graph, backend, facts) | {"point": options.one, "torch": str(torch.__version__)}


def _export(options: argparse.Namespace, graph: Path) -> dict[str, object]:
    """Build the point and write it deployed; return the spec's id and the network's MACs."""
    import torch

    from segsearch.data.normalise import MEAN, STD
    from segsearch.export.deploy import deploy
    from segsearch.measure.backends.onnx_file import written
    from segsearch.measure.cost import count
    from segsearch.measure.deployed import example_image
    from segsearch.models.build import build
    from segsearch.space.load import load_space
    from segsearch.space.lower import lower
    from segsearch.space.walk import sample

    spec = lower(sample(load_space(options.space), random.Random(f"{options.seed}-{options.one}")))
    torch.manual_seed(0)
    network, size_hw = build(spec), _size_hw(options)
    with written(deploy(network, size_hw, MEAN, STD), example_image(size_hw), "float32") as path:
        shutil.copyfile(path, graph)
    return {"spec_id": spec.id, "macs": count(network, size_hw).macs}


def _timed(options: argparse.Namespace, graph: Path, backend: str, facts: dict[str, object]) -> dict[str, object]:
    import torch

    from segsearch.errors import DeviceError
    from segsearch.measure.backends.table import find_backend
    from segsearch.measure.conditions import Conditions
    from segsearch.measure.deployed import example_image
    from segsearch.measure.examine import Work
    from segsearch.measure.latency import Ready, measure_ready
    from segsearch.measure.timer import CAREFUL, quantile

    image, macs = example_image(_size_hw(options)), facts["macs"]
    assert isinstance(macs, int)
    under = Conditions(backend=backend, threads=options.threads, timer=CAREFUL, unsteady="refuse")
    runner = find_backend(backend, "cpu", "float32")

    def make() -> Ready:
        return Ready(
            prepared=runner.open(graph, image, precision="float32"),
            work=Work(macs=macs, bytes=graph.stat().st_size + image.numel()),
            precision="float32",
            layout="contiguous",
        )

    start = time.monotonic()
    try:
        record = measure_ready(make, runner, torch.device("cpu"), image.shape, under)
    except DeviceError as error:  # what did not stand still is refused: that is what makes the others repeat
        return {"backend": backend, "refused": str(error)}
    return (
        record.model_dump(include=set(COLUMNS))
        | facts
        | {
            "space": options.space,
            "size": options.size,
            "p25_ms": quantile(record.samples_ms, 0.25),
            "samples": len(record.samples_ms),
            "seconds": round(time.monotonic() - start, 1),
            "processors": len(record.processors or ()),
            "others_percent": round(record.contention.others_percent, 1),
        }
    )


def _size_hw(options: argparse.Namespace) -> tuple[int, int]:
    height, width = map(int, options.size.split("x"))
    return height, width


def _in_a_process(
    options: argparse.Namespace, point: int, backends: Sequence[str], graphs: str
) -> list[dict[str, object]]:
    command = [sys.executable, __file__, "--one", str(point), "--space", options.space, "--size", options.size]
    command += ["--threads", str(options.threads), "--seed", str(options.seed), "--backends", *backends]
    done = subprocess.run([*command, "--graphs", graphs], stdout=subprocess.PIPE, text=True, check=True)
    rows: list[dict[str, object]] = json.loads(done.stdout.splitlines()[-1])
    return rows


def _there(table: Path, options: argparse.Namespace, point: int, backend: str, process: int) -> bool:
    if not table.exists():
        return False
    asked = (options.order, options.space, options.size, options.threads, point, backend, process)
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
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    parser.add_argument("--order", choices=ORDERS, default="together", help="how the processes of a point follow")
    parser.add_argument("--space", default="realtime")
    parser.add_argument("--size", default="256x512")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("studies/results"))
    parser.add_argument("--passes", type=int, default=20, help="how often what was refused is tried")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--graphs", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
