"""A folder is replaced whole or not at all, and nothing of others goes with it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from segsearch.artefacts.appearing import PARTS, appearing
from segsearch.artefacts.formats import onnx_name
from segsearch.deployment.card import Card
from segsearch.errors import InputError, UnfitError
from segsearch.measure.backends.table import FILE_BACKENDS, file_backend


@pytest.fixture
def earlier(exported: tuple[Card, Path], tmp_path: Path) -> Path:
    assert {path.name for path in exported[1].iterdir()} <= PARTS
    out = tmp_path / "model"
    out.mkdir()
    (out / "model.json").write_text((exported[1] / "model.json").read_text())
    (out / "model.onnx").write_text("earlier")
    return out


def replace(out: Path) -> None:
    with appearing(out) as made:
        (made / "model.onnx").write_text("new")


def test_an_earlier_export_is_replaced(earlier: Path) -> None:
    replace(earlier)
    assert [path.name for path in earlier.iterdir()] == ["model.onnx"] and list(earlier.parent.iterdir()) == [earlier]


def test_a_file_that_cannot_be_written_is_named_by_where_it_was_to_lie(tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised, appearing(tmp_path / "model") as made:
        raise UnfitError(made / "model.onnx", "cannot be written: No space left on device")
    assert type(raised.value) is UnfitError and not list(tmp_path.iterdir())
    assert str(raised.value) == f"{tmp_path}/model/model.onnx: cannot be written: No space left on device"


def test_all_files_that_a_backend_runs_are_an_exports_own() -> None:
    held = {name for backend in FILE_BACKENDS for name in file_backend(backend).weights.values()}
    assert held >= {"float32", "float16", "bfloat16"} and {onnx_name(each) for each in held} <= PARTS


@pytest.mark.parametrize("name", ["model.engine", "notes.md", "predictions/a.png"])
def test_what_somebody_else_put_there_is_kept(earlier: Path, name: str) -> None:
    (earlier / name).parent.mkdir(exist_ok=True)
    (earlier / name).write_text("mine")
    with pytest.raises(InputError, match=f"holds {Path(name).parts[0]}, which no export wrote"):
        replace(earlier)
    assert (earlier / name).read_text() == "mine" and (earlier / "model.onnx").read_text() == "earlier"


def test_what_is_put_there_meanwhile_is_kept(earlier: Path) -> None:
    with pytest.raises(InputError, match=r"holds notes\.md"), appearing(earlier):
        (earlier / "notes.md").write_text("mine")
    assert (earlier / "notes.md").read_text() == "mine" and list(earlier.parent.iterdir()) == [earlier]


def test_a_stop_between_the_two_renames_loses_nothing(earlier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, seen = Path.rename, []

    def rename(self: Path, target: Path) -> Path:
        seen.append(target)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(KeyboardInterrupt):
        replace(earlier)
    assert (earlier / "model.onnx").read_text() == "earlier" and list(earlier.parent.iterdir()) == [earlier]


def test_the_folder_one_stands_in_is_refused_before_the_work(earlier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(earlier)
    with pytest.raises(InputError, match="or where you stand"):
        replace(Path())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read any folder")
def test_a_closed_folder_is_one_line(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    with pytest.raises(InputError, match="cannot be written: Permission denied"):
        replace(closed / "model")


def test_a_name_that_is_too_long_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written: File name too long"):
        replace(tmp_path / ("x" * 300))


KILLED = """
import os, pathlib, signal, sys
from segsearch.artefacts.appearing import appearing
real, seen = pathlib.Path.rename, []
def rename(self, target):
    seen.append(target)
    if len(seen) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, target)
pathlib.Path.rename = rename
with appearing(pathlib.Path(sys.argv[1])) as made:
    (made / "model.onnx").write_text("never")
    if sys.argv[2] == "early":
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("when", ["early", "between the renames"])
def test_what_a_killed_export_left_is_put_in_order_by_the_next(earlier: Path, when: str) -> None:
    kept = [earlier.parent / name for name in (f".{earlier.name}.other-host.4194000-100.x", f".{earlier.name}.mine")]
    for folder in kept:
        folder.mkdir()
    command = [sys.executable, "-c", KILLED, str(earlier), when]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert earlier.exists() == (when == "early")
    with pytest.raises(ZeroDivisionError), appearing(earlier):
        assert (earlier / "model.onnx").read_text() == "earlier"
        raise ZeroDivisionError
    assert sorted(earlier.parent.iterdir()) == sorted([earlier, *kept])
    assert (earlier / "model.onnx").read_text() == "earlier"


def test_an_export_that_is_under_way_is_left_alone(tmp_path: Path) -> None:
    with appearing(tmp_path / "model") as first:
        replace(tmp_path / "model")
        assert first.is_dir() and (tmp_path / "model" / "model.onnx").read_text() == "new"
        (tmp_path / "model" / "model.onnx").unlink()
