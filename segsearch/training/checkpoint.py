"""The state of a training between two steps, in a file that is whole or not there and that carries no code."""

import errno
import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from segsearch.errors import InputError
from segsearch.files import unpacked_bytes, write_atomic

_FORMAT = "segsearch training 2"
CURE = "a checkpoint of this very training; delete the file to start again"


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """Which training a checkpoint belongs to; every field must be equal to resume."""

    recipe: str
    """Id of the recipe."""
    seed: int
    network: str
    """`shape_digest` of the network."""
    classes: str
    """Names of the classes, in order."""
    images: int
    """Training images."""
    steps: int
    """Optimiser steps of the whole training."""
    teacher: str | None = None
    """sha256 of the weights that it learns from, too."""


def shape_digest(network: nn.Module) -> str:
    """12 hex digits over the names and shapes of all tensors of a network."""
    tensors = [f"{name}{tuple(tensor.shape)}" for name, tensor in network.state_dict().items()]
    return hashlib.sha256("\n".join(tensors).encode()).hexdigest()[:12]


def save_checkpoint(path: Path, stamp: Stamp, state: Mapping[str, object]) -> None:
    """Write ``state`` (tensors, numbers, text, lists and dicts of them); a crash leaves the old file or the new one.

    Raises:
        InputError: the folder is not there or cannot be written, or the disk is full.
    """
    if not path.parent.is_dir():  # moved away with its study: it must not be made again in its old place
        raise InputError(path.parent, "is not there")
    # through memory: torch's own file writer turns a full disk into a RuntimeError, as if the network were at fault
    buffer = io.BytesIO()
    torch.save({"format": _FORMAT, "stamp": asdict(stamp), "state": dict(state)}, buffer)
    write_atomic(path, buffer.getvalue())


def load_checkpoint(path: Path, stamp: Stamp) -> dict[str, Any]:
    """Return the state saved by a training of the same ``stamp``, its tensors on the CPU.

    Raises:
        InputError: unreadable, damaged, not a checkpoint, or one of another training; names the first difference.
    """
    content = _read(path)
    if (
        not isinstance(content, dict)
        or content.get("format") != _FORMAT
        or content.keys() != {"format", "stamp", "state"}
    ):
        raise InputError(path, "is not a training checkpoint of this version", CURE)
    for field, wanted in asdict(stamp).items():
        if (found := content["stamp"].get(field)) != wanted:
            raise InputError(path, f"belongs to a training with {field} {found!r}, not {wanted!r}", CURE)
    state: dict[str, Any] = content["state"]
    return state


def _read(path: Path) -> object:
    """Load without running code; torch does not check the archive's checksums, so they are checked first."""
    try:
        unpacked_bytes(path)
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is None:
            return torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except InputError as error:
        raise InputError(path, error.problem, CURE) from error
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.EISDIR):  # a place in the file that is none, or no file
            raise InputError(path, "cannot be read as a checkpoint (OSError)", CURE) from error
        raise InputError(path, f"cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a foreign file can make the readers raise anything
        raise InputError(path, f"cannot be read as a checkpoint ({type(error).__name__})", CURE) from error
    raise InputError(path, "is damaged: a checksum does not match", CURE)
