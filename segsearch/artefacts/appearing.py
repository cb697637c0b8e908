"""A folder that is there whole, or as it was before."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segsearch.errors import InputError
from segsearch.export.card import JSON_NAME


@contextmanager
def appearing(out: Path) -> Iterator[Path]:
    """Give a folder beside ``out`` that takes its place when the block ends well, and vanishes when it does not.

    Raises:
        InputError: ``out`` is a file, a folder that holds anything but an earlier export, or cannot be written.
    """
    if out.exists() and not (out.is_dir() and ((out / JSON_NAME).is_file() or not any(out.iterdir()))):
        raise InputError(out, "exists and is not an exported model; choose another folder")
    work: Path | None = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
        made = work / "new"
        made.mkdir()
        yield made
        if out.exists():
            out.rename(work / "old")
        made.rename(out)
    except OSError as error:
        raise InputError(out, f"cannot be written: {error.strerror or error}") from error
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
