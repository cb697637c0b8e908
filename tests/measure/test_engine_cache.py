import pytest

from segsearch.errors import InputError
from segsearch.measure.backends.engine_cache import Cached, kept, key_of


class Builder:
    """Builds another content each time, as TensorRT does."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> bytes:
        self.calls += 1
        return b"engine %d" % self.calls


def yes(content: bytes) -> bool:
    return True


def test_what_was_built_is_kept(tmp_path):
    path, build = tmp_path / "deep" / "a.engine", Builder()
    assert kept(path, build, yes) == Cached(content=b"engine 1", origin="built")
    assert kept(path, build, yes) == Cached(content=b"engine 1", origin="reused")
    assert build.calls == 1


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data[:10], lambda data: b"", lambda data: data[:-1] + b"x"]
)
def test_what_is_damaged_is_built_again_and_never_loaded(damage, tmp_path):
    path, build, seen = tmp_path / "a.engine", Builder(), []
    kept(path, build, yes)
    path.write_bytes(damage(path.read_bytes()))
    again = kept(path, build, lambda content: bool(seen.append(content)))
    assert again == Cached(content=b"engine 2", origin="rebuilt: the kept one was of no use")
    assert seen == []
    assert kept(path, build, yes) == Cached(content=b"engine 2", origin="reused")


def test_what_the_driver_refuses_is_built_again(tmp_path):
    path, build = tmp_path / "a.engine", Builder()
    kept(path, build, yes)
    assert kept(path, build, lambda content: False).origin == "rebuilt: the kept one was of no use"


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"):
        kept(tmp_path / "file" / "a.engine", Builder(), yes)


def test_keys_tell_every_part_apart():
    parts = ("file", "10.13", "H200", "float16")
    keys = {key_of(*parts), *(key_of(*parts[:i], "other", *parts[i + 1 :]) for i in range(4))}
    assert len(keys) == 5
