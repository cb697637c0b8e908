"""Processes that torchrun starts train one network together."""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from segsearch.errors import InputError, MachineError
from segsearch.run.folder import METRICS
from segsearch.study_files import RESULT, WEIGHTS
from segsearch.training.parallel import ALONE, Team, joined

from .runs import write_point, write_recipe, write_streets

STEPS = "iterations: 6, batch_size: 8, optimizer: sgd, learning_rate: 0.05, flip: false, scale: [1.0, 1.0], ema: 0.9"


def launched(folder: Path, recipe: str, out: str, processes: int) -> subprocess.Popen[str]:
    """Start a training, by torchrun where it is of several processes."""
    (folder / out).with_suffix(".yaml").write_text(f"{{{recipe}}}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    several = ["torch.distributed.run", "--nproc-per-node", str(processes), "--master-addr", "127.0.0.1"]
    start = [*several, "--master-port", str(port), "-m", "segsearch"] if processes > 1 else ["segsearch"]
    words = ["train", "tiny.json", "--data", "few.yaml", "--recipe", f"{out}.yaml", "--out", out]
    command = [sys.executable, "-m", *start, *words]
    return subprocess.Popen(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for write in (write_point, write_streets, write_recipe):
        write(tmp_path)
    return tmp_path


def test_two_processes_learn_what_one_learns_in_two_parts(folder: Path) -> None:
    with launched(folder, STEPS + ", accumulate: 2", "one", 1) as alone, launched(folder, STEPS, "two", 2) as team:
        told = [process.communicate() for process in (alone, team)]
    assert alone.returncode == team.returncode == 0, told
    assert told[1][0].count("images of streets/val") == 1, "one of them speaks"
    one, two = (load_file(folder / out / WEIGHTS) for out in ("one", "two"))
    learnt = [name for name in one if "running" not in name and "num_batches" not in name]
    assert len(learnt) > 10 and one.keys() == two.keys()
    assert all(torch.allclose(one[name], two[name], atol=1e-5) for name in learnt)
    losses = [json.loads((folder / out / RESULT).read_text())["final_loss"] for out in ("one", "two")]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


@pytest.mark.nightly
def test_a_process_that_dies_ends_all_and_the_same_command_goes_on(folder: Path) -> None:
    long = STEPS.replace("iterations: 6", "iterations: 300")
    with launched(folder, long, "torn", 2) as team:
        while team.poll() is None and not (folder / "torn" / METRICS).exists():
            pass
        (victim,) = [p for p in psutil.Process(team.pid).children() if p.environ().get("RANK") == "1"]
        victim.kill()
        out, err = team.communicate()
    assert team.returncode != 0 and not (folder / "torn" / RESULT).exists(), (out, err)
    with launched(folder, long, "torn", 2) as team:
        told = team.communicate()
    assert team.returncode == 0 and (folder / "torn" / RESULT).exists(), told


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"WORLD_SIZE": "many"}, "environment variable WORLD_SIZE: is 'many' (allowed: a number, as torchrun sets it)"),
        ({"WORLD_SIZE": "2"}, "environment variable RANK: is '' (allowed: a number, as torchrun sets it)"),
        ({"WORLD_SIZE": "2", "RANK": "0", "MASTER_PORT": "1"}, "this machine: the processes do not find each other: "),
    ],
)
def test_an_environment_that_torchrun_did_not_make_is_one_line(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], line: str
) -> None:
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises((InputError, MachineError), match=re.escape(line)), joined("cpu"):
        pass


@pytest.mark.parametrize(("batch_size", "parts", "size"), [(8, 1, 3), (8, 2, 4), (4, 1, 4)])
def test_batches_that_cannot_be_shared_are_refused(batch_size: int, parts: int, size: int) -> None:
    with pytest.raises(InputError, match=r"recipe\.batch_size: .* cannot be shared equally by \d processes"):
        Team(rank=0, size=size).check(batch_size, parts)
    ALONE.check(batch_size, parts)


def test_shares_make_up_the_batch() -> None:
    order = list(range(12))
    shares = [Team(rank=rank, size=3).share(order) for rank in range(3)]
    assert [*shares[0], *shares[1], *shares[2]] == order == ALONE.share(order)
