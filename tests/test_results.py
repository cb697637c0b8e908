"""Notes on studies say what their tables say."""

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


def test_what_deployment_gains_is_what_the_readme_says() -> None:
    table, readme = pd.read_csv(RESULTS / "deploy_cpu.csv"), (RESULTS.parents[1] / "docs/export.md").read_text()
    assert f"of the {len(table)} points that were measured" in " ".join(readme.split())
    for runtime, name in (("onnxruntime", "onnxruntime"), ("openvino", "OpenVINO")):
        gain = float(np.exp(np.log(table[f"{runtime}_gain"]).mean()))
        assert gain >= 1.2, "of plain exports in the same runtime"
        assert f"{gain:.2f} times in {name}" in " ".join(readme.split())
