import os
from pathlib import Path

import pytest

from segsearch.study.attempts import ATTEMPT, begin, forget, leave
from segsearch.study_files import CHECKPOINT, LATENCY, WEIGHTS


def reached(folder: Path, name: str, seconds: int = 1) -> None:
    (folder / name).write_text("{}")
    os.utime(folder / name, (seconds, seconds))


def test_the_second_death_at_the_same_point_is_one_too_many(tmp_path: Path) -> None:
    assert begin(tmp_path) is None
    assert begin(tmp_path) is None  # it died once
    reason = begin(tmp_path)
    assert reason is not None and "killed 2 times while the network was measured" in reason
    assert reason.endswith("out of memory")
    forget(tmp_path)
    assert begin(tmp_path) is None


def test_progress_between_two_deaths_begins_the_count_again(tmp_path: Path) -> None:
    for step in range(8):
        assert begin(tmp_path) is None
        reached(tmp_path, LATENCY if step == 0 else CHECKPOINT, step + 1)
    assert begin(tmp_path) is None
    assert "while it was trained" in str(begin(tmp_path))
    reached(tmp_path, WEIGHTS, 99)
    assert begin(tmp_path) is None
    assert "while it was scored" in str(begin(tmp_path))


def test_a_stop_on_purpose_is_no_death(tmp_path: Path) -> None:
    for _ in range(5):
        assert begin(tmp_path) is None
        leave(tmp_path)
    assert begin(tmp_path) is None
    assert begin(tmp_path) is None
    leave(tmp_path)
    assert begin(tmp_path) is None  # it died once, was stopped on purpose, and goes on
    assert begin(tmp_path) is not None


@pytest.mark.parametrize("content", ["", "{", "[" * 100_000])
def test_a_torn_count_begins_again(content: str, tmp_path: Path) -> None:
    (tmp_path / ATTEMPT).write_text(content)
    assert begin(tmp_path) is None


def test_leaving_a_folder_that_is_gone_makes_none(tmp_path: Path) -> None:
    leave(tmp_path / "gone")
    assert not (tmp_path / "gone").exists()
