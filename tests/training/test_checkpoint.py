import dataclasses
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from segsearch.errors import InputError
from segsearch.training.checkpoint import Stamp, load_checkpoint, save_checkpoint, shape_digest

STAMP = Stamp(recipe="abc", seed=1, network="def", classes="red, green", images=4, steps=20, teacher="ghi")
STATE: dict[str, Any] = {
    "weights": {"a": torch.arange(600.0)},
    "losses": [1.0, 0.5],
    "random": torch.get_rng_state(),
    "none": None,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "new").mkdir()
    save_checkpoint(tmp_path / "new" / "run.pt", STAMP, STATE)
    return tmp_path / "new" / "run.pt"


def _refused(path: Path, stamp: Stamp = STAMP) -> str:
    with pytest.raises(InputError) as refusal:
        load_checkpoint(path, stamp)
    line = str(refusal.value)
    assert line.startswith(f"{path}: ") and "\n" not in line and "delete the file to start again" in line
    return line


def test_round_trip_leaves_one_file(path: Path) -> None:
    state = load_checkpoint(path, STAMP)
    assert torch.equal(state["weights"]["a"], STATE["weights"]["a"])
    assert torch.equal(state["random"], STATE["random"])
    assert (state["losses"], state["none"]) == ([1.0, 0.5], None)
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gone: is not there"):
        save_checkpoint(tmp_path / "gone" / "run.pt", STAMP, STATE)
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Stamp)])
def test_another_training_is_named(path: Path, field: str) -> None:
    value = getattr(STAMP, field)
    other = dataclasses.replace(STAMP, **{field: value + (1 if isinstance(value, int) else "0")})
    assert f"belongs to a training with {field} {value!r}, not {getattr(other, field)!r}" in _refused(path, other)


def test_an_archive_that_unpacks_to_far_more_is_not_unpacked(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("archive/data/0", bytes(10**7))
    with pytest.raises(InputError, match=r"is 0\.0 MB and unpacks to 10 MB; it is not read \(allowed: a checkpoint of"):
        load_checkpoint(path, STAMP)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_truncated(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    _refused(path)


def test_one_flipped_bit_in_a_tensor(path: Path) -> None:
    content = bytearray(path.read_bytes())
    place = content.index(torch.arange(600.0).numpy().tobytes()) + 1000
    content[place] ^= 1
    path.write_bytes(content)
    _refused(path)


class _Evil:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("evil"),)


def test_code_is_not_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    torch.save({"format": _Evil()}, path)
    _refused(path)
    assert not Path("evil").exists()


def test_foreign_files(path: Path) -> None:
    for content in (b"", b"hello", pickle.dumps({"a": 1})):
        path.write_bytes(content)
        _refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "b")
    _refused(path)
    for foreign in ({"a": torch.ones(1)}, [1], torch.ones(2), {"format": "segsearch training 2"}):
        torch.save(foreign, path)
        assert "is not a training checkpoint of this version" in _refused(path)
    path.unlink()
    path.mkdir()
    _refused(path)


def test_shape_digest_follows_names_and_shapes_not_values() -> None:
    one, same = nn.Linear(2, 3), nn.Linear(2, 3)
    assert shape_digest(one) == shape_digest(same)
    others = [nn.Linear(3, 2), nn.Linear(2, 3, bias=False), nn.Sequential(nn.Linear(2, 3))]
    assert len({shape_digest(one), *(shape_digest(other) for other in others)}) == 4


def test_a_checkpoint_older_than_a_field_goes_on(tmp_path: Path) -> None:
    """A field that came later is None where there is no teacher."""
    now = dataclasses.replace(STAMP, teacher=None)
    save_checkpoint(tmp_path / "run.pt", now, STATE)
    content = torch.load(tmp_path / "run.pt", weights_only=True)
    del content["stamp"]["teacher"]
    torch.save(content, tmp_path / "run.pt")
    assert load_checkpoint(tmp_path / "run.pt", now)["losses"] == STATE["losses"]
    assert "belongs to a training with teacher None, not 'ghi'" in _refused(tmp_path / "run.pt")
