"""One exported form of a network: its files, what runs it, and how far it does what the network does."""

import hashlib
import math
from pathlib import Path
from typing import Literal, Self

from pydantic import Field

from segsearch.deployment.parity import Agreement
from segsearch.errors import InputError
from segsearch.frozen import Frozen


class Timing(Frozen):
    """One measured latency at batch 1.

    Attributes:
        latency_ms: per image, in milliseconds.
        covers: `logits`, from normalised image to logits, or `mask`, from bytes to class indices.
        backend, device, threads: the software and hardware it ran on, and how many threads if a CPU.
        precision: number format that it computed in; None in older cards.
        fresh_process: whether a process of its own was started for it.
        steady: whether the machine stood still meanwhile; None where nobody looked.
    """

    latency_ms: float = Field(gt=0)
    covers: Literal["logits", "mask"]
    backend: str
    device: str
    precision: str | None = None
    threads: int | None = None
    fresh_process: bool = False
    steady: bool | None = None

    @property
    def fps(self) -> float:
        """Images per second, one after another."""
        return 1000 / self.latency_ms

    def meets(self, budget_fps: float | None) -> bool | None:
        """Whether this is fast enough; None without a budget."""
        return None if budget_fps is None else self.fps >= budget_fps


def check_fps(fps: float | None) -> None:
    """Refuse what is no frame rate: a card could not tell of it. Raises InputError."""
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise InputError("--fps", f"{fps:g} is no frame rate", "a number above 0")


class File(Frozen):
    """One file of an artefact: its name in the folder, its sha256 in hex, its size in bytes."""

    name: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)

    @classmethod
    def of(cls, path: Path) -> Self:
        """Read a file that is there."""
        content = path.read_bytes()
        return cls(name=path.name, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


class Artefact(Frozen):
    """One exported form of a network.

    Attributes:
        format: `onnx`, `pt2` or `openvino`.
        precision: what its convolutions compute in, where ``agreement`` was found.
        files: what it consists of.
        runtime: the software that ran it, with its version.
        agreement: its masks against the trained network's.
        default_precision, default_agreement: what the runtime takes by itself on this machine, and how far that agrees.
        miou: of its masks on the validation images, 0..1.
        timing: its latency in a fresh process.
        calibration_images: how many images an int8 form took its ranges from.
    """

    format: Literal["onnx", "pt2", "openvino"]
    precision: str = "float32"
    files: tuple[File, ...] = Field(min_length=1)
    runtime: str
    agreement: Agreement
    default_precision: str | None = None
    default_agreement: Agreement | None = None
    miou: float | None = None
    timing: Timing | None = None
    calibration_images: int | None = None
