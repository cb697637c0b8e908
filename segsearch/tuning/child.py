"""A new process that runs one file: ``python -m segsearch.tuning.child BACKEND PRECISION DEVICE THREADS FILE``.

It opens the file, says so in one line of JSON, and then answers every image that it reads from standard input, uint8
[H, W, 3], with its mask, uint8 [H, W]. A file that takes floating-point numbers is given a normalised image. What
cannot be opened is told as an error, in one line.
"""

import json
import os
import sys
from pathlib import Path
from typing import BinaryIO

import torch

from segsearch.data.normalise import to_tensor
from segsearch.errors import SegsearchError, machine_fault
from segsearch.measure.backends.base import Prepared
from segsearch.measure.backends.table import file_backend
from segsearch.measure.latency import example_of
from segsearch.processes import die_with_parent
from segsearch.timing.process import told_of


def main(backend: str, precision: str, device: str, threads: str, file: str) -> None:
    """Answer images until there are no more."""
    die_with_parent()
    torch.set_num_threads(int(threads))
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # what libraries print is no answer
        try:
            example = example_of(Path(file))
            prepared = file_backend(backend, device.partition(":")[0], precision).open(
                Path(file), example.to(device), precision=precision
            )
            height, width = example.shape[-2:]
            _tell(answers, {"size_hw": [height, width]})
            while len(pixels := sys.stdin.buffer.read(height * width * 3)) == height * width * 3:
                image = torch.frombuffer(bytearray(pixels), dtype=torch.uint8).view(1, height, width, 3)
                answers.write(_mask(prepared, image, bytes_in=example.dtype == torch.uint8))
                answers.flush()
        except Exception as error:
            fault = machine_fault(error)
            if fault is None and not isinstance(error, SegsearchError):
                raise  # its last words are read by the one who asked
            _tell(answers, told_of(fault or error))
    os._exit(0)  # nothing is left to be done, and tidying up takes long


def _mask(prepared: Prepared, image: torch.Tensor, bytes_in: bool) -> bytes:
    given = image.permute(0, 3, 1, 2).contiguous() if bytes_in else to_tensor(image)
    return prepared.mask(given)[0].to(torch.uint8).numpy().tobytes()


def _tell(answers: BinaryIO, told: dict[str, object]) -> None:
    answers.write(json.dumps(told).encode() + b"\n")
    answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
