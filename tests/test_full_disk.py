"""A full disk is the machine's fault: one line, nothing half-written, and no network is blamed for it.

A limit on file sizes stands in for the disk: the kernel refuses the write in the middle, as it does when space runs out.
"""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import nn

from segsearch.errors import InputError
from segsearch.files import write_atomic
from segsearch.train.checkpoint import Stamp, save_checkpoint
from segsearch.train.weights import save_weights

STAMP = Stamp(recipe="abc", seed=1, network="def", dataset="patches", images=4, steps=20)


@contextmanager
def room_for(size_bytes: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


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
