"""Files from the network, kept in a cache: whole, with the checksum that their own name carries, or not at all."""

import hashlib
import http.client
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from segsearch.errors import InputError
from segsearch.files import clear_parts, replacing
from segsearch.progress import Report, silent
from segsearch.quiet import cache_folder

TIMEOUT_S = 30.0
_CHUNK = 1 << 20
_ELSEWHERE = "fetch it elsewhere and put it at"
_HASH = re.compile(r"-([0-9a-f]{8,64})\.[a-z]+$")


def hash_in(name: str) -> str | None:
    """Return the beginning of the sha256 that a file's name carries, as in ``resnet18-f37072fd.pth``."""
    match = _HASH.search(name)
    return match[1] if match else None


def fetch(url: str, report: Report = silent) -> Path:
    """Return the file of ``url``, from the cache or, once, from the network.

    Raises:
        InputError: it cannot be had, it is damaged, or the cache cannot be written.
    """
    name = PurePosixPath(urlsplit(url).path).name
    path = cache_folder() / name
    expected = hash_in(name)
    assert expected, f"{url} carries no checksum"
    if not path.is_file():
        clear_parts(path.parent, older_than_seconds=86400)  # another process may be downloading now
        _download(url, path, expected, report)
        return path
    return checked(path, "delete it, to download it again")


def checked(path: Path, cure: str) -> Path:
    """Return ``path``, whose name carries a checksum. Raises InputError, with the ``cure``, where it is another one."""
    if not (found := sha256(path)).startswith(str(hash_in(path.name))):
        raise InputError(path, f"is damaged: its sha256 begins with {found[:8]}", cure)
    return path


def sha256(path: Path) -> str:
    """Return a file's checksum in hex. Raises InputError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror or error}") from error


def _download(url: str, path: Path, expected: str, report: Report) -> None:
    digest, done = hashlib.sha256(), 0
    with replacing(path) as temporary, temporary.open("wb") as file:
        total = 0
        for chunk, total in _chunks(url, path):
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            report("download", done, max(total, done))
        if done < total:
            raise InputError(url, f"ended after {done} of {total} bytes; try again, or {_ELSEWHERE} {path}")
        if not digest.hexdigest().startswith(expected):
            problem = f"arrived damaged: its sha256 begins with {digest.hexdigest()[:8]}, not {expected}"
            raise InputError(url, problem)


def _chunks(url: str, path: Path) -> Iterator[tuple[bytes, int]]:
    """Read pieces of a file, each with the size of the whole in bytes (0 where the server does not say)."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            total = int(answer.headers.get("Content-Length") or 0)
            while chunk := answer.read(_CHUNK):
                yield chunk, total
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise InputError(url, f"cannot be downloaded ({reason}); {_ELSEWHERE} {path}") from error
