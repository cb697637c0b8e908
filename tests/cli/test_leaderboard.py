"""The two verbs that time many networks, as people use them."""

import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from command import run
from search.studies import quick

from segsearch.search.driver import run_study

QUICK = ("--size", "64x64", "--threads", "1", "--samples", "3", "--allow-busy", "--out", "board")
POINTS = ("--points", "fpenet", "--points", "sgcpnet1")


def test_a_leaderboard_and_again(tmp_path: Path) -> None:
    planned = run("leaderboard", *QUICK, *POINTS, "--dry-run", cwd=tmp_path)
    assert "2 of 2 networks" in planned.stdout and not list(tmp_path.iterdir())
    first = run("leaderboard", *QUICK, *POINTS, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "Kendall's tau" in first.stdout and "[2/2] sgcpnet1" in first.stderr
    folder = tmp_path / "board"
    assert {p.name for p in folder.iterdir()} == {
        *(".lock", "measured", "leaderboard.csv", "leaderboard.md", "leaderboard.png")
    }
    assert f"Written by `segsearch leaderboard {' '.join(QUICK)}" in (folder / "leaderboard.md").read_text()
    (stored,) = (folder / "measured").iterdir()
    before = stored.read_bytes()
    again = run("leaderboard", *QUICK, *POINTS, cwd=tmp_path)
    assert stored.read_bytes() == before and "[2/2]" not in again.stderr
    protocol = json.loads(before.splitlines()[0])["protocol"]
    assert protocol["timer"]["min_samples"] == 3 and protocol["threads"] == 1


def test_a_study_timed_again(tmp_path: Path) -> None:
    run_study(quick(trials=2, sampler="random"), tmp_path / "study")
    done = run("rerank", "study", "--all", "--allow-busy", "--size", "64x64", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for piece in ("entered the front:", "left the front:", "between the two rankings of 2 networks"):
        assert piece in done.stdout
    kinds = sorted(p.suffix for p in (tmp_path / "study" / "rerank").iterdir() if p.name != ".lock")
    assert kinds == [".csv", ".jsonl", ".png"]


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
    (stored,) = (tmp_path / "board" / "measured").iterdir()
    lines = stored.read_text().splitlines()
    assert len(lines) >= 2 and [json.loads(line) for line in lines]


@pytest.mark.parametrize("option", [("--points", "fpenet", "--paper", "fpenet"), ("--samples", "0")])
def test_what_contradicts_itself_is_one_line(option: tuple[str, ...], tmp_path: Path) -> None:
    done = run("leaderboard", "--size", "64x64", *option, cwd=tmp_path)
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
