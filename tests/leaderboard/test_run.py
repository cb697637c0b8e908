"""Leaderboards that really time small images: resumed, killed, interrupted."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from segsearch.errors import DeviceError, InputError
from segsearch.leaderboard import run as running
from segsearch.leaderboard.plan import plan
from segsearch.leaderboard.run import MEASURED, candidates_of, run_leaderboard
from segsearch.lock import locked
from segsearch.measure.conditions import Conditions
from segsearch.measure.record import LatencyRecord
from segsearch.report.leaderboard_csv import leaderboard_frame
from segsearch.report.leaderboard_md import markdown
from segsearch.space.points import named_point
from segsearch.timing import (
    FileSubject,
    LatencyProtocol,
    LatencyStore,
    NetworkSubject,
    Subject,
    latency_of,
    protocol_for,
)
from segsearch.timing.store import read_lines
from segsearch.timing.subjects import exported

from .boards import TIMER

NAMES = ("fpenet", "fpenet_plain", "sgcpnet1", "dfanet_b_x1")
POINTS = [named_point(name) for name in NAMES]


def quick(classes: int = 19, backend: str = "eager") -> LatencyProtocol:
    return protocol_for((64, 64), Conditions(threads=1, timer=TIMER, backend=backend), classes=classes)


def lines(folder: Path) -> list[dict]:
    return read_lines(folder / MEASURED)


def test_every_network_is_timed_once(tmp_path: Path) -> None:
    twin = named_point("fpenet").model_copy(update={"name": "twin"})
    told: list[tuple[int, int]] = []
    found = run_leaderboard([*POINTS, twin], [quick()], tmp_path, report=lambda _, d, t: told.append((d, t)))
    (made,) = found.boards
    assert {e.point.name for e in made.entries} == {*NAMES, "twin"}
    assert len(lines(tmp_path)) == len(NAMES)
    assert told == [(done, len(NAMES)) for done in range(len(NAMES) + 1)]
    latency = made.entries[0].latency
    assert (latency.size_hw, latency.backend, latency.threads) == ((64, 64), "eager", 1)
    assert len(latency.samples_ms) >= TIMER.min_samples
    assert not found.failed and not found.agreements


@pytest.mark.nightly
def test_backends_that_run_files_share_one_that_is_exported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def counted(subject: NetworkSubject, holds: str, *, plain: bool) -> contextlib.AbstractContextManager[FileSubject]:
        made.append(f"{subject.label} {holds}{' plain' if plain else ''}")
        return exported(subject, holds, plain=plain)

    monkeypatch.setattr(running, "exported", counted)
    under = [quick(), quick(backend="onnxruntime"), quick(backend="openvino")]
    found = run_leaderboard(POINTS[:1], under, tmp_path, plain=True)
    assert made == ["fpenet float32", "fpenet float32 plain"]
    for board, protocol in zip(found.boards, under, strict=True):
        assert {e.point.name for e in board.entries} == {"fpenet"}
        assert {e.latency.backend for e in board.entries} == {protocol.backend}
        assert all(e.latency.params == e.point.expected.params for e in board.entries if e.point.expected)
    assert [a.networks for a in found.agreements] == [1, 1]
    eager, *others = found.boards
    assert not eager.gains
    for board in others:
        assert board.gains == {
            e.point.name: e.plain.median_ms / e.latency.median_ms for e in board.entries if e.plain is not None
        }
        assert board.gains.keys() == {"fpenet"}
    note, table = markdown(found, command="x"), leaderboard_frame(found.boards)
    assert note.count("times as fast as plain exports in the geometric mean of 1 networks") == 2
    assert table.plain_export_ms.notna().sum() == 2


def test_plain_exports_need_a_backend_that_runs_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--plain: needs a backend that runs exported files \(allowed: onnxruntime,"):
        run_leaderboard(POINTS[:1], [quick()], tmp_path, plain=True)


def test_what_is_there_is_not_timed_again(tmp_path: Path) -> None:
    run_leaderboard(POINTS[:2], [quick()], tmp_path)
    before = lines(tmp_path)
    found = run_leaderboard(POINTS, [quick()], tmp_path)
    assert lines(tmp_path)[: len(before)] == before
    assert len(found.boards[0].entries) == len(NAMES)
    after = lines(tmp_path)
    run_leaderboard(POINTS, [quick()], tmp_path)
    assert lines(tmp_path) == after


@pytest.mark.nightly
def test_protocols_do_not_mix(tmp_path: Path) -> None:
    found = run_leaderboard(POINTS[:2], [quick(), quick(classes=11)], tmp_path)
    assert len(lines(tmp_path)) == 4
    assert [len(b.entries) for b in found.boards] == [2, 2]
    assert found.agreements[0].networks == 2


def test_what_a_device_cannot_run_is_left_out_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(subject: Subject, *more: Any, **named: Any) -> LatencyRecord:
        if subject.label == "sgcpnet1":
            raise DeviceError("device: abacus has too little memory for this network and size")
        return latency_of(subject, *more, **named)

    monkeypatch.setattr(running, "latency_of", full)
    found = run_leaderboard(POINTS, [quick()], tmp_path)
    assert list(found.failed) == ["sgcpnet1"] and "too little memory" in found.failed["sgcpnet1"]
    assert len(found.boards[0].entries) == len(NAMES) - 1
    monkeypatch.undo()
    assert len(run_leaderboard(POINTS, [quick()], tmp_path).boards[0].entries) == len(NAMES)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(InputError, match=r"another process \d+ \(.*\) is timing these networks"):
        run_leaderboard(POINTS, [quick()], tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file"):
        run_leaderboard(POINTS, [quick()], tmp_path / "file" / "x")


def test_a_dry_run_guesses_and_writes_nothing(tmp_path: Path) -> None:
    planned = plan(LatencyStore(tmp_path / MEASURED), quick(), candidates_of(POINTS))
    assert [p.name for p in planned.missing] == list(NAMES) and planned.wanted == len(NAMES)
    assert planned.seconds == sum(p.seconds for p in planned.missing) > 0
    assert not list(tmp_path.iterdir())
    run_leaderboard(POINTS[:3], [quick()], tmp_path)
    later = plan(LatencyStore(tmp_path / MEASURED), quick(), candidates_of(POINTS))
    assert [p.name for p in later.missing] == [NAMES[-1]]
    assert later.missing[0].macs == planned.missing[-1].macs


CHILD = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from segsearch.leaderboard.run import run_leaderboard
from segsearch.timing import LatencyProtocol
from segsearch.space.points import named_point
protocol = LatencyProtocol.model_validate_json(sys.argv[1])
print("ready", flush=True)
run_leaderboard([named_point(n) for n in sys.argv[3:]], [protocol], Path(sys.argv[2]), note=lambda l: print(l, flush=True))
"""


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", CHILD, quick().model_dump_json(), str(folder), *NAMES]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.mark.parametrize(
    "number",
    [pytest.param(signal.SIGKILL, marks=pytest.mark.nightly), signal.SIGINT],
    ids=["killed", "interrupted"],
)
def test_stopped_at_any_moment_nothing_is_lost(number: signal.Signals, tmp_path: Path) -> None:
    rng, before = random.Random(3), list[dict]()
    for _ in range(2):
        with start(tmp_path) as process:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
            time.sleep(rng.uniform(0.0, 0.6))
            process.send_signal(number)
            process.communicate()
        now = lines(tmp_path)
        assert now[: len(before)] == before, "a measurement was altered or lost"
        before = now
    found = run_leaderboard(POINTS, [quick()], tmp_path)
    assert lines(tmp_path)[: len(before)] == before
    assert len(found.boards[0].entries) == len(NAMES)
