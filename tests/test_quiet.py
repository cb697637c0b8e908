"""What other libraries are kept from: nothing of theirs is sent, and nothing lies in the home folder but our cache."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from segsearch.quiet import CACHE, cache_folder

FILE = Path(__file__).resolve()
STUDY = """
name: tiny
narrow: {input_scale: [1.0], finest: [P2], coarsest: [P3], encoder_width: [0.25], encoder: [fpe], encoder.fpe.p: [2],
  encoder.fpe.q: [2], encoder.fpe.expansion: [1], encoder.fpe.dilations: ['1'], encoder.fpe.cascade: [false],
  encoder.fpe.long_skip: [false], context: [none], fusion_width: [16], fusion: [fpn], smooth: [false], head: [plain]}
points: []
data: {name: streets, size: [32, 48], train: 2, val: 1}
recipe: {iterations: 1, batch_size: 2}
backend: onnxruntime
threads: 1
timer: {min_samples: 2, min_seconds: 0.0, warmup_block_seconds: 0.0, max_warmup_seconds: 0.0, blocks: 1, retakes: 0}
trials: 1
confirm: 1
"""
BACKENDS = ("onnxruntime", "openvino")
"""Those with libraries of their own; torch's compilers keep their caches in the folder for temporary files."""


def work() -> None:
    """Do what people do, in a process whose home folder is fresh."""
    import torch

    from segsearch.cli.app import app
    from segsearch.measure.conditions import Conditions
    from segsearch.measure.timer import TimerSettings
    from segsearch.timing import FileSubject, latency_of

    torch.set_num_threads(1)
    Path("study.yaml").write_text(STUDY)
    formats = [word for name in ("onnx", "pt2", "openvino") for word in ("--format", name)]
    for command in (
        ["search", "study.yaml", "--out", "run"],
        ["export", "run", "--out", "winner", *formats],
        ["predict", "winner/model.onnx", "winner/example.png"],
        ["show", "fpenet", "--size", "64x96", "--counters"],
    ):
        assert not app(command, standalone_mode=False), command
    timer = TimerSettings(min_samples=2, min_seconds=0, max_warmup_seconds=0, blocks=1, retakes=0)
    for backend in BACKENDS:
        under = Conditions(backend=backend, threads=1, timer=timer)
        latency_of(FileSubject(path=Path("winner/model.onnx")), under)


def run(code: str, home: Path, **changes: str) -> str:
    """Run code in a new interpreter without what this one was told about caches and telemetry."""
    from segsearch import quiet

    told = {CACHE, "XDG_CACHE_HOME", "XDG_CONFIG_HOME", *quiet._NO_TELEMETRY, *quiet._FOLDERS}
    kept = {name: value for name, value in os.environ.items() if name not in told}
    search = os.pathsep.join((str(FILE.parents[1]), str(FILE.parent), os.environ.get("PYTHONPATH", "")))
    environment = kept | {"HOME": str(home), "PYTHONPATH": search} | changes
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=home.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.nightly
def test_a_fresh_home_holds_nothing_but_our_cache_afterwards(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    run("import test_quiet; test_quiet.work()", home)
    assert (tmp_path / "winner" / "model.xml").is_file() and (tmp_path / "run" / "pareto.png").is_file()
    kept = {str(path.relative_to(home)) for path in home.rglob("*") if not path.is_dir()}
    assert kept and not [path for path in kept if not path.startswith(".cache/segsearch/")]


SHOWN = "import json, os, segsearch; print(json.dumps(dict(os.environ)))"


def test_an_import_turns_telemetry_off_and_moves_no_folder(tmp_path: Path) -> None:
    found = json.loads(run(SHOWN, tmp_path))
    assert (found["ORT_DISABLE_TELEMETRY"], found["RAY_USAGE_STATS_ENABLED"]) == ("1", "0")
    assert "MPLCONFIGDIR" not in found
    chosen = json.loads(run(SHOWN, tmp_path, ORT_DISABLE_TELEMETRY="0"))
    assert chosen["ORT_DISABLE_TELEMETRY"] == "0"


def test_folders_that_somebody_chose_stay(tmp_path: Path) -> None:
    code = f"from segsearch.quiet import keep_home_clean; keep_home_clean(); {SHOWN}"
    found = json.loads(run(code, tmp_path, MPLCONFIGDIR="/mine", **{CACHE: "~/caches"}))
    assert found["MPLCONFIGDIR"] == "/mine"
    assert found["CUDA_CACHE_PATH"] == str(tmp_path / "caches" / "cuda")


def test_where_the_cache_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(CACHE, raising=False)
    assert cache_folder() == tmp_path / ".cache" / "segsearch"
    monkeypatch.setenv(CACHE, "~/elsewhere")
    assert cache_folder() == tmp_path / "elsewhere"
