"""The contract of every backend, and what a prepared network can be asked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn

PRECISIONS = ("float32", "tf32", "float16", "bfloat16", "int8")
"""Every number format that some backend can be asked for."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A network made ready on its device; it holds all it needs for as long as it lives, and frees it when dropped.

    Attributes:
        run: one inference on the example it was prepared with; on a GPU queued on the current stream, or done when the
            call returns. What a call returns is the backend's own kind of output, and the next call may overwrite it.
        mask: from an image on the host to the output on the host: copy, infer, copy. Same shape and type as the
            example.
        facts: whatever else changes a latency, such as the hash of an engine.
    """

    run: Callable[[], object]
    mask: Callable[[Tensor], Tensor]
    facts: Mapping[str, str] = field(default_factory=dict)


class Backend(Protocol):
    """Turns a network and an example into something that runs.

    Whatever it loads, it loads in `prepare`: a machine without onnxruntime measures with the others.

    Attributes:
        name: its row in `segsearch.measure.backends.table.BACKENDS`.
        devices: kinds of device it runs on.
        precisions: number formats it can be asked for, its own choice first.
        cuda_precisions: those of ``precisions`` that only a GPU runs.
        takes_file: whether it prepares from an ONNX file, and is a `FileBackend`.
    """

    name: ClassVar[str]
    devices: ClassVar[tuple[str, ...]]
    precisions: ClassVar[tuple[str, ...]]
    cuda_precisions: ClassVar[tuple[str, ...]]
    takes_file: ClassVar[bool]

    def version(self) -> str:
        """Version of the software that runs the network.

        Raises:
            MissingExtraError: it is not installed.
        """
        ...

    def check(self, device: torch.device, precision: str | None) -> None:
        """See in a moment that this machine computes in that precision on that device; None asks for nothing.

        Whoever may run for hours asks first: `prepare` refuses the same, but only once it has a network.

        Raises:
            InputError: this backend does not have that precision.
            DeviceError: it does not have it on that kind of device, or this very device computes in another one.
            MissingExtraError: the software is not installed.
        """
        ...

    def prepare(self, network: nn.Module, example: Tensor, *, precision: str | None = None) -> Prepared:
        """Make ready to run ``network``, in eval mode, on ``example`` where that lies, with torch's number of threads.

        The network is not changed. ``precision``: one of ``precisions``; as the network's weights are when left out.

        Raises:
            MissingExtraError: the software is not installed.
            DeviceError: the device, or what is installed for it, cannot do it.
            UnfitError, ProofError: the network cannot be brought to this backend.
        """
        ...


class FileBackend(Backend, Protocol):
    """A backend that takes ONNX files, those of other programs too.

    Attributes:
        weights: by precision, the number format that the file's weights must have.
    """

    weights: ClassVar[Mapping[str, str]]

    def open(self, path: Path, example: Tensor, *, precision: str | None = None) -> Prepared:
        """Make ready to run the file on ``example`` where that lies.

        ``precision``: what the file's weights call for when left out.

        Raises:
            MissingExtraError: the software is not installed.
            DeviceError: the device, or what is installed for it, cannot do it.
            InputError: no ONNX file, one for other images than ``example``, or one of another precision.
        """
        ...
