"""A trial's files as bytes, so that a stage can run on a machine that shares no disk with the study."""

from pathlib import Path

from segsearch.errors import InputError
from segsearch.files import make_folder, write_atomic
from segsearch.study_files import CHECKPOINT, ERROR, LATENCY, MEMORY, WEIGHTS

Parcel = dict[str, bytes]
"""Contents of files by their names."""

STAGE_FILES = (MEMORY, LATENCY, CHECKPOINT, WEIGHTS, ERROR)
"""What a stage reads and writes, in the order in which it writes them; all other files are the driver's alone."""
MOST_BYTES = 2 * 1024**3
"""Of one trial's files: checkpoint and weights of the largest named network take a quarter of it."""


def packed(folder: Path, names: tuple[str, ...] = STAGE_FILES) -> Parcel:
    """Read those files of a trial's folder that are there.

    Raises:
        InputError: a file cannot be read, or all together are larger than `MOST_BYTES`.
    """
    there = [path for name in names if (path := folder / name).is_file()]
    try:
        size = sum(path.stat().st_size for path in there)
        if size > MOST_BYTES:
            problem = f"holds {size / 1e9:.1f} GB, too much to be sent to another machine"
            raise InputError(folder, problem, f"{MOST_BYTES / 1e9:.1f} GB; the serial executor sends nothing")
        return {path.name: path.read_bytes() for path in there}
    except OSError as error:
        raise InputError(folder, f"cannot be read: {error.strerror or error}") from error


def unpack(parcel: Parcel, folder: Path, names: tuple[str, ...] = STAGE_FILES) -> None:
    """Write files into a trial's folder, each whole or not at all and in the order in which a stage writes them.

    So a crash in the middle leaves what a crash of the stage could have left.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    assert parcel.keys() <= set(names), f"no files of a stage: {sorted(parcel.keys() - set(names))}"
    make_folder(folder)
    for name in names:
        if name in parcel:
            write_atomic(folder / name, parcel[name])
