"""The form that a study is for: an exported file as the study's runtime computes it in the study's precision."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from segsearch.artefacts.formats import ONNX, Form, onnx_name
from segsearch.deployment.artefact import File
from segsearch.deployment.deploy import Deployed
from segsearch.deployment.images import Bytes
from segsearch.deployment.onnx import Exported
from segsearch.deployment.parity import Masks
from segsearch.errors import DeviceError, MissingExtraError
from segsearch.measure.backends.table import FILE_BACKENDS, file_backend, ready_backend
from segsearch.measure.conditions import Conditions, torch_threads
from segsearch.measure.device_lock import working
from segsearch.measure.machine import find_device
from segsearch.study.config import StudyConfig

PLAIN = ("onnxruntime", "cpu", "float32")
"""How every export is run and timed: it needs no form of its own."""


@dataclass(frozen=True, kw_only=True)
class ShippedForm:
    """An ONNX file under one runtime in one precision: ``model.onnx``, or one with weights of that precision."""

    under: Conditions
    """On this machine; its precision is set."""
    timed: bool
    """Whether its latency here is the study's: not where a worker measures."""
    holds: str
    """Number format of the file's weights."""

    @property
    def precision(self) -> str:
        """What it computes in."""
        return str(self.under.precision)

    @property
    def name(self) -> str:
        """Of the file."""
        return onnx_name(self.holds)

    def write(self, deployed: Deployed, write: Callable[[Deployed, str], Exported]) -> None:
        """Write the file, where it is another one than ``model.onnx``, by a function of network and name."""
        if self.name != ONNX:
            write(copy.deepcopy(deployed).to(getattr(torch, self.holds)), self.name)

    def form(self, folder: Path, size_hw: tuple[int, int]) -> Form:
        """Return the form of the file that lies in ``folder``, ready to run. Raises as `FileBackend.open`."""
        runner = file_backend(self.under.backend)
        return Form(
            format="onnx",
            files=(File.of(folder / self.name),),
            runtime=f"{runner.name} {runner.version()}",
            masks=self._masks(folder / self.name, size_hw),
            precision=self.precision,
        )

    def _masks(self, path: Path, size_hw: tuple[int, int]) -> Masks:
        where, runner = find_device(self.under.device), file_backend(self.under.backend)
        example = torch.zeros(1, 3, *size_hw, dtype=torch.uint8, device=where)
        with working(where), torch_threads(self.under.threads):
            prepared = runner.open(path, example, precision=self.precision)

        def masks(image: Bytes) -> Bytes:
            planes = torch.from_numpy(image.transpose(2, 0, 1).copy())[None]
            with working(where):
                found: Any = prepared.mask(planes)[0].numpy()
            mask: Bytes = found
            return mask

        return masks


def shipped_form(config: StudyConfig, threads: int) -> ShippedForm | None:
    """Return the form that a study speaks of; None where it is the plain ONNX file, or the backend runs no files.

    Without a precision a study may be exported on any machine: where its backend is not there, only the plain forms
    are made, as ever. One that names its precision is exported where that can be computed.

    Raises: as `segsearch.measure.backends.table.ready_backend`.
    """
    shipped, precision = config.shipped, config.precision or "float32"
    device = config.device if shipped is None else shipped.device
    if config.backend not in FILE_BACKENDS or (config.backend, device, precision) == PLAIN:
        return None
    if config.remote is not None and shipped is None:
        return None
    try:
        ready_backend(config.backend, find_device(device), precision)
    except (DeviceError, MissingExtraError):
        if config.precision is None:
            return None
        raise
    return ShippedForm(
        under=Conditions(
            device=device, backend=config.backend, precision=precision, threads=threads, timer=config.timer
        ),
        timed=config.remote is None,
        holds=file_backend(config.backend).weights[precision],
    )
