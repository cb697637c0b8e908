"""Static quantisation of an ONNX artefact to int8, by onnxruntime."""

import copy
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segsearch.deployment.lint import check_graph, tidy
from segsearch.deployment.lint_rules import INPUT
from segsearch.deployment.metadata import Metadata
from segsearch.deployment.onnx_walk import Constants
from segsearch.deployment.session import need
from segsearch.errors import InputError
from segsearch.files import write_atomic
from segsearch.progress import Report, silent
from segsearch.quiet import quiet


def quantise(
    onnx_file: Path, path: Path, images: Iterable[npt.NDArray[np.uint8]], *, exact: Collection[str] = ()
) -> int:
    """Write ``onnx_file`` with its convolutions in int8 to ``path``; return how many images were seen.

    QDQ form: activations uint8 with the range between their least and greatest value on ``images``, uint8 [H, W, 3];
    weights int8 and symmetric, with one scale per output channel. This is what onnxruntime runs fastest on x86; an
    engine that wants symmetric activations, such as TensorRT's, has to be calibrated by its own tools. The classifier
    in front of the argmax stays in float32: it is cheap, and its rounding would go straight into the mask. So do the
    convolutions named in ``exact``.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        InputError: no images, or the file cannot be written.
        ProofError: the quantised graph breaks a rule of the linter; nothing is written then.
    """
    need("onnxruntime")
    model, feed = need("onnx").load(onnx_file), _Feed(images)
    rounded = _rounded(model, feed, {node.name for node in convolutions(model)} - set(exact))
    tidy(rounded)
    del rounded.metadata_props[:]
    rounded.metadata_props.extend(model.metadata_props)
    notes = {entry.key: entry.value for entry in model.metadata_props}
    check_graph(rounded, Metadata.from_properties(notes, onnx_file).size_hw)
    write_atomic(path, rounded.SerializeToString(deterministic=True))
    return feed.seen


def by_sensitivity(onnx_file: Path, images: Sequence[npt.NDArray[np.uint8]], report: Report = silent) -> list[str]:
    """Order the convolutions that `quantise` rounds, those first that alone change most pixels of the mask.

    Args:
        onnx_file: the file in float32.
        images: uint8 [H, W, 3], to take ranges from and to compare masks on.
        report: told after every convolution.

    Returns:
        names of nodes.
    """
    model = need("onnx").load(onnx_file)
    expected = _masks(model, images)
    changed: dict[str, int] = {}
    layers = [node.name for node in convolutions(model)]
    for done, name in enumerate(layers, start=1):
        found = _masks(_rounded(model, _Feed(images), {name}), images)
        changed[name] = sum(int((a != b).sum()) for a, b in zip(expected, found, strict=True))
        report("round one layer", done, len(layers))
    return sorted(layers, key=lambda name: -changed[name])


def _rounded(model: Any, feed: "_Feed", layers: Collection[str]) -> Any:
    """Return a model with these convolutions in int8. Raises InputError where there are no images."""
    from onnxruntime import quantization

    if not layers:  # which onnxruntime takes for all of them
        return copy.deepcopy(model)
    with tempfile.TemporaryDirectory() as folder, quiet():
        written = Path(folder) / "int8.onnx"
        try:
            quantization.quantize_static(
                copy.deepcopy(model),
                written,
                feed,
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                nodes_to_quantize=sorted(layers),
            )
        except ValueError as error:
            if feed.seen:
                raise
            raise InputError("calibration", "no images to take ranges from") from error
        return need("onnx").load(written)


def _masks(model: Any, images: Sequence[npt.NDArray[np.uint8]]) -> list[npt.NDArray[np.uint8]]:
    runtime = need("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [session.run(None, given)[0] for given in _Feed(images)]


def convolutions(model: Any) -> list[Any]:
    """Nodes that are rounded: all convolutions but the `classifiers`."""
    left = set(classifiers(model))
    return [node for node in model.graph.node if node.op_type == "Conv" and node.name not in left]


def classifiers(model: Any) -> list[str]:
    """Names of the convolutions that the mask is made of with no other convolution between."""
    makers = {out: node for node in model.graph.node for out in node.output}
    known, ahead = Constants(model), [value.name for value in model.graph.output]
    found: dict[str, None] = {}
    while ahead:
        node = makers.get(ahead.pop())
        if node is None or node.name in found:
            continue
        if node.op_type == "Conv":
            found[node.name] = None
        else:
            ahead += [name for name in node.input if name and name not in known]
    return list(found)


class _Feed:
    """Images one by one, as onnxruntime's calibration asks for them; a reader by its methods, not by its class."""

    def __init__(self, images: Iterable[npt.NDArray[np.uint8]]) -> None:
        self._images: Iterator[npt.NDArray[np.uint8]] = iter(images)
        self.seen = 0

    def __iter__(self) -> Iterator[dict[str, npt.NDArray[np.uint8]]]:
        return iter(self.get_next, None)

    def get_next(self) -> dict[str, npt.NDArray[np.uint8]] | None:
        """Input of the graph for the next image, uint8 [1, 3, H, W]; None at the end."""
        image = next(self._images, None)
        if image is None:
            return None
        self.seen += 1
        return {INPUT: np.ascontiguousarray(image.transpose(2, 0, 1))[None]}
