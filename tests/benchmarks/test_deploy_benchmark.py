"""The benchmark of deployed against plain eager networks, run for real on small images."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

REPO = Path(__file__).parents[2]
QUICK = ("--size", "64x64", "--threads", "1", "--rounds", "2", "--block-seconds", "0.01", "--store", "s", "--out", "o")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(REPO / "benchmarks" / "deploy.py"), *QUICK, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_ratios_of_one_run(tmp_path: Path) -> None:
    first = run(tmp_path, "--points", "sgcpnet1")
    assert first.returncode == 0, first.stderr
    (kept,) = (tmp_path / "s").glob("*.jsonl")
    before = kept.read_text()
    header, line = map(json.loads, before.splitlines())
    assert header["threads"] == 1 and {"torch", "onnxruntime"} <= header["versions"].keys()
    assert {"eager", "onnxruntime"} <= line["blocks_ms"].keys()
    assert all(len(blocks) == 2 and min(map(len, blocks)) >= 3 for blocks in line["blocks_ms"].values())
    assert min(line["agreement"].values()) > 0.999, "the two are not the same network"
    assert line["macs"] > 0 and line["roof_ms"] > 0

    both = run(tmp_path, "--points", "sgcpnet1", "--points", "fpenet")
    assert kept.read_text().startswith(before) and "sgcpnet1:" not in both.stderr
    frame = pd.read_csv(tmp_path / "o" / "deploy_cpu.csv").set_index("name")
    assert set(frame.index) == {"sgcpnet1", "fpenet"}
    row = frame.loc["sgcpnet1"]
    assert row.onnxruntime_ratio == pytest.approx(row.eager_ms / row.onnxruntime_ms, rel=1e-2)
    assert row.onnxruntime_roofs == pytest.approx(row.onnxruntime_ms / row.roof_ms, rel=1e-1)
    note = (tmp_path / "o" / "deploy_cpu.md").read_text()
    assert "Kendall's tau between the rankings of eager and onnxruntime:" in note
    assert (tmp_path / "o" / "deploy_cpu.png").read_bytes().startswith(b"\x89PNG")


def test_time_that_is_up_and_what_cannot_be(tmp_path: Path) -> None:
    done = run(tmp_path, "--limit-minutes", "0")
    assert done.returncode == 0 and "time is up" in done.stderr
    assert not list(tmp_path.iterdir())
    wrong = run(tmp_path, "--points", "nope")
    assert wrong.returncode == 2 and "'nope' is not a named point" in wrong.stderr
    assert "Traceback" not in wrong.stderr
