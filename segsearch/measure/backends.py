"""Software that runs a network on a device: one class and one row in `BACKENDS` each.

A backend turns a network and an example into a function without arguments that runs one inference. Whatever it loads,
it loads in `prepare`: a machine without onnxruntime measures with the others.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from segsearch.errors import MissingExtraError
from segsearch.export.graph import OPSET
from segsearch.quiet import quiet


class Backend(Protocol):
    """The contract of every backend.

    ``name`` is its row in `BACKENDS`; ``devices`` are the kinds of device it runs on.
    """

    name: ClassVar[str]
    devices: ClassVar[tuple[str, ...]]

    def version(self) -> str:
        """Version of the software that runs the network.

        Raises:
            MissingExtraError: it is not installed.
        """
        ...

    def prepare(self, network: nn.Module, example: Tensor) -> Callable[[], object]:
        """Make ready to run ``network``, in eval mode, on ``example`` where that lies, with torch's number of threads.

        The result holds all it needs; what a call returns is the backend's own kind of output. The network is not
        changed.

        Raises:
            MissingExtraError: the software is not installed.
        """
        ...


class Eager:
    """Plain torch, module by module, in inference mode; as trained code runs when nothing is exported."""

    name: ClassVar[str] = "eager"
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")

    def version(self) -> str:
        """Version of torch, with its build."""
        return str(torch.__version__)

    def prepare(self, network: nn.Module, example: Tensor) -> Callable[[], object]:
        """Return a call of the network itself."""

        def run() -> object:
            with torch.inference_mode():
                return network(example)

        return run


class OnnxRuntime:
    """onnxruntime on the CPU, over the network exported at this very size.

    Its threads spin while they wait for work, as by default. A session keeps a pool of threads for as long as the
    prepared call lives: let go of one before preparing the next.
    """

    name: ClassVar[str] = "onnxruntime"
    devices: ClassVar[tuple[str, ...]] = ("cpu",)

    def version(self) -> str:
        """Version of onnxruntime."""
        return str(_onnxruntime().__version__)

    def prepare(self, network: nn.Module, example: Tensor) -> Callable[[], object]:
        """Export to a temporary file, load it, and return a call of the session that gives a list of arrays."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "network.onnx"
            _export(network, example, path)
            session = _session(path, threads=torch.get_num_threads())
        feed = {session.get_inputs()[0].name: example.numpy()}

        def run() -> object:
            return session.run(None, feed)

        return run


BACKENDS: dict[str, Callable[[], Backend]] = {"eager": Eager, "onnxruntime": OnnxRuntime}


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "export") from error
    return onnxruntime


def _session(path: Path, threads: int) -> Any:
    runtime = _onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3  # errors only
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _export(network: nn.Module, example: Tensor, path: Path) -> None:
    """Write ``network`` at the fixed size of ``example``, by the exporter that also writes the artefact."""
    _onnxruntime()
    try:
        import onnxscript  # noqa: F401  torch's exporter needs it
    except ImportError as error:
        raise MissingExtraError("onnxscript", "export") from error
    with quiet():
        torch.onnx.export(
            network, (example,), path, dynamo=True, opset_version=OPSET, external_data=False, verbose=False
        )
