"""onnxruntime, over an ONNX file, or over the network exported at the very size of the example."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from segsearch.errors import DeviceError, MissingExtraError, UnfitError, one_line
from segsearch.measure.backends.base import Prepared
from segsearch.measure.backends.checks import check_ability, check_hardware
from segsearch.measure.backends.onnx_file import as_held, check_file, precision_of, written

WEIGHTS = {"float32": "float32", "tf32": "float32", "float16": "float16", "int8": "int8"}
"""By precision, what the file holds."""


class OnnxRuntime:
    """onnxruntime on the CPU, or on a GPU through its CUDAExecutionProvider, at one fixed size.

    Its threads spin while they wait for work, as by default. A session keeps a pool of threads for as long as the
    prepared call lives: let go of one before preparing the next. On a GPU a call has ended when it returns, and image
    and output lie there.
    """

    name: ClassVar[str] = "onnxruntime"
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")
    precisions: ClassVar[tuple[str, ...]] = tuple(WEIGHTS)
    cuda_precisions: ClassVar[tuple[str, ...]] = ("tf32", "float16")
    takes_file: ClassVar[bool] = True
    weights: ClassVar[Mapping[str, str]] = WEIGHTS

    def version(self) -> str:
        """Version of onnxruntime."""
        return str(_onnxruntime().__version__)

    def check(self, device: torch.device, precision: str | None) -> None:
        """See `Backend`."""
        check_ability(self, device.type, precision)
        provider(device)
        check_hardware(device, precision)

    def prepare(self, network: nn.Module, example: Tensor, *, precision: str | None = None) -> Prepared:
        """Export to a temporary file and load it; on a CPU a call gives a list of arrays."""
        precision = precision or precision_of(network)
        check_ability(self, example.device.type, precision)
        provider(example.device)
        with written(network, example, WEIGHTS[precision]) as path:
            return self.open(path, as_held(example, WEIGHTS[precision]), precision=precision)

    def open(self, path: Path, example: Tensor, *, precision: str | None = None) -> Prepared:
        """See `FileBackend`."""
        check_ability(self, example.device.type, precision)
        name = provider(example.device)
        precision = check_file(path, example, precision, WEIGHTS)
        check_ability(self, example.device.type, precision)
        check_hardware(example.device, precision)
        facts = {"precision": precision, "provider": name}

        face = _on_cpu if example.device.type == "cpu" else _on_gpu
        return face(_session(path, example.device, precision), example, facts)


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "export") from error
    return onnxruntime


def provider(device: torch.device) -> str:
    """Name the part of onnxruntime for this device. Raises DeviceError where the installed build lacks it."""
    name = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}[device.type]
    if name not in (here := _onnxruntime().get_available_providers()):
        raise DeviceError(
            f"backend: this build of onnxruntime has no {name}: install onnxruntime-gpu (available: {', '.join(here)})"
        )
    return name


def _session(path: Path, device: torch.device, precision: str) -> Any:
    runtime = _onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
    options.log_severity_level = 4  # fatal only: what goes wrong is raised
    providers: list[Any] = ["CPUExecutionProvider"]
    if device.type == "cuda":
        settings = {"device_id": str(device.index or 0), "use_tf32": str(int(precision == "tf32"))}
        providers.insert(0, ("CUDAExecutionProvider", settings))
    try:
        session = runtime.InferenceSession(str(path), options, providers=providers, enable_fallback=0)
    except Exception as error:  # onnxruntime's error classes have no base of their own
        raise UnfitError(path, f"cannot be loaded by onnxruntime: {one_line(error)}") from error
    if session.get_providers()[0] != provider(device):  # it falls back to the CPU without a word
        raise DeviceError(
            "backend: onnxruntime could not start its CUDAExecutionProvider; does its CUDA fit the driver?"
        )
    return session


def _on_cpu(session: Any, example: Tensor, facts: Mapping[str, str]) -> Prepared:
    name = session.get_inputs()[0].name
    feed = {name: example.numpy()}
    return Prepared(
        run=lambda: session.run(None, feed),
        mask=lambda image: torch.from_numpy(session.run(None, {name: image.to(example.dtype).numpy()})[0]),
        facts=facts,
    )


def _on_gpu(session: Any, example: Tensor, facts: Mapping[str, str]) -> Prepared:
    """Bind image and output to memory of the GPU once, so that no call copies."""
    given = example.contiguous().clone()
    output = torch.empty(session.get_outputs()[0].shape, dtype=_output_type(session), device=example.device)
    binding = session.io_binding()
    for bind, face, tensor in (
        (binding.bind_input, session.get_inputs()[0], given),
        (binding.bind_output, session.get_outputs()[0], output),
    ):
        kind = torch.empty(0, dtype=tensor.dtype).numpy().dtype.type
        bind(face.name, "cuda", example.device.index or 0, kind, tuple(tensor.shape), tensor.data_ptr())

    def run() -> Tensor:
        session.run_with_iobinding(binding)
        return output

    @torch.inference_mode()
    def mask(image: Tensor) -> Tensor:
        given.copy_(image)
        torch.cuda.synchronize(example.device)  # onnxruntime works on a stream of its own
        result = run().cpu()
        given.copy_(example)
        torch.cuda.synchronize(example.device)
        return result

    torch.cuda.synchronize(example.device)
    return Prepared(run=run, mask=mask, facts=facts)


def _output_type(session: Any) -> torch.dtype:
    word = session.get_outputs()[0].type.removeprefix("tensor(").removesuffix(")")
    kind: torch.dtype = getattr(torch, {"float": "float32", "double": "float64"}.get(word, word))
    return kind
