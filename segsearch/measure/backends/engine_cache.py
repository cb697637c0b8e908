"""A folder of what took minutes to build: each file with its own checksum, since a damaged engine ends the process."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from segsearch.files import write_atomic

_DIGEST_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class Cached:
    """What a cache gave: the content, and how it came by it (``reused``, ``built``, or ``rebuilt`` and why)."""

    content: bytes
    origin: str


def key_of(*parts: str) -> str:
    """64 hex digits that stand for all the parts together."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def kept(path: Path, build: Callable[[], bytes], usable: Callable[[bytes], bool]) -> Cached:
    """Return what ``path`` holds, or build it and keep it there.

    Args:
        path: file of the cache; it and its folder need not exist.
        build: makes the content.
        usable: last word on a content whose checksum is right.

    Raises:
        InputError: the folder cannot be written.
    """
    content = read(path)
    if content is not None and usable(content):
        return Cached(content=content, origin="reused")
    damaged = os.path.exists(path)  # Path.exists raises where a folder above is closed
    content = build()
    keep(path, content)
    return Cached(content=content, origin="rebuilt: the kept one was of no use" if damaged else "built")


def read(path: Path) -> bytes | None:
    """Content of a file of the cache; None where it is absent, cut short or changed."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    digest, content = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    return content if hashlib.sha256(content).digest() == digest else None


def keep(path: Path, content: bytes) -> None:
    """Write ``content`` behind its checksum. Raises InputError: the folder cannot be written."""
    write_atomic(path, hashlib.sha256(content).digest() + content)
