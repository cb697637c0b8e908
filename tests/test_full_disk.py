"""A full disk is the machine's fault: one line, nothing half-written, and no network is blamed for it.

A limit on file sizes stands in for the disk: the kernel refuses the write in the middle, as it does when space runs out.
"""

import resource
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from segsearch.data.config import StreetsData
from segsearch.data.open import open_data
from segsearch.errors import InputError, MachineError
from segsearch.files import write_atomic
from segsearch.measure.conditions import Conditions
from segsearch.measure.timer import TimerSettings
from segsearch.space.lower import lower
from segsearch.study.budget import Budget
from segsearch.study.gate import gate
from segsearch.study_files import ERROR
from segsearch.training.checkpoint import Stamp, save_checkpoint
from segsearch.training.recipe import Recipe
from segsearch.training.weights import save_weights
from segsearch.trial import TrialSetup, run_trial
from tests.test_trial import POINT

STAMP = Stamp(recipe="abc", seed=1, network="def", classes="red, green", images=4, steps=20)


@contextmanager
def limit(what: int, most: int) -> Iterator[None]:
    before = resource.getrlimit(what)
    resource.setrlimit(what, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(what, before)


def room_for(size_bytes: int) -> AbstractContextManager[None]:
    return limit(resource.RLIMIT_FSIZE, size_bytes)


def no_more_files() -> AbstractContextManager[None]:
    return limit(resource.RLIMIT_NOFILE, 3)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_atomic(path, b"x" * 100_000),
        lambda path: save_checkpoint(path, STAMP, {"weights": torch.zeros(100_000)}),
        lambda path: save_weights(nn.Linear(300, 300), path),
    ],
    ids=["text", "checkpoint", "weights"],
)
def test_one_line_and_the_old_file_stays(write, tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_text("old")
    with room_for(10_000), pytest.raises(InputError, match=r"kept: cannot be written: ") as caught:
        write(path)
    assert "\n" not in str(caught.value)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_trial_without_room_has_no_result_and_is_tried_again(tmp_path: Path) -> None:
    setup = TrialSetup(
        splits=open_data(StreetsData(size=(32, 48), train=2, val=1)),
        size_hw=(32, 48),
        recipe=Recipe(iterations=1, batch_size=2),
        gate=partial(gate, Budget()),
        device="cpu",
        under=Conditions(
            threads=1,
            backend="onnxruntime",
            timer=TimerSettings(min_samples=2, min_seconds=0.01, warmup_block_seconds=0.01, max_warmup_seconds=0.05),
        ),
    )
    for scarce in (room_for(1000), no_more_files()):
        with scarce, pytest.raises((InputError, MachineError), match=r"File too large|Too many open files") as caught:
            run_trial(lower(POINT), setup, tmp_path, seed=1)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / ERROR).exists()
    assert run_trial(lower(POINT), setup, tmp_path, seed=1).state == "complete"
