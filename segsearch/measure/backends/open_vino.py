"""OpenVINO on the CPU, over an ONNX file, or over the network exported at the very size of the example."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from segsearch.deployment.openvino import core, openvino, read_model
from segsearch.errors import DeviceError, UnfitError, one_line
from segsearch.measure.backends.base import Prepared
from segsearch.measure.backends.checks import check_ability
from segsearch.measure.backends.onnx_file import as_held, check_file, precision_of, written

WEIGHTS = {"float32": "float32", "bfloat16": "float32", "int8": "int8"}
"""By precision, what the file holds."""

_HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}
"""Left alone, OpenVINO takes bfloat16 wherever the processor has it; beside int8 layers the rest stays exact."""


class OpenVino:
    """OpenVINO on the CPU, set for the latency of one image: one stream, torch's number of threads.

    ``bfloat16`` is what OpenVINO itself picks where the processor can; it takes the float32 file and rounds inside.
    """

    name: ClassVar[str] = "openvino"
    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    precisions: ClassVar[tuple[str, ...]] = tuple(WEIGHTS)
    cuda_precisions: ClassVar[tuple[str, ...]] = ()
    takes_file: ClassVar[bool] = True
    weights: ClassVar[Mapping[str, str]] = WEIGHTS

    def version(self) -> str:
        """Version of OpenVINO, with its build."""
        return str(openvino().get_version())

    def check(self, device: torch.device, precision: str | None) -> None:
        """See `Backend`: the smallest of models is compiled, as OpenVINO takes float32 without a word."""
        check_ability(self, device.type, precision)
        runtime = openvino()
        if precision is not None:
            image = runtime.opset11.parameter([1], runtime.Type.f32)
            _facts(_compile(Path("model"), runtime.Model([runtime.opset11.relu(image)], [image]), precision), precision)

    def prepare(self, network: nn.Module, example: Tensor, *, precision: str | None = None) -> Prepared:
        """Export to a temporary file and load it; a call gives the array that the next one overwrites."""
        precision = precision or precision_of(network)
        check_ability(self, example.device.type, precision)
        openvino()
        with written(network, example, WEIGHTS[precision]) as path:
            return self.open(path, as_held(example, WEIGHTS[precision]), precision=precision)

    def open(self, path: Path, example: Tensor, *, precision: str | None = None) -> Prepared:
        """See `FileBackend`.

        Raises:
            DeviceError: this processor has no bfloat16.
        """
        check_ability(self, example.device.type, precision)
        runtime = openvino()
        precision = check_file(path, example, precision, WEIGHTS)
        model = _read(path)
        compiled = _compile(path, model, precision)
        return _prepared(runtime, compiled.create_infer_request(), example, _facts(compiled, precision))


def _read(path: Path) -> Any:
    try:
        return read_model(path)
    except RuntimeError as error:
        raise _unloadable(path, error) from error


def _compile(path: Path, model: Any, precision: str) -> Any:
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
    }
    try:
        return core().compile_model(model, "CPU", settings)
    except RuntimeError as error:
        raise _unloadable(path, error) from error


def _unloadable(path: Path, error: RuntimeError) -> UnfitError:
    return UnfitError(path, f"cannot be loaded by OpenVINO: {one_line(error)}")


def _facts(compiled: Any, precision: str) -> dict[str, str]:
    """Tell what OpenVINO made of the settings. Raises DeviceError where that is not the precision asked for."""
    facts = {
        "precision": precision,
        "inference_precision": compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name(),
        "streams": str(compiled.get_property("NUM_STREAMS")),
        "threads": str(compiled.get_property("INFERENCE_NUM_THREADS")),
    }
    if facts["inference_precision"] != _HINTS[precision]:
        raise DeviceError(f"precision: OpenVINO does not run {precision} on this processor (available: float32, int8)")
    return facts


def _prepared(runtime: Any, request: Any, example: Tensor, facts: dict[str, str]) -> Prepared:
    """Give the request its image and output once, so that no call copies."""
    pixels = example.contiguous().numpy()  # OpenVINO only borrows memory
    image = runtime.Tensor(pixels, shared_memory=True)
    request.set_input_tensor(image)
    output = request.get_output_tensor().data

    def run() -> object:
        assert pixels is not None
        request.start_async()
        request.wait()
        return output

    def mask(given: Tensor) -> Tensor:
        others = given.to(example.dtype).contiguous().numpy()
        request.set_input_tensor(runtime.Tensor(others, shared_memory=True))
        run()
        request.set_input_tensor(image)
        return torch.from_numpy(output.copy())

    return Prepared(run=run, mask=mask, facts=facts)
