"""onnxruntime, over the network exported at the very size of the example."""

import tempfile
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from segsearch.errors import MissingExtraError
from segsearch.export.graph import OPSET
from segsearch.measure.backends.base import Prepared
from segsearch.quiet import quiet


class OnnxRuntime:
    """onnxruntime on the CPU, over the network exported at this very size.

    Its threads spin while they wait for work, as by default. A session keeps a pool of threads for as long as the
    prepared call lives: let go of one before preparing the next.
    """

    name: ClassVar[str] = "onnxruntime"
    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    precisions: ClassVar[tuple[str, ...]] = ("float32",)

    def version(self) -> str:
        """Version of onnxruntime."""
        return str(_onnxruntime().__version__)

    def prepare(self, network: nn.Module, example: Tensor, *, precision: str | None = None) -> Prepared:
        """Export to a temporary file and load it; a call gives a list of arrays."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "network.onnx"
            _export(network, example, path)
            session = _session(path, threads=torch.get_num_threads())
        name = session.get_inputs()[0].name
        feed = {name: example.numpy()}
        return Prepared(
            run=lambda: session.run(None, feed),
            mask=lambda image: torch.from_numpy(session.run(None, {name: image.numpy()})[0]),
        )


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
