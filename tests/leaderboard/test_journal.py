import json
import random
from pathlib import Path

import pytest

from segsearch.errors import InputError
from segsearch.leaderboard.journal import Journal

HEADER = {"protocol": {"size": [64, 128]}}


def test_what_is_appended_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "j.jsonl"
    journal = Journal(path, HEADER)
    assert not path.exists(), "a journal that nothing is written to leaves nothing"
    for number in range(3):
        journal.append({"n": number, "name": "Kä"})
    assert journal.lines == Journal(path, HEADER).lines == [{"n": n, "name": "Kä"} for n in range(3)]
    assert json.loads(path.read_text().splitlines()[0]) == HEADER


def test_cut_off_anywhere_it_goes_on(tmp_path: Path) -> None:
    """Whatever byte a crash stops at, the whole lines before it are kept, and the file is whole after the next."""
    whole = tmp_path / "whole"
    journal = Journal(whole, HEADER)
    for number in range(3):
        journal.append({"n": number, "text": "x" * 20})
    data = whole.read_bytes()
    for cut in {*random.Random(0).sample(range(len(data)), 25), 0, 1, len(data) - 1}:
        path = tmp_path / f"cut{cut}"
        path.write_bytes(data[:cut])
        kept = [line["n"] for line in Journal(path, HEADER).lines]
        assert kept == list(range(max(0, data[:cut].count(b"\n") - 1)))
        Journal(path, HEADER).append({"n": 9})
        assert [line["n"] for line in Journal(path, HEADER).lines] == [*kept, 9]
        assert path.read_bytes().endswith(b"\n")


def test_another_header_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path / "j", HEADER).append({"n": 1})
    before = (tmp_path / "j").read_bytes()
    with pytest.raises(
        InputError, match=r"j: was written with protocol\.size \[64, 128\], not \[64, 64\]; move it away"
    ):
        Journal(tmp_path / "j", {"protocol": {"size": [64, 64]}})
    assert (tmp_path / "j").read_bytes() == before


@pytest.mark.parametrize("damage", [b"{", b"", b"[1]", b"\xff\xfe", b"[" * 100000])
def test_damage_before_the_last_line_is_named(damage: bytes, tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(json.dumps(HEADER).encode() + b"\n" + damage + b"\n" + b'{"n": 1}\n')
    with pytest.raises(InputError, match=r"j:2: is no.* delete this line to go on"):
        Journal(path, HEADER)


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        Journal(tmp_path / "file" / "j", HEADER).append({"n": 1})
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="folder: cannot be read"):
        Journal(tmp_path / "folder", HEADER)
