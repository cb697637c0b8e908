"""The networks that the flagship's searches have found, written as named points are: ``results/found.yaml``."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import torch
import yaml
from flagship_results import RUNS
from flagship_tables import SEARCHES

from segsearch.count.cost import count
from segsearch.files import write_atomic
from segsearch.models.network import build
from segsearch.run.folder import RunFile, read_run

SIZE_HW, CLASSES = (512, 1024), 19
"""At which our own figures of all named points are counted."""


def write_points(results: Path, rows: pd.DataFrame, path: Path) -> None:
    """Write the file from the stored results: choices of each network that a search found, and what it reached."""
    found = rows[rows.kind.isin(SEARCHES)]
    if not found.empty:
        write_atomic(path, "\n".join(_lines(results, found)) + "\n")


def _lines(results: Path, found: pd.DataFrame) -> Iterator[str]:
    yield "# Written by `python benchmarks/flagship.py --tables` from the records in studies/flagship/results."
    yield "paper: found"
    yield "title: Networks that segsearch found on CamVid (studies/flagship)"
    yield "points:"
    for name, seeds in found.groupby("network", sort=False):
        run = read_run(results / RUNS / f"{name}_seed{seeds.seed.iloc[0]}")
        yield f"  found_{name}:"
        yield f"    source: studies/flagship, {seeds.kind.iloc[0]} search, trial {str(name).rpartition('_')[2]}"
        yield "    choices:"
        yield from (f"      {line}" for line in yaml.safe_dump(run.point, sort_keys=False).splitlines())
        yield f"    expected: {_flow(_expected(run))}"
        yield "    published:"
        yield from (f"      - {_flow(each)}" for each in _figures(run, seeds))


def _expected(run: RunFile) -> dict[str, object]:
    with torch.device("meta"):
        network = build(run.spec, CLASSES)
    params = sum(parameter.numel() for parameter in network.parameters())
    return {"spec_id": run.spec.id, "params": params, "macs": count(network, SIZE_HW).macs, "size": list(SIZE_HW)}


def _figures(run: RunFile, seeds: pd.DataFrame) -> Iterator[dict[str, object]]:
    """Give the mean mIoU over seeds and the frame rate of the file, as figures of papers are written."""
    size = list(run.data.size)
    where = f"studies/flagship, {f'mean of {len(seeds)} seeds' if len(seeds) > 1 else 'one seed'}"
    yield {
        "metric": "miou",
        "printed": f"{seeds.miou.mean():.1f}",
        "where": where,
        "dataset": "CamVid",
        "split": "val",
        "size": size,
    }
    device = f"{seeds.timed_on.iloc[0]}, onnxruntime, one thread"
    fps = f"{1000 / seeds.latency_ms.iloc[0]:.0f}"
    yield {"metric": "fps", "printed": fps, "where": "studies/flagship", "size": size, "device": device}


def _flow(values: dict[str, object]) -> str:
    return yaml.safe_dump(values, sort_keys=False, default_flow_style=True, width=10_000).strip()
