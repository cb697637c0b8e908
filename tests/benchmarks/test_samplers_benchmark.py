"""Our sampler against TPE and random draws, on a table of networks of a small space that were all trained.

``small_table.csv`` is what ``python benchmarks/small_table.py`` writes.
"""

import csv
import json
import runpy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

REPO = Path(__file__).parents[2]
TABLE = Path(__file__).with_name("small_table.csv")
SEEDS, MARKS, LEAD = 4, (36,), 2.0


@cache
def script() -> dict[str, Any]:
    found = runpy.run_path(str(REPO / "benchmarks" / "samplers.py"))
    found["MARKS"].update({mode: MARKS for mode in ("flat", "conditional", "gate")})
    return found


@cache
def mean_scores(mode: str, sampler: str) -> list[float]:
    table = script()["Table"].read(TABLE)
    rows = [script()["search"](table, mode, sampler, seed)["scores"] for seed in range(SEEDS)]
    return np.mean(rows, axis=0).tolist()


@pytest.mark.parametrize("mode", ["flat", pytest.param("conditional", marks=pytest.mark.nightly)])
def test_ours_finds_more_with_fewer_trainings(mode: str) -> None:
    ours, tpe, random = (mean_scores(mode, sampler) for sampler in ("pareto", "tpe", "random"))
    assert ours[0] > max(tpe[0], random[0]) + LEAD


def test_runs_are_kept_and_not_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--table", str(TABLE), "--out", str(tmp_path), "--modes", "gate", "--samplers", "random"]
    script()["main"]([*arguments, "--seeds", "2"])
    script()["main"]([*arguments, "--seeds", "3"])
    assert "gate random seed 2" in capsys.readouterr().err
    rows = [json.loads(line) for line in (tmp_path / "runs.jsonl").read_text().splitlines()]
    assert [row["seed"] for row in rows] == [0, 1, 2]
    [found] = json.loads((tmp_path / "samplers.json").read_text())
    assert found["mean"] == pytest.approx(np.mean([row["scores"] for row in rows], axis=0), abs=0.01)
    assert "| random | 3 |" in (tmp_path / "samplers.md").read_text()


def test_the_table_has_every_network_once() -> None:
    header, *rows = csv.reader(TABLE.read_text().splitlines())
    assert header[-2:] == ["miou", "macs_millions"]
    assert len({tuple(row[:-2]) for row in rows}) == len(rows) == 96
