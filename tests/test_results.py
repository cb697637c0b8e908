"""Notes on studies say what their tables say."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from segsearch.space.points import named_points

REPO = Path(__file__).parents[1]
RESULTS = REPO / "studies" / "results"
README, PAGE, TUNE = (
    path.read_text() for path in (REPO / "README.md", REPO / "docs" / "export.md", RESULTS / "tune.md")
)
EXPORT = " ".join(PAGE.split())
TRIALS = pd.read_csv(RESULTS / "camvid_cpu.csv")
NOTE = (RESULTS / "camvid_cpu.md").read_text()


def mean(ratios: "pd.Series[float]") -> float:
    """Geometric mean."""
    return float(np.exp(np.log(ratios).mean()))


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
    table = pd.read_csv(RESULTS / f"deploy_{device}.csv")
    (row,) = (line.split("|") for line in PAGE.splitlines() if f"| `studies/results/deploy_{device}.md`" in line)
    gains, ratios = (
        [table[f"{runtime}_{kind}"] for runtime in ("onnxruntime", "openvino")] for kind in ("gain", "ratio")
    )
    assert [cell.strip() for cell in row[2:-1]] == [
        str(len(table)),
        *(cell for gain in gains for cell in (f"{mean(gain):.2f}", f"{(gain < 0.99).sum()}, least {gain.min():.2f}")),
        *(f"{mean(ratio):.1f}" for ratio in ratios),
    ]


def test_how_rough_what_deployment_gains_is_as_the_page_says() -> None:
    apart, twice = list[float](), dict[str, int]()
    for store in sorted((RESULTS / "deploy").glob("*.jsonl")):
        lines = [json.loads(line) for line in store.read_text().splitlines()[1:]]
        rounds: dict[str, dict[str, list[float]]] = {}
        for line in lines:
            for name, medians in line["medians_ms"].items():
                rounds.setdefault(line["spec_id"], {}).setdefault(name, []).extend(medians)
        twice[store.name.partition("-")[0]] = len(lines) - len(rounds)
        for runtime in ("onnxruntime", "openvino"):
            gains = [np.divide(each[f"plain_{runtime}"], each[runtime]) for each in rounds.values()]
            apart.append(float(np.median([gain.max() / gain.min() - 1 for gain in gains])))
    assert f"rounds lie {100 * min(apart):.0f} to {100 * max(apart):.0f} % apart in the median" in EXPORT
    assert twice == {"amd_epyc": 0, "intel_xeon": 27} and "on the Xeon the 27 whose rounds differed most" in EXPORT


def test_which_networks_gain_least_and_most_is_what_the_page_says() -> None:
    """By paper, the same order on both processors; and of the profile, which is no timing."""
    told = dict[str, list[float]]()
    for device in ("amd_epyc", "intel_xeon"):
        table = pd.read_csv(RESULTS / f"deploy_{device}.csv")
        means = table.onnxruntime_gain.groupby([named_points()[name].paper for name in table.name]).agg(mean)
        assert (means.idxmin(), means.idxmax()) == ("eseg", "fpenet")
        for paper, gain in means.items():
            told.setdefault(str(paper), []).append(gain)
    assert "gain least ({:.2f} and {:.2f} in the mean)".format(*told["eseg"]) in EXPORT
    assert "FPENet's most ({:.2f} and {:.2f})".format(*told["fpenet"]) in EXPORT
    profile = (RESULTS / "deploy_profile.md").read_text()
    shares = [int(share) for share in re.findall(r"\| deployed \| [\d.]+ \| [\d.]+ \((\d+) %\)", profile)]
    assert f"take {min(shares)} to {max(shares)} % of a deployed file's time" in EXPORT
    plain, deployed = (
        float(ms) for ms in re.findall(r"\| `sfnet_r18` \| (?:plain export|deployed) \| ([\d.]+) ", profile)
    )
    row = table.set_index("name").loc["sfnet_r18"]  # of the Xeon
    said = f"has {deployed:.0f} ms in it deployed and {plain:.0f} ms plain, but {row.onnxruntime_ms:.0f} and"
    assert f"{said} {row.plain_onnxruntime_ms:.0f} ms where the two took turns" in EXPORT


def test_what_tuning_gains_is_what_readme_and_page_say() -> None:
    said = re.search(r"\*\*([\d.]+) times\*\* .* of (\d+) networks \(([\d., ]+)\)", TUNE)
    assert said is not None
    assert f"gained {said[1]} times over a plain export" in EXPORT
    assert all(gain in EXPORT for gain in said[3].split(", ")) and len(said[3].split(", ")) == int(said[2])
    assert f"{float(said[1]):.1f} x a plain export" in README


def test_how_far_tuning_is_to_be_trusted_is_what_readme_and_page_say() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\**)([^|*]+)\** \|[^|]+\|[^|]+\| ([\d.]+) (!?)", TUNE, re.M)
    unsteady = [(bold or "plain" in file, mark) for _, bold, file, _, mark in rows if mark]
    assert f"{len(unsteady)} of the {len(rows)} files timed, all four chosen ones and their plain exports" in EXPORT
    assert sum(bool(matters) for matters, _ in unsteady) == 8
    chosen = {name: float(ms) for name, bold, _, ms, _ in rows if bold}
    gains = [float(ms) / chosen[name] for name, _, file, ms, _ in rows if file.strip() == "onnxruntime float32, plain"]
    assert len(gains) == 4
    by_clock = mean(pd.Series(gains))
    assert f"gained {by_clock:.2f} times ({', '.join(f'{gain:.2f}' for gain in gains)})" in EXPORT
    assert f"{by_clock:.1f} x by the clock" in README
