"""The torch artefact: an exported program, ``.pt2``, that torch runs without our code."""

import hashlib
import io
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch

from segsearch.errors import InputError
from segsearch.export.deploy import Deployed
from segsearch.files import write_atomic
from segsearch.quiet import quiet


def to_program(deployed: Deployed, path: Path) -> str:
    """Write a deployed network by ``torch.export.save`` and return the sha256 of the file, in hex.

    Raises:
        InputError: the file cannot be written.
    """
    example = torch.zeros(1, 3, *deployed.size_hw, dtype=torch.uint8)
    with quiet():
        program = torch.export.export(deployed, (example,), strict=False)
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # source files of this machine
        buffer = io.BytesIO()
        torch.export.save(program, buffer)
    write_atomic(path, buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


class Program:
    """A torch artefact ready to segment images, with torch's threads.

    ``torch.export.load`` unpickles parts of a file (example inputs, and whatever else the file asks for), so a file of
    others could run code. Only a file of the known checksum is loaded: one just written, or one whose card is trusted.
    """

    def __init__(self, path: Path, sha256: str) -> None:
        """Load ``path`` if its content has this checksum, in hex.

        Raises:
            InputError: it cannot be read, or its content is another one.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(path, f"cannot be read: {error.strerror}") from error
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise InputError(path, f"is not the file that was written: its sha256 is {found}", sha256)
        with quiet():
            self._module = torch.export.load(io.BytesIO(content)).module()

    @torch.no_grad()
    def predict(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Segment an RGB image, uint8 [H, W, 3], into class indices, uint8 [H, W]."""
        planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]
        return cast(npt.NDArray[np.uint8], self._module(planes)[0].numpy())
