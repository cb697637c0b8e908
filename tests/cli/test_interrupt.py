"""Ctrl-C in the middle of a command: one line, code 130, and no process, file or lock that stays."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import segsearch.describe
from tests.command import run


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A command in a session of its own, as a terminal gives it, with folders for all that it writes."""
    places = {"TMPDIR": folder / "temporary", "SEGSEARCH_CACHE": folder / "cache"}
    for place in places.values():
        place.mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", "segsearch", *arguments],
        cwd=folder,
        env={**psutil.Process().environ(), **{name: str(place) for name, place in places.items()}},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )


def timing(folder: Path) -> bool:
    """Whether one of its processes measures."""
    return any(folder.glob("temporary/segsearch-*/cpu/*.timing.*"))


def test_nothing_is_left(tmp_path: Path) -> None:
    """Neither of the command nor of the processes that it has started; what an export leaves is in `test_cli`."""
    process = started(tmp_path, "measure", "fpenet", "--backend", "onnxruntime", "--size", "64x64", "--processes", "1")
    while not timing(tmp_path):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    assert len(family) == 2
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and said.splitlines()[-1] == "segsearch: interrupted", said
    assert not [member for member in family if member.is_running()]
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert {name for name in files if not name.startswith("temporary/segsearch-")} == set(), "locks of no process stay"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_fails_because_a_library_swallowed_the_interrupt_is_an_interrupt(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `import torch._dynamo` does, which leaves half a module."""

    def half(*_: object) -> None:
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            raise AttributeError("module has no attribute 'exc'") from None

    monkeypatch.setattr(segsearch.describe, "describe", half)
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    done = run("show", "fpenet")
    assert (done.returncode, done.stderr) == (130, "segsearch: interrupted\n")
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before
