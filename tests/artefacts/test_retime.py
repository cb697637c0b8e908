import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from segsearch.artefacts.retime import time_again, time_file
from segsearch.errors import ProofError
from segsearch.export.artefact import Timing
from segsearch.export.deploy import deploy
from segsearch.export.onnx import to_onnx
from segsearch.measure.level import Level
from segsearch.measure.timer import TimerSettings

QUICK = TimerSettings(min_samples=5, min_seconds=0, warmup_block_seconds=0, max_warmup_seconds=0.1)


class Tiny(nn.Module):
    classes = 2

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1)

    def forward(self, image: object) -> object:
        return self.conv(image)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("retime") / "model.onnx"
    deployed = deploy(Tiny(), (8, 16), (0.5,) * 3, (0.5,) * 3)
    to_onnx(deployed, path, classes=("a", "b"), colours=((0, 0, 0), (1, 1, 1)))
    return path


def test_another_process_times_the_file(file: Path) -> None:
    timing = time_file(file, threads=1, timer=QUICK)
    assert timing.fresh_process and timing.latency_ms > 0
    assert (timing.backend, timing.covers, timing.threads) == ("onnxruntime", "mask", 1)


@pytest.mark.parametrize(
    ("references", "processes", "steady"),
    [([1.0], 1, True), ([1.0, 1.5, 1.0], 3, True), ([1.0, 1.2, 1.4, 1.6], 4, False)],
)
def test_it_is_timed_again_where_the_machine_moved(
    references: list[float],
    processes: int,
    steady: bool,
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only what the reference says is played; the processes are real."""
    script = itertools.chain(references, itertools.repeat(references[-1]))
    known = Level(tmp_path / "levels.json", "one")
    known.learn(1.0)
    monkeypatch.setattr("segsearch.measure.reference.reference_block", lambda *_: lambda: next(script))
    monkeypatch.setattr("segsearch.measure.level.level_of", lambda *_: known)
    found: list[float] = []

    def counted(*arguments: object, **named: object) -> Timing:
        timing = time_again(*arguments, **named)
        found.append(timing.latency_ms)
        return timing

    monkeypatch.setattr("segsearch.artefacts.retime.time_again", counted)
    timing = time_file(file, threads=1, timer=QUICK)
    assert (len(found), timing.steady) == (processes, steady)
    assert timing.latency_ms == (found[-1] if steady else found[0])


def test_what_lies_in_the_working_folder_is_not_run(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("numpy", "segsearch", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not of ours')")
    monkeypatch.chdir(tmp_path)
    assert time_file(file, threads=1, timer=QUICK).latency_ms > 0


def test_that_process_has_no_torch_and_uses_the_threads_it_is_told(file: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", np.zeros((1, 3, 8, 16), np.uint8))
    code = """if True:
        import sys
        from segsearch.artefacts.retime import main
        from segsearch.export import session
        told, real = [], session.load_session
        session.load_session = lambda path, threads: (told.append(threads), real(path, threads))[1]
        main(*sys.argv[1:])
        assert told == [3], told
        assert "torch" not in sys.modules
    """
    command = [sys.executable, "-c", code, str(file), str(tmp_path / "image.npy"), "3", QUICK.model_dump_json()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["process"] != os.getpid()


def test_a_file_that_is_gone_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ProofError, match="could not be timed in a fresh process: .*there is no such file") as error:
        time_again(tmp_path / "m.onnx", np.zeros((1, 3, 8, 16), np.uint8), threads=1, timer=QUICK, device="a CPU")
    assert "\n" not in str(error.value)
