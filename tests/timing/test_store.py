"""Records on disk: by all that changes a latency, and whole after any interruption."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from segsearch.errors import DeviceError, InputError
from segsearch.measure.conditions import Conditions
from segsearch.measure.record import LatencyRecord
from segsearch.measure.timer import TimerSettings
from segsearch.timing import LatencyProtocol, LatencyStore, protocol_for
from segsearch.timing.store import append_line, read_lines
from tests.engine.builders import latency
from tests.leaderboard.boards import protocol

NET = "0123456789ab"


def stored(path: Path, median_ms: float = 12.5, **changes: object) -> LatencyRecord:
    record = latency(median_ms, "net")
    LatencyStore(path).add(protocol(**changes), NET, record)
    return record


def test_what_is_added_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "m.jsonl"
    store, record = LatencyStore(path), latency(12.5, "net")
    assert store.get(protocol(), NET) is None and not path.exists()
    store.add(protocol(), NET, record)
    assert LatencyStore(path).get(protocol(), NET) == store.get(protocol(), NET) == record
    assert store.get(protocol(), "another") is None


CHANGES: list[dict[str, Any]] = [
    {"size_hw": (64, 64)},
    {"batch": 2},
    {"classes": 11},
    {"machine": "another"},
    {"device": "cuda:1"},
    {"device_name": "another"},
    {"backend": "onnxruntime"},
    {"backend_version": "1"},
    {"torch": "1"},
    {"driver": "1"},
    {"precision": "float16"},
    {"threads": 2},
    {"timer": TimerSettings()},
    {"processes": 3},
    {"graph": "plain"},
]


def test_the_cases_cover_every_field_of_a_protocol() -> None:
    assert {name for change in CHANGES for name in change} == LatencyProtocol.model_fields.keys() - {"version"}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_whatever_changes_a_latency_is_another_record(change: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    record = stored(path)
    assert LatencyStore(path).get(protocol(**change), NET) is None
    other = stored(path, 7.0, **change)
    store = LatencyStore(path)
    assert (store.get(protocol(), NET), store.get(protocol(**change), NET)) == (record, other)
    assert protocol(**change).words != protocol().words


def test_records_of_another_version_are_kept_and_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    old = {"protocol": {"version": 3, "shape": "another"}, "network": NET, "record": {"speed": 1}}
    append_line(path, old)
    assert LatencyStore(path).get(protocol(), NET) is None
    record = stored(path)
    assert LatencyStore(path).get(protocol(), NET) == record and read_lines(path)[0] == old


def test_cut_off_anywhere_it_goes_on(tmp_path: Path) -> None:
    """Whatever byte a crash stops at, the whole lines before it are kept, and the file is whole after the next."""
    whole = tmp_path / "whole"
    for number in range(3):
        append_line(whole, {"n": number, "text": "Kä" * 10})
    data = whole.read_bytes()
    for cut in {*random.Random(0).sample(range(len(data)), 25), 0, 1, len(data) - 1}:
        path = tmp_path / f"cut{cut}"
        path.write_bytes(data[:cut])
        kept = [line["n"] for line in read_lines(path)]
        assert kept == list(range(data[:cut].count(b"\n")))
        append_line(path, {"n": 9})
        assert [line["n"] for line in read_lines(path)] == [*kept, 9] and path.read_bytes().endswith(b"\n")


@pytest.mark.parametrize("damage", [b"{", b"", b"[1]", b"\xff\xfe", b"[" * 100000])
def test_damage_before_the_last_line_is_named(damage: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    stored(path)
    before = path.read_bytes()
    path.write_bytes(before + damage + b"\n" + before)
    with pytest.raises(InputError, match=r"jsonl:2: is no.* delete this line to go on"):
        LatencyStore(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"record": {"label": 1}}, r"jsonl:1\.record\.\w+"),
        ({"protocol": {"threads": "x"}}, r"jsonl:1\.protocol\.threads"),
    ],
)
def test_a_line_that_is_no_measurement_is_named(line: dict, message: str, tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    key = protocol().model_dump(mode="json")
    written = {"protocol": key | line.get("protocol", {}), "network": NET, "record": line.get("record", {})}
    path.write_text(json.dumps(written) + "\n")
    with pytest.raises(InputError, match=message):
        LatencyStore(path).get(protocol(), NET)


def test_what_cannot_be_read_or_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        append_line(tmp_path / "file" / "m", {"n": 1})
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="folder: cannot be read"):
        LatencyStore(tmp_path / "folder")


def test_what_is_not_said_is_filled_in() -> None:
    settled = protocol_for((64, 128))
    assert (settled.backend, settled.precision, settled.device) == ("eager", "float32", "cpu")
    assert settled.threads == torch.get_num_threads() and settled.machine
    assert settled.backend_version == settled.torch == str(torch.__version__)
    assert LatencyProtocol.parse(settled.model_dump(mode="json"), "p") == settled
    under = Conditions(backend="onnxruntime", threads=2, timer=TimerSettings(blocks=2))
    asked = protocol_for((64, 128), under, classes=7, processes=2)
    assert asked.conditions == Conditions(
        backend="onnxruntime", precision="float32", threads=2, timer=TimerSettings(blocks=2)
    )
    assert (asked.classes, asked.processes, asked.size_hw) == (7, 2, (64, 128))


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"backend": "tvm"}, InputError, "backend: 'tvm' is not known"),
        ({"device": "tpu"}, InputError, "device: 'tpu' is not known"),
        ({"device": "cuda:99"}, DeviceError, "cuda:99 is not here"),
        ({"precision": "float3"}, InputError, r"precision: .*'float3'"),
        ({"threads": 0}, InputError, "threads: 0 is too few"),
    ],
)
def test_what_cannot_be_is_one_line(asked: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        protocol_for((64, 128), Conditions(**asked))


def test_words_are_a_file_name() -> None:
    words = protocol(device="cuda:1", threads=2).words
    assert words.startswith("1024x2048-cuda1-eager-float32-2threads-")
    assert not set(words) & set("/: ")
