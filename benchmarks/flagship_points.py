"""The best networks that the flagship's searches have found, written as named points: ``spaces/points/found.yaml``."""

from collections import Counter
from collections.abc import Iterator, Sequence
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
    """Write the joint front of what the searches found, from the stored results: the choices and what they reached.

    A network counts if it was trained with several seeds; one that two searches found is the earlier one's.
    """
    found = rows[rows.kind.isin(SEARCHES)].drop_duplicates(["spec_id", "seed"])
    found = found[found.groupby("network").seed.transform("count") > 1]
    means = found.groupby("network").agg({"latency_ms": "first", "miou": "mean"})
    means = means.sort_values(["latency_ms", "miou"], ascending=[True, False])
    best = means.index[means.miou > means.miou.cummax().shift(fill_value=0.0)]
    if len(best):
        seeds = [found[found.network == network] for network in best]
        write_atomic(path, "\n".join(_lines(results, seeds)) + "\n")


def _lines(results: Path, networks: Sequence[pd.DataFrame]) -> Iterator[str]:
    yield "# Written by `python benchmarks/flagship.py --tables` from the records in studies/flagship/results."
    yield "paper: found"
    yield "title: Networks that segsearch found on CamVid (studies/flagship)"
    yield "points:"
    named = Counter[str]()
    for seeds in networks:
        first = seeds.iloc[0]
        run, trial = read_run(results / RUNS / f"{first.network}_seed{first.seed}"), first.network.rpartition("_")[2]
        name = f"found_{run.point['encoder']}_{run.point['fusion']}"
        named[name] += 1
        name = name if named[name] == 1 else f"{name}_{named[name]}"
        yield f"  {name}:"
        yield f"    source: {_flow(_source(run, seeds, trial))}"
        yield "    choices:"
        yield from (f"      {line}" for line in yaml.safe_dump(run.point, sort_keys=False).splitlines())
        yield f"    expected: {_flow(_expected(run))}"
        yield "    published:"
        yield f"      - {_flow(_score(run, seeds))}"


def _expected(run: RunFile) -> dict[str, object]:
    with torch.device("meta"):
        network = build(run.spec, CLASSES)
    params = sum(parameter.numel() for parameter in network.parameters())
    return {"spec_id": run.spec.id, "params": params, "macs": count(network, SIZE_HW).macs, "size": list(SIZE_HW)}


def _source(run: RunFile, seeds: pd.DataFrame, trial: str) -> str:
    """Say where it was found, and its latency: ours, so that it is no frame rate beside those that papers print."""
    height, width = run.data.size
    first = seeds.iloc[0]
    return (
        f"studies/flagship, {first.kind} search, trial {trial}; {first.latency_ms:.2f} ms at {height}x{width},"
        f" {first.timed_on}, onnxruntime, one thread"
    )


def _score(run: RunFile, seeds: pd.DataFrame) -> dict[str, object]:
    """Give the mean mIoU over seeds, as figures of papers are written."""
    return {
        "metric": "miou",
        "printed": f"{seeds.miou.mean():.1f}",
        "where": f"studies/flagship, {f'mean of {len(seeds)} seeds' if len(seeds) > 1 else 'one seed'}",
        "dataset": "CamVid",
        "split": "val",
        "size": list(run.data.size),
    }


def _flow(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, default_flow_style=True, width=10_000).removesuffix("...\n").strip()
