"""A folder that is there whole, or as it was before."""

import glob
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segsearch.artefacts.formats import BIN, ONNX_FILES, PT2, XML
from segsearch.artefacts.scenes import EXAMPLE
from segsearch.deployment.card import JSON_NAME, read_card
from segsearch.deployment.card_page import PAGE_NAME
from segsearch.errors import InputError
from segsearch.files import check_folder
from segsearch.processes import Process

PARTS = ONNX_FILES | {PT2, XML, BIN, JSON_NAME, PAGE_NAME, EXAMPLE}
"""All that an export writes; whatever else lies in a folder is somebody's own."""


@contextmanager
def appearing(out: Path) -> Iterator[Path]:
    """Give a folder beside ``out`` that takes its place when the block ends well, and vanishes when it does not.

    What exports of this machine left that were killed is put in order first.

    Raises:
        InputError: ``out`` is a file, a folder that holds anything but an earlier export, or cannot be written or
            replaced.
    """
    work, made = None, None
    mine = f".{out.name}.{socket.gethostname()}."
    check_folder(out.parent)
    try:
        _recover(out, mine)
        _refuse(out)
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=out.parent, prefix=f"{mine}{Process.this().tag}."))
        made = work / "new"
        made.mkdir()
        yield made
        _refuse(out)  # the work took a while
        _swap(made, out, work / "old")
    except InputError as error:
        raise _as_asked(error, made, out) from error
    except OSError as error:
        raise InputError(out, f"cannot be written: {error.strerror or error}") from error
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)


def _as_asked(error: InputError, made: Path | None, out: Path) -> InputError:
    """Name a file by where it was to lie, as nobody knows of the hidden folder that it is made in."""
    if made is None or not Path(error.place).is_relative_to(made):
        return error
    return type(error)(out / Path(error.place).relative_to(made), error.problem, error.allowed)


def _recover(out: Path, mine: str) -> None:
    """Clear away the work of killed exports; one that was killed between its two renames has the earlier export."""
    for work in out.parent.glob(f"{glob.escape(mine)}*"):
        owner = Process.tagged(work.name.removeprefix(mine).partition(".")[0])
        if owner is not None and owner.state == "ended":
            if not out.exists() and (work / "old").is_dir():
                (work / "old").rename(out)
            shutil.rmtree(work, ignore_errors=True)


def _refuse(out: Path) -> None:
    if not out.exists():
        check_folder(out)
        return
    held = {path.name for path in out.iterdir()} if out.is_dir() else {out.name}
    if held and not (out.is_dir() and JSON_NAME in held):
        raise InputError(out, "exists and is not an exported model; choose another folder")
    if held:
        read_card(out)  # somebody else's model.json
    if foreign := sorted(held - PARTS):
        raise InputError(out, f"holds {foreign[0]}, which no export wrote and replacing would lose; choose another")
    if out.is_mount() or Path.cwd().is_relative_to(out.resolve()):
        raise InputError(out, "is a mount, or where you stand, and cannot be replaced; choose a folder inside it")


def _swap(made: Path, out: Path, old: Path) -> None:
    """Put ``made`` in the place of ``out``; on any failure, ``out`` is there as it was."""
    try:
        if out.exists():
            out.rename(old)
        made.rename(out)
    except BaseException:  # Ctrl-C between the two
        if old.exists() and not out.exists():
            old.rename(out)
        raise
