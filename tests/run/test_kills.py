"""A real command that is killed again and again ends with the weights of one that was left alone."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from segsearch.run.folder import METRICS
from segsearch.study_files import RESULT, WEIGHTS

from .runs import write_point, write_streets

RECIPES = {
    "sgd": "optimizer: sgd\nlearning_rate: 0.02\n",
    "adam": "optimizer: adam\n",
    "adamw and an average": "optimizer: adamw\nema: 0.99\nrotate: 10\nbrightness: 0.2\n",
}
INTERRUPTIONS = 10


@pytest.mark.nightly
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_ten_interruptions_change_no_bit_of_the_weights(recipe: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(f"iterations: 4000\nbatch_size: 4\nwarmup: 5\n{recipe}")
    point, data = write_point(tmp_path), write_streets(tmp_path)
    command = [sys.executable, "-m", "segsearch", "train", str(point), "--data", str(data), "--recipe", "recipe.yaml"]

    def begin(folder: str) -> subprocess.Popen[bytes]:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        return subprocess.Popen([*command, "--out", folder], cwd=tmp_path, env=environment, stderr=subprocess.PIPE)

    with begin("whole") as whole:
        assert whole.wait() == 0, whole.stderr and whole.stderr.read()
    moments, metrics, count = random.Random(recipe), tmp_path / "torn" / METRICS, 0
    while count < INTERRUPTIONS and not (tmp_path / "torn" / RESULT).exists():
        number = signal.SIGKILL if count % 2 else signal.SIGTERM
        before = metrics.stat().st_mtime_ns if metrics.exists() else 0
        with begin("torn") as process:
            while process.poll() is None and not (metrics.exists() and metrics.stat().st_mtime_ns > before):
                time.sleep(0.01)
            time.sleep(moments.uniform(0.0, 2.0))
            process.send_signal(number)
            code = process.wait()
        assert code == {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 130}[number], "it ended before its time"
        count += 1
    with begin("torn") as last:
        assert last.wait() == 0 and count == INTERRUPTIONS
    one, other = (load_file(tmp_path / folder / WEIGHTS) for folder in ("whole", "torn"))
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
