"""Notes on studies say what their tables say."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

RESULTS = Path(__file__).parents[1] / "studies" / "results"
TRIALS = pd.read_csv(RESULTS / "camvid_cpu.csv")
NOTE = (RESULTS / "camvid_cpu.md").read_text()


@pytest.mark.parametrize("name", ["sfnet_r18", "fpenet", "resnet10x0.75/meu#8c7d4c83"])
def test_rows_of_the_note(name: str) -> None:
    row = TRIALS[TRIALS.name == name].iloc[0]
    assert f"| {100 * row.miou:.1f} % | {100 * row.report_miou:.1f} % | {row.latency_ms:.1f} |" in NOTE


def test_counts_of_the_note() -> None:
    trained = TRIALS[TRIALS.state == "complete"]
    assert f"{len(trained)} networks were trained" in NOTE
    assert len(trained) >= 15 and {"sfnet_r18", "fpenet"} <= set(trained.name)
    minutes = TRIALS.filter(like="seconds.").sum().sum() / 60
    assert f"in {minutes:.0f} minutes" in NOTE
    assert set(trained.trained_iterations) == {217}


def test_no_network_was_trained_twice() -> None:
    assert TRIALS.spec_id.is_unique


def test_latencies_came_back() -> None:
    again = pd.read_csv(RESULTS / "camvid_cpu_latency.csv")
    assert list(again.name) == list(TRIALS.name)
    assert (again.ratio - 1).abs().max() < 0.03
    assert "every median came back within 3 %" in NOTE


@pytest.mark.parametrize("device", ["amd_epyc", "intel_xeon"])
def test_what_deployment_gains_is_what_the_page_says(device: str) -> None:
    table, page = pd.read_csv(RESULTS / f"deploy_{device}.csv"), (RESULTS.parents[1] / "docs/export.md").read_text()
    (row,) = (line.split("|") for line in page.splitlines() if f"deploy_{device}.md" in line)
    gains = [float(np.exp(np.log(table[f"{runtime}_gain"]).mean())) for runtime in ("onnxruntime", "openvino")]
    ratios = [float(np.exp(np.log(table[f"{runtime}_ratio"]).mean())) for runtime in ("onnxruntime", "openvino")]
    assert [cell.strip() for cell in row[2:-1]] == [
        str(len(table)),
        *(f"{gain:.2f}" for gain in gains),
        *(f"{ratio:.1f}" for ratio in ratios),
    ]


def test_what_tuning_gains_is_what_readme_and_page_say() -> None:
    said = re.search(r"\*\*([\d.]+) times\*\* .* of (\d+) networks \(([\d., ]+)\)", (RESULTS / "tune.md").read_text())
    assert said is not None
    page = " ".join((RESULTS.parents[1] / "docs/export.md").read_text().split())
    assert f"gained {said[1]} times over a plain export" in page
    assert all(gain in page for gain in said[3].split(", ")) and len(said[3].split(", ")) == int(said[2])
    assert f"{float(said[1]):.1f} x a plain export" in (RESULTS.parents[1] / "README.md").read_text()
