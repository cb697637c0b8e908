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
    assert line["macs"] > 0 and min(line["roof"].values()) > 0

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
    assert row.onnxruntime_roofs >= 1
    note = table.with_suffix(".md").read_text()
    assert "| onnxruntime | plain export | 2 |" in note
    assert "Kendall's tau between the rankings of eager and onnxruntime:" in note
    assert table.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_rounds_of_one_network_are_pooled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(REPO / "benchmarks")
    script = runpy.run_path(str(REPO / "benchmarks" / "deploy.py"))

    def line(name: str, plain: list[float], ours: list[float], macs: float = 2.0, moved: float = 2.0) -> dict[str, Any]:
        peak = {"macs_per_second": macs, "bytes_per_second": moved}
        return {"spec_id": name, "medians_ms": {"plain_onnxruntime": plain, "onnxruntime": ours}, "roof": peak}

    restless = line("a", [10.0, 20.0, 10.0], [10.0, 10.0, 12.0], macs=3.0, moved=1.0)
    settled = line("b", [10.0, 11.0], [5.0, 5.5])
    assert script["spread"](restless) > 0.5 > script["spread"](settled) == pytest.approx(0.0)
    joined = script["pooled"]([restless, settled, line("a", [10.0], [9.0])])
    assert [each["spec_id"] for each in joined] == ["a", "b"]
    assert joined[0]["medians_ms"] == {"plain_onnxruntime": [10.0, 20.0, 10.0, 10.0], "onnxruntime": [10, 10, 12, 9]}
    assert joined[0]["roof"] == {"macs_per_second": 3.0, "bytes_per_second": 2.0}
    assert len(restless["medians_ms"]["onnxruntime"]) == 3, "a line that was read stays as it is"


def test_no_network_is_below_its_roof(run: Run, tmp_path: Path) -> None:
    """A busy machine measured a peak that every network beats, as once happened; another one beat none."""
    header = {"size": [64, 64], "threads": 1, "rounds": 2, "block_samples": 3, "block_seconds": 0.1, "versions": {}}
    (tmp_path / "s").mkdir()
    for device, peak in (("Busy", 1e9), ("Idle", 4e11)):
        lines = [
            {
                "spec_id": name,
                "names": [name],
                "macs": macs,
                "bytes": 10**6,
                "roof": {"macs_per_second": peak, "bytes_per_second": 1e9},
                "medians_ms": {"eager": [60.0, 70.0], "onnxruntime": rounds, "preparing": [0.1, 0.1]},
                "agreement": {"onnxruntime": 1.0},
                "others_percent": 50.0,
                "started_at": "2026-11-30T00:00:00+00:00",
            }
            for name, macs, rounds in (("quick", 10**9, [12.5, 10.0]), ("slow", 10**8, [50.0, 50.0]))
        ]
        kept = [json.dumps(line) for line in (header | {"device": device}, *lines)]
        (tmp_path / "s" / f"{device}.jsonl").write_text("\n".join(kept) + "\n")
    assert run("--tables")[0] == 0

    busy, idle = (pd.read_csv(tmp_path / "o" / f"deploy_{name}.csv").set_index("name") for name in ("busy", "idle"))
    assert busy.roof_ms.to_dict() == {"quick": 10.0, "slow": 1.0}
    assert idle.roof_ms.to_dict() == {"quick": 2.5, "slow": 1.0}
    assert busy.onnxruntime_roofs.to_dict() == {"quick": 1.125, "slow": 50.0}
    busy_text, idle_text = ((tmp_path / "o" / f"deploy_{name}.md").read_text() for name in ("busy", "idle"))
    assert "peak is 100G MAC/s (`quick`, onnxruntime)" in busy_text
    assert "peak is 400G MAC/s (measured apart)" in idle_text


def test_stored_tables_are_of_the_stored_lines(run: Run, tmp_path: Path) -> None:
    stored = REPO / "studies" / "results"
    assert run("--tables", "--store", str(stored / "deploy"))[0] == 0
    made = sorted((tmp_path / "o").glob("deploy_*.csv"))
    assert [path.name for path in made] == ["deploy_amd_epyc.csv", "deploy_intel_xeon.csv"]
    for path in made:
        assert path.read_text() == (stored / path.name).read_text()
        new, old = (folder / f"{path.stem}.md" for folder in (path.parent, stored))
        assert [line for line in new.read_text().splitlines() if not line.startswith("Written by")] == [
            line for line in old.read_text().splitlines() if not line.startswith("Written by")
        ]
        assert pd.read_csv(path).filter(like="_roofs").min(axis=None) >= 1


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
