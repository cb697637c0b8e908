import errno
import json
import os
from pathlib import Path

import pytest

from segsearch.errors import InputError
from segsearch.files import make_folder, replacing, write_atomic


def test_a_file_is_whole_or_old(tmp_path) -> None:
    path = tmp_path / "deep" / "a.txt"
    write_atomic(path, "old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    write_atomic(path, b"new")
    assert path.read_text() == "new"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_names_of_files_that_are_not_utf_8_can_be_written(tmp_path) -> None:
    name = os.fsdecode(b"a\xff\xfe.png")
    write_atomic(tmp_path / "a.json", json.dumps(name, ensure_ascii=False))
    assert (tmp_path / "a.json").read_bytes() == rb'"a\udcff\udcfe.png"'
    assert json.loads((tmp_path / "a.json").read_text()) == name


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with (
        pytest.raises(InputError, match=r"a.txt: cannot be written: No space left on device"),
        replacing(tmp_path / "a.txt"),
    ):
        full()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_none() -> None:
    with pytest.raises(InputError, match="^/dev/null/x: cannot be written: '/dev/null' is a file, no folder"):
        write_atomic(Path("/dev/null/x"), "text")
    with pytest.raises(InputError, match="^/dev/null/x/y: cannot be made: '/dev/null' is a file, no folder"):
        make_folder(Path("/dev/null/x/y"))
