"""The benchmark of deployed against plain eager networks, run for real on small images."""

import json
import runpy
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

REPO = Path(__file__).parents[2]
QUICK = ("--size", "64x64", "--threads", "1", "--rounds", "2", "--block-seconds", "0.01", "--store", "s", "--out", "o")


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the script in this process, as a shell would in a folder of its own; gives exit code and standard error."""
    script = REPO / "benchmarks" / "deploy.py"
    monkeypatch.syspath_prepend(script.parent)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", [script.name, *QUICK, *arguments])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(script), run_name="__main__")
        assert isinstance(ended.value.code, int)
        return ended.value.code, capsys.readouterr().err

    return run


@pytest.mark.nightly
def test_ratios_of_one_run(run: Run, tmp_path: Path) -> None:
    code, told = run("--points", "sgcpnet_backbone")
    assert code == 0, told
    (kept,) = (tmp_path / "s").glob("*.jsonl")
    before = kept.read_text()
    header, line = map(json.loads, before.splitlines())
    assert header["threads"] == 1 and {"torch", "onnxruntime"} <= header["versions"].keys()
    medians = line["medians_ms"]
    assert {"eager", "plain_onnxruntime", "onnxruntime", "preparing"} <= medians.keys()
    assert all(len(rounds) == 2 and min(rounds) > 0 for rounds in medians.values())
    assert min(line["agreement"].values()) > 0.999, "the two are not the same network"
    assert line["macs"] > 0 and line["roof_ms"] > 0

    code, told = run("--points", "sgcpnet_backbone", "--points", "dfanet_xception_b")
    assert code == 0 and kept.read_text().startswith(before) and "sgcpnet_backbone:" not in told
    (table,) = (tmp_path / "o").glob("deploy_*.csv")
    frame = pd.read_csv(table).set_index("name")
    assert set(frame.index) == {"sgcpnet_backbone", "dfanet_xception_b"}
    row = frame.loc["sgcpnet_backbone"]
    for column, slow in (("ratio", "eager"), ("gain", "plain_onnxruntime")):
        ratios = [a / b for a, b in zip(medians[slow], medians["onnxruntime"], strict=True)]
        assert row[f"onnxruntime_{column}"] == pytest.approx(statistics.median(ratios), abs=1e-4)
    assert row.onnxruntime_roofs == pytest.approx(row.onnxruntime_ms / row.roof_ms, rel=1e-1)
    note = table.with_suffix(".md").read_text()
    assert "| onnxruntime | plain export | 2 |" in note
    assert "Kendall's tau between the rankings of eager and onnxruntime:" in note
    assert table.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_rounds_of_one_network_are_pooled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(REPO / "benchmarks")
    script = runpy.run_path(str(REPO / "benchmarks" / "deploy.py"))

    def line(name: str, plain: list[float], ours: list[float]) -> dict[str, Any]:
        return {"spec_id": name, "medians_ms": {"plain_onnxruntime": plain, "onnxruntime": ours}}

    restless, settled = line("a", [10.0, 20.0, 10.0], [10.0, 10.0, 12.0]), line("b", [10.0, 11.0], [5.0, 5.5])
    assert script["spread"](restless) > 0.5 > script["spread"](settled) == pytest.approx(0.0)
    joined = script["pooled"]([restless, settled, line("a", [10.0], [9.0])])
    assert [each["spec_id"] for each in joined] == ["a", "b"]
    assert joined[0]["medians_ms"] == {"plain_onnxruntime": [10.0, 20.0, 10.0, 10.0], "onnxruntime": [10, 10, 12, 9]}
    assert len(restless["medians_ms"]["onnxruntime"]) == 3, "a line that was read stays as it is"


@pytest.mark.parametrize(
    ("device", "name"),
    [
        ("Intel(R) Xeon(R) Processor", "intel_xeon"),
        ("AMD EPYC", "amd_epyc"),
        ("12th Gen Intel(R) Core(TM) i7-1260P", "12th_gen_intel_core_i7_1260p"),
        ("NVIDIA H200", "nvidia_h200"),
    ],
)
def test_files_are_named_after_the_device(monkeypatch: pytest.MonkeyPatch, device: str, name: str) -> None:
    monkeypatch.syspath_prepend(REPO / "benchmarks")
    assert runpy.run_path(str(REPO / "benchmarks" / "deploy.py"))["short_name"](device) == name


def test_time_that_is_up_and_what_cannot_be(run: Run, tmp_path: Path) -> None:
    code, told = run("--points", "sgcpnet_backbone", "--limit-minutes", "0")
    assert code == 0 and "time is up" in told
    assert not list(tmp_path.iterdir())
    code, told = run("--points", "nope")
    assert code == 2 and told.startswith("--points: 'nope' is not a named point") and told.count("\n") == 1
