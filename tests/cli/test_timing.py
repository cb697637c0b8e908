"""The verbs that time networks, as people use them."""

import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

import segsearch.timing
from segsearch.engine.driver import run_study
from segsearch.measure.record import LatencyRecord
from segsearch.measure.timer import TimerSettings
from tests.command import run
from tests.engine.builders import latency
from tests.engine.studies import quick

QUICK = ("--size", "64x64", "--threads", "1", "--samples", "3", "--quick", "--out", "board")
POINTS = ("--points", "fpenet", "--points", "sgcpnet1")


def test_a_leaderboard_and_again(tmp_path: Path) -> None:
    planned = run("leaderboard", *QUICK, *POINTS, "--dry-run", cwd=tmp_path)
    assert "2 of 2 networks" in planned.stdout and not list(tmp_path.iterdir())
    first = run("leaderboard", *QUICK, *POINTS, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "Kendall's tau" in first.stdout and "[2/2] sgcpnet1" in first.stderr
    folder = tmp_path / "board"
    assert {p.name for p in folder.iterdir()} == {
        *(".lock", "measured.jsonl", "leaderboard.csv", "leaderboard.md", "leaderboard.png")
    }
    assert f"Written by `segsearch leaderboard {' '.join(QUICK)}" in (folder / "leaderboard.md").read_text()
    stored = folder / "measured.jsonl"
    before = stored.read_bytes()
    again = run("leaderboard", *QUICK, *POINTS, "--json", cwd=tmp_path)
    assert stored.read_bytes() == before and "[2/2]" not in again.stderr
    rows = json.loads(again.stdout)
    assert {row["name"] for row in rows} == {"fpenet", "sgcpnet1"} and all(row["latency_ms"] > 0 for row in rows)
    protocol = json.loads(before.splitlines()[0])["protocol"]
    assert protocol["timer"]["min_samples"] == 3 and protocol["threads"] == 1


def test_a_study_timed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = TimerSettings(min_samples=3, min_seconds=0.0, max_warmup_seconds=0.5, blocks=2, retakes=0)
    monkeypatch.setattr("segsearch.cli.timing.how_careful", lambda processes, quick: (None, few))
    run_study(quick(trials=2, sampler="random"), tmp_path / "study")
    done = run("rerank", "study", "--all", "--quick", "--size", "64x64", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for piece in ("entered the front:", "left the front:", "between the two rankings of 2 networks"):
        assert piece in done.stdout
    kinds = sorted(p.suffix for p in (tmp_path / "study" / "rerank").iterdir() if p.name != ".lock")
    assert kinds == [".csv", ".jsonl", ".png"]
    again = run("rerank", "study", "--all", "--quick", "--size", "64x64", "--json", cwd=tmp_path)
    rows = json.loads(again.stdout)
    assert {row["number"] for row in rows} == {1, 2} and len(rows) == 2
    times = [row["again_ms"] for row in rows]
    assert times == sorted(times)
    told = run("search", "study", "--json", cwd=tmp_path)
    assert told.returncode == 0 and {row["number"] for row in json.loads(told.stdout)} <= {1, 2}


def test_ctrl_c_keeps_what_is_measured(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "segsearch", "leaderboard", *QUICK, "--paper", "fpenet"]
    default = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True, preexec_fn=default) as process:
        assert process.stderr is not None
        assert any(line.startswith("[1/") for line in process.stderr)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate()
    assert process.returncode == 130
    assert "what is measured is kept in board; the same command goes on\nsegsearch: interrupted\n" in told
    lines = (tmp_path / "board" / "measured.jsonl").read_text().splitlines()
    assert lines and [json.loads(line) for line in lines]


@pytest.mark.parametrize("options", [[], ["--strict"], ["--strict", "--json"]])
@pytest.mark.parametrize("steady", [True, False])
def test_what_is_not_steady_is_printed_and_only_refused_where_asked(
    options: list[str], steady: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the record is made up."""
    asked: list[int | None] = []
    why = None if steady else "the reference network moved 12 %"
    record = latency(10.0, "fpenet").model_copy(update={"steady": steady, "unsteady": why})

    def made_up(*_: object, processes: int | None, **more: object) -> LatencyRecord:
        asked.append(processes)
        return record

    monkeypatch.setattr(segsearch.timing, "latency_of", made_up)
    done = run("measure", "fpenet", "--size", "64x64", *options)
    assert asked == [3] and done.returncode == (2 if options and not steady else 0)
    if "--json" in options:
        written = json.loads(done.stdout)
        assert (written["median_ms"], written["steady"], written["unsteady"]) == (10.0, steady, why)
    else:
        assert "10.00 ms median" in done.stdout and ("warning: not steady: the reference" in done.stdout) != steady
    line = "segsearch: --strict: fpenet under eager was not steady: the reference network moved 12 %\n"
    assert done.stderr == (line if done.returncode else "")


@pytest.mark.parametrize(
    "option",
    [("--points", "fpenet", "--paper", "fpenet"), ("--samples", "0"), ("--quick", "--processes", "2")],
)
def test_what_contradicts_itself_is_one_line(option: tuple[str, ...], tmp_path: Path) -> None:
    done = run("leaderboard", "--size", "64x64", *option, cwd=tmp_path)
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
