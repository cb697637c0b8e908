"""Downloads from a server of our own: whole and checked, or not there."""

import hashlib
import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from segsearch.download import fetch, hash_in, sha256
from segsearch.errors import InputError
from segsearch.quiet import CACHE

CONTENT = bytes(range(256)) * 10_000
NAME = f"weights-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache"


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / NAME).write_bytes(CONTENT)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "files")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{NAME}"
    server.shutdown()
    server.server_close()


def test_a_file_is_fetched_once_and_then_lies_there(address: str, cache: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    path = fetch(address, lambda what, done, total: told.append((done, total)))
    assert path == cache / NAME and path.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT)) and told == sorted(told)
    (tmp_path / "files" / NAME).unlink()
    assert fetch(address) == path
    assert [p.name for p in cache.iterdir()] == [NAME]


def test_local_addresses(tmp_path: Path, cache: Path) -> None:
    (tmp_path / NAME).write_bytes(CONTENT)
    assert fetch((tmp_path / NAME).as_uri()).read_bytes() == CONTENT


def test_offline_one_line_says_what_to_fetch_and_where_to_put_it(cache: Path) -> None:
    url = f"http://127.0.0.1:9/{NAME}"
    with pytest.raises(InputError) as caught:
        fetch(url)
    line = str(caught.value)
    assert line.startswith(f"{url}: cannot be downloaded (") and line.endswith(
        f"fetch it elsewhere and put it at {cache / NAME}"
    )
    assert "\n" not in line and not list(cache.iterdir())


def test_what_the_server_does_not_have(address: str, cache: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be downloaded \(File not found\); fetch it elsewhere"):
        fetch(address.replace("weights", "other"))


def test_what_arrives_damaged_is_not_kept(address: str, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "files" / NAME).write_bytes(CONTENT[:-1])
    with pytest.raises(InputError, match="arrived damaged: its sha256 begins with"):
        fetch(address)
    assert not list(cache.iterdir())


def test_a_line_that_drops_is_not_called_damage(tmp_path: Path, cache: Path) -> None:
    class Short(Quiet):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[:1000])

    with ThreadingHTTPServer(("127.0.0.1", 0), Short) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(InputError, match=rf"ended after 1000 of {len(CONTENT)} bytes; try again, or fetch it els"):
            fetch(f"http://127.0.0.1:{server.server_port}/{NAME}")
        server.shutdown()
    assert not list(cache.glob("*"))


def test_what_was_damaged_later_is_named(address: str, cache: Path) -> None:
    fetch(address).write_bytes(b"short")
    with pytest.raises(InputError, match=rf"{NAME}: is damaged: .* \(allowed: delete it, to download it again\)"):
        fetch(address)


def test_a_stop_leaves_nothing(address: str, cache: Path) -> None:
    def stop(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(address, stop)
    assert not list(cache.iterdir())


def test_what_a_killed_download_left_is_cleared(address: str, cache: Path) -> None:
    cache.mkdir()
    (cache / f".{NAME}.abc.part").write_bytes(b"half")
    os.utime(cache / f".{NAME}.abc.part", (1, 1))
    fetch(address)
    assert [p.name for p in cache.iterdir()] == [NAME]


def test_a_cache_that_cannot_be_written(address: str, cache: Path) -> None:
    cache.write_text("a file")
    with pytest.raises(InputError, match=r"cannot be (written|read)"):
        fetch(address)


def test_names_that_carry_a_checksum() -> None:
    assert hash_in("resnet18-f37072fd.pth") == "f37072fd"
    assert hash_in("shufflenetv2_x1-5666bf0f80.pth") == "5666bf0f80"
    assert hash_in("model.safetensors") is None and hash_in("resnet-50.pth") is None


def test_a_checksum_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nope: cannot be read: No such file"):
        sha256(tmp_path / "nope")
