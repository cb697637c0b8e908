"""The benchmark of the spread between processes: what it says of figures that are made up, and where it goes on."""

import argparse
import csv
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest


@pytest.fixture(scope="module")
def spread() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "spread.py"
    spec = importlib.util.spec_from_file_location("spread", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["spread"] = module
    spec.loader.exec_module(module)
    return module


OPTIONS = argparse.Namespace(
    processes=3, points=2, backends=["onnxruntime", "openvino"], order="together", space="s", size="64x128", threads=1
)


def row(point: int, backend: str, process: int, median_ms: float, ratio: float) -> dict[str, object]:
    return {
        **{"order": "together", "space": "s", "size": "64x128", "threads": 1, "point": point, "backend": backend},
        **{"spec_id": f"net{point}", "macs": 10**9, "process": process, "median_ms": median_ms, "ratio": ratio},
        **{"p10_ms": median_ms, "seconds": 4.0, "steady": process > 0, "device": "abacus", "torch": "0"},
    }


def test_each_figure_has_its_own_spread(spread: ModuleType) -> None:
    medians = {(0, 0): 10.0, (0, 1): 10.2, (0, 2): 10.1, (1, 0): 5.0, (1, 1): 6.0, (1, 2): 5.0}
    rows = [row(point, "onnxruntime", process, ms, 4.0) for (point, process), ms in medians.items()]
    found = spread.spreads(pd.DataFrame(rows))
    assert found["median_ms"].tolist() == pytest.approx([0.2 / 10.1, 0.2]) and found["ratio"].tolist() == [0.0, 0.0]
    text = spread.summary(pd.DataFrame(rows))
    assert "| together | onnxruntime | 64x128 | 2 | 6 | 2 | 4.0 | the clock | 1 | 11.0% | 20.0% |" in text
    assert "| 2 | 6 | 2 | 4.0 | ratio to the reference | 2 | 0.0% | 0.0% |" in text
    assert "| together | onnxruntime | net1 | 1.00 G | 3 | 1 | 5.00 | 20.0% | 0.0% | 20.0% |" in text


def test_it_goes_on_where_it_stopped(spread: ModuleType, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    every = list(spread._missing(table, OPTIONS))
    assert len(every) == 12 and every[:2] == [(0, 0, "onnxruntime"), (0, 0, "openvino")]
    assert [point for _, point, _ in every] == [0] * 6 + [1] * 6
    done = row(0, "openvino", 1, 5.0, 4.0)
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, spread.COLUMNS)
        writer.writeheader()
        writer.writerow({name: done.get(name) for name in spread.COLUMNS})
    assert [turn for turn in every if turn != (1, 0, "openvino")] == list(spread._missing(table, OPTIONS))
