"""What TensorBoard's own reader finds of a run, also of one that was taken up again."""

import sys
from pathlib import Path
from typing import Any

import pytest

from segsearch.errors import MissingExtraError
from segsearch.run.folder import METRICS
from segsearch.run.metrics import BOARD, read_metrics
from segsearch.run.train import Run, train_run

from .runs import tiny

read = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="no tensorboard here")


class _StoppedError(Exception):
    pass


def events(run: Run) -> dict[str, list[tuple[int, float]]]:
    """Step and value of every scalar, by its name."""
    found = read.EventAccumulator(str(run.folder / BOARD), size_guidance={"scalars": 0})
    found.Reload()
    return {name: [(e.step, e.value) for e in found.Scalars(name)] for name in found.Tags()["scalars"]}


def test_every_step_epoch_and_score_is_there_once_also_after_a_restart(tmp_path: Path) -> None:
    def report(what: str, done: int, total: int) -> None:
        if what.startswith("loss") and done == 7:
            raise _StoppedError

    training = tiny(tmp_path)
    with pytest.raises(_StoppedError):
        train_run(training, tmp_path / "out", tensorboard=True, report=report)
    (tmp_path / "out/checkpoint.pt").unlink()  # all is done again
    run = train_run(training, tmp_path / "out", tensorboard=True)
    found, lines = events(run), read_metrics(run.folder / METRICS)
    assert [step for step, _ in found["train/loss"]] == list(range(1, 13))
    assert found["train/loss"][-1][1] == pytest.approx(run.result.final_loss)
    assert [step for step, _ in found["train/loss of the epoch"]] == [4, 8, 12]
    mean = sum(value for step, value in found["train/loss"] if step > 8) / 4
    assert found["train/loss of the epoch"][-1][1] == pytest.approx(mean)
    checks = [(line["step"], pytest.approx(line["miou"])) for line in lines if "miou" in line]
    assert found["val/mIoU"] == checks and len(checks) == 10
    seen = {f"val/IoU/{name}" for name, iou in run.result.scores.iou.items() if iou is not None}
    assert seen <= found.keys() and {"train/learning rate", "train/waited", "val/pixel accuracy"} <= found.keys()


def test_without_the_library_the_extra_is_named_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone: Any = None
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", gone)
    with pytest.raises(
        MissingExtraError, match=r"^tensorboard is not installed: pip install 'segsearch\[tensorboard\]'"
    ):
        train_run(tiny(tmp_path), tmp_path / "out", tensorboard=True)
    assert not (tmp_path / "out").exists()
