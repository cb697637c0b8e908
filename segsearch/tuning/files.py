"""The files of one network that are tried, each built when it is first asked for."""

import hashlib
from itertools import islice
from pathlib import Path

from torch import nn

from segsearch.data.normalise import MEAN, STD
from segsearch.deployment.deploy import Deployed, deploy
from segsearch.deployment.onnx import to_onnx
from segsearch.deployment.plain import write_plain
from segsearch.deployment.quantise import by_sensitivity, quantise
from segsearch.deployment.steps import STEPS
from segsearch.errors import InputError
from segsearch.files import make_folder, write_atomic
from segsearch.measure.backends.onnx_file import written
from segsearch.measure.backends.table import file_backend
from segsearch.measure.latency import example_image
from segsearch.progress import Report, silent
from segsearch.tuning.fine_tune import fine_tuned
from segsearch.tuning.record import DEPLOYED, PLAIN, Candidate
from segsearch.tuning.subjects import Subject

FOLDER = "files"
SENSITIVE_IMAGES = 4
"""Of those that int8 is calibrated on: enough to order the layers by what rounding does to them."""


class Files:
    """Files in a folder; those of before are taken as they are. What has to be trained is trained on ``device``."""

    def __init__(self, subject: Subject, folder: Path, report: Report = silent, device: str = "cpu") -> None:
        self._subject, self.folder, self._report, self._device = subject, folder / FOLDER, report, device
        self._order: dict[str, list[str]] = {}
        make_folder(self.folder)

    def path(self, candidate: Candidate) -> Path:
        """Return a candidate's file.

        Raises:
            ProofError: the network cannot be exported so. InputError: no calibration images, or a full disk.
        """
        holds = file_backend(candidate.backend).weights[candidate.precision]
        exact = f"-{candidate.exact_layers}exact" if candidate.exact_layers else ""
        path = self.folder / f"{holds}-{candidate.graph.replace(' ', '-')}{_epochs(candidate)}{exact}.onnx"
        if not path.exists():
            self._build(candidate, holds, path)
        return path

    def graphs(self) -> tuple[str, ...]:
        """Return the graphs that differ: ``deployed``, then it without each step that makes a difference."""
        found: dict[bytes, str] = {}
        for graph in (DEPLOYED, *(f"no {step}" for step in STEPS)):
            found.setdefault(_digest(self._deployed(Candidate(backend="onnxruntime", graph=graph)).fused()), graph)
        return tuple(found.values())

    def layers(self, graph: str) -> list[str]:
        """Names of the convolutions of a graph that int8 rounds, those first that change most pixels of the mask."""
        if graph not in self._order:
            exact = self.path(Candidate(backend="onnxruntime", graph=graph))
            images = list(islice(self._subject.calibration(), SENSITIVE_IMAGES))
            self._order[graph] = by_sensitivity(exact, images, self._report)
        return self._order[graph]

    def _deployed(self, candidate: Candidate) -> Deployed:
        subject, epochs, graph = self._subject, candidate.fine_tuned_epochs, candidate.graph
        network = subject.network
        if epochs:
            weights = self.folder / f"weights{_epochs(candidate)}.safetensors"
            network = fine_tuned(subject, epochs, weights, self._report, self._device)
        without = () if graph == DEPLOYED else (graph.removeprefix("no "),)
        return deploy(network, subject.size_hw, MEAN, STD, without=without)

    def _build(self, candidate: Candidate, holds: str, path: Path) -> None:
        subject, label = self._subject, self._subject.label
        if candidate.graph == PLAIN:
            write_plain(subject.network, subject.size_hw, path)
        elif holds == "float32":
            deployed = self._deployed(candidate)
            to_onnx(deployed, path, classes=label.classes, colours=label.colours, metadata=label.notes)
        elif holds == "int8":
            exact = self.layers(candidate.graph)[: candidate.exact_layers] if candidate.exact_layers else ()
            quantise(
                self.path(candidate.model_copy(update={"precision": "float32", "exact_layers": 0})),
                path,
                subject.calibration(),
                exact=exact,
            )
        elif holds == "float16":
            with written(self._deployed(candidate), example_image(subject.size_hw), holds) as made:
                write_atomic(path, made.read_bytes())
        else:
            raise InputError("precision", f"no file is built with weights of {holds}")


def _epochs(candidate: Candidate) -> str:
    """Return what stands in the names of files of the network that was trained for int8."""
    return f"-{candidate.fine_tuned_epochs}epochs" if candidate.fine_tuned_epochs else ""


def _digest(network: nn.Module) -> bytes:
    """Tell apart modules that compute differently: by their parts, plain attributes, and numbers."""
    digest = hashlib.sha256(str(network).encode())
    for name, module in network.named_modules():
        plain = {
            key: value for key, value in vars(module).items() if isinstance(value, bool | int | float | str | tuple)
        }
        digest.update(f"{name}{sorted(plain.items())}".encode())
    for name, tensor in network.state_dict().items():
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return digest.digest()
