"""ONNX files as file backends take them: one way to write a network into one, and one check of what is given."""

import copy
import importlib
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from segsearch.deployment.deploy import Deployed
from segsearch.deployment.onnx import trace, trace_module
from segsearch.errors import InputError, MissingExtraError, one_line
from segsearch.files import no_file

_QUANTISING = {"QuantizeLinear", "DequantizeLinear", "QLinearConv", "ConvInteger", "DynamicQuantizeLinear"}
_TYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def precision_of(network: nn.Module) -> str:
    """Word for the type of the network's weights, the first one where they differ; float32 where there are none."""
    types = (weight.dtype for weight in network.parameters() if weight.is_floating_point())
    return str(next(types, torch.float32)).removeprefix("torch.")


@contextmanager
def written(network: nn.Module, example: Tensor, holds: str) -> Iterator[Path]:
    """Export a copy of ``network`` at the very size of ``example`` to a file that lives as long as the block.

    Args:
        network: in eval mode, on any device; not changed.
        example: image (B, C, H, W).
        holds: number format of the weights in the file.

    Raises:
        MissingExtraError: onnx or onnxscript is not installed.
        InputError: ``int8``, which only files hold. ProofError: torch cannot export it.
    """
    if holds == "int8":
        raise InputError("precision", "int8 comes from a quantised ONNX file, not from a network")
    for library in ("onnx", "onnxscript"):
        _need(library)
    copied = copy.deepcopy(network).to("cpu", _TYPES[holds])
    example = as_held(example, holds).cpu()
    model = trace(copied) if isinstance(copied, Deployed) else trace_module(copied, example)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        path.write_bytes(model.SerializeToString(deterministic=True))
        yield path


def as_held(example: Tensor, holds: str) -> Tensor:
    """Cast an example of floating-point numbers to the weights' format; bytes stay bytes."""
    return example.to(_TYPES[holds]) if example.is_floating_point() else example


def check_file(path: Path, example: Tensor, asked: str | None, weights: Mapping[str, str]) -> str:
    """Check that ``path`` is an ONNX model for images like ``example``; return the precision to run it in.

    Args:
        path: the file.
        example: image (B, C, H, W); where it is bytes, the output must be a mask, uint8 (B, H, W).
        asked: the precision a person asked for; None takes the first that suits the file.
        weights: by precision of the backend, the number format that the file's weights must have.

    Raises:
        MissingExtraError: onnx is not installed.
        InputError: no such file, no ONNX, of another model, or of another precision.
    """
    graph = _load(path).graph
    inside = {weight.name for weight in graph.initializer}
    _check_faces(
        path, [_face(v) for v in graph.input if v.name not in inside], [_face(v) for v in graph.output], example
    )
    held = _held(graph)
    suiting = [precision for precision, needs in weights.items() if needs == held]
    if (asked or next(iter(suiting), None)) not in suiting:
        problem = f"its weights are {held}" + (f", which does not run as {asked}" if asked else "")
        raise InputError(path, problem, suiting or weights.values())
    return asked or suiting[0]


def face_of(path: Path) -> tuple[tuple[int, int], torch.dtype]:
    """Height and width of the one image (1, 3, H, W) that an ONNX file takes, and the type of its pixels.

    Raises:
        MissingExtraError: onnx is not installed. InputError: no such file, no ONNX, or one for other images.
    """
    graph = _load(path).graph
    inside = {weight.name for weight in graph.initializer}
    shapes = [[d.dim_value for d in v.type.tensor_type.shape.dim] for v in graph.input if v.name not in inside]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][:2] != [1, 3] or 0 in shapes[0]:
        raise InputError(path, f"takes images of shape {shapes}", "one image of a fixed size, (1, 3, H, W)")
    kind = next(_type_name(v.type.tensor_type.elem_type) for v in graph.input if v.name not in inside)
    if kind != "uint8" and kind not in _TYPES:
        raise InputError(path, f"takes images of {kind}", ("uint8", *_TYPES))
    return (shapes[0][2], shapes[0][3]), torch.uint8 if kind == "uint8" else _TYPES[kind]


def _load(path: Path) -> Any:
    onnx = _need("onnx")
    if not path.is_file():
        raise InputError(path, no_file(path, "there is no such file"))
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's error class differs between its implementations
        raise InputError(path, f"is not an ONNX model: {one_line(error)}") from error
    if not model.graph.node or not model.graph.output:
        raise InputError(path, "is not an ONNX model: it has no graph, or one without output")
    return model


def _check_faces(path: Path, inputs: list[str], outputs: list[str], example: Tensor) -> None:
    image = _words(example.dtype, tuple(example.shape))
    if inputs != [image]:
        raise InputError(path, f"takes {' and '.join(inputs) or 'nothing'}", f"one image, {image}")
    mask = _words(torch.uint8, (example.shape[0], *example.shape[2:]))
    if len(outputs) != 1 or (example.dtype == torch.uint8 and outputs != [mask]):
        wanted = f"one mask, {mask}" if example.dtype == torch.uint8 else "one output"
        raise InputError(path, f"gives {' and '.join(outputs)}", wanted)


def _words(kind: torch.dtype, shape: tuple[int, ...]) -> str:
    return f"{str(kind).removeprefix('torch.')} {shape}"


def _face(value: Any) -> str:
    """Type and shape of a graph's input or output, as `_words` writes them."""
    dims = value.type.tensor_type.shape.dim
    shape = tuple(d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in dims)
    return f"{_type_name(value.type.tensor_type.elem_type)} {shape}"


def _type_name(code: int) -> str:
    name: str = _need("onnx").TensorProto.DataType.Name(code).lower()
    return {"float": "float32", "double": "float64"}.get(name, name)


def _held(graph: Any) -> str:
    """Tell the number format of the weights: int8 where the graph quantises, else that of most numbers."""
    if any(node.op_type in _QUANTISING for node in graph.node):
        return "int8"
    constants = [a.t for node in graph.node if node.op_type == "Constant" for a in node.attribute if a.name == "value"]
    counts: Counter[str] = Counter()
    for weight in (*graph.initializer, *constants):
        counts[_type_name(weight.data_type)] += prod(weight.dims)
    floats = [name for name, _ in counts.most_common() if "float" in name]
    return floats[0] if floats else "float32"


def _need(library: str) -> Any:
    try:
        return importlib.import_module(library)
    except ImportError as error:
        raise MissingExtraError(library, "export") from error
