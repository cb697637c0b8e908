"""Files that are either whole or not there."""

import os
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from segsearch.errors import InputError

MOST_UNPACKED = 4
"""Times its own size that an archive may unpack to: weights are stored as they are, and hardly shrink."""


PART = ".part"
"""Ends the names of temporary files."""


def to_bytes(text: str) -> bytes:
    r"""Encode text in UTF-8. A byte of a file's name that is not UTF-8 becomes ``\udcff``, which JSON reads back."""
    return text.encode("utf-8", "backslashreplace")


def write_atomic(path: Path, content: str | bytes, *, durable: bool = True) -> None:
    """Write a file so that a crash at any moment leaves the old one or the new one, never a part.

    What is not ``durable`` outlives the process, but a power cut may leave any of it; it takes a tenth of the time.

    Raises:
        InputError: the folder cannot be written, or the disk is full; nothing is left behind.

    """
    data = to_bytes(content) if isinstance(content, str) else content
    with replacing(path, durable=durable) as temporary:
        temporary.write_bytes(data)


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that replaces it where the block ends well, flushed to disk if ``durable``.

    Raises:
        InputError: the folder cannot be written, or the disk is full; nothing is left behind.

    """
    temporary: Path | None = None
    if (found := _in_the_way(path.parent)) is not None:
        raise InputError(path, "cannot be written: '{}' {}".format(*found))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PART)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        if durable:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())  # mkstemp's 0600 would hide results from a group
        temporary.replace(path)
    except OSError as error:
        raise InputError(path, f"cannot be written: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def unpacked_bytes(path: Path) -> int:
    """Return how many bytes a file holds once a zip archive is unpacked, without unpacking it.

    Raises:
        InputError: an archive that unpacks to more than `MOST_UNPACKED` times its size. OSError: it cannot be read.
    """
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            whole = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):  # no archive, or not one that anybody reads
        return size
    if whole > MOST_UNPACKED * size:
        raise InputError(path, f"is {size / 1e6:.1f} MB and unpacks to {whole / 1e6:.0f} MB; it is not read")
    return max(size, whole)


def clear_parts(folder: Path, older_than_seconds: float) -> None:
    """Remove the temporary files of processes that were killed while they wrote into a folder.

    Young ones may belong to a process that is writing now, where several may write there.
    """
    for part in folder.glob(f".*{PART}"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime >= older_than_seconds:
                part.unlink()


def expanded(path: str) -> Path:
    """Put the home folder in the place of ``~``. Raises InputError where there is no such home."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(path, "there is no such user's home folder", "~/FOLDER, or a whole path") from error


def no_file(path: Path, missing: str = "no such file") -> str:
    """Say why a path is no file that can be read to its end; ``missing`` where nothing is there."""
    if path.is_symlink() and not path.exists():
        return f"is a link to '{path.readlink()}', which is not there"
    if path.is_dir():
        return "is a folder"
    return "is no regular file" if path.exists() else missing


def check_folder(path: Path) -> None:
    """See that no file and no link to nothing is where a folder is to be. Raises InputError where one is."""
    if (found := _in_the_way(path)) is not None:
        part, what = found
        raise InputError(path, what if part == path else f"cannot be made: '{part}' {what}")


def _in_the_way(folder: Path) -> tuple[Path, str] | None:
    """Give what is no folder where one is to be, or above it, and what it is; None where nothing is in the way."""
    part = next((part for part in (folder, *folder.parents) if os.path.lexists(part)), None)
    if part is None or part.is_dir():
        return None
    return part, no_file(part) if part.is_symlink() and not part.exists() else "is a file, no folder"


def make_folder(path: Path) -> None:
    """Make a folder and those above it; one that is there will do. Raises InputError where that cannot be."""
    check_folder(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(path, f"cannot be made: {error.strerror or error}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
