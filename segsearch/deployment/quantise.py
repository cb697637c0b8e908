"""Static quantisation of an ONNX artefact to int8, by onnxruntime."""

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
from segsearch.errors import InputError, MissingExtraError
from segsearch.files import write_atomic
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
    try:
        import onnx
        from onnxruntime import quantization
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "export") from error
    model, feed = onnx.load(onnx_file), _Feed(images)
    with tempfile.TemporaryDirectory() as folder, quiet():
        written = Path(folder) / "int8.onnx"
        try:
            quantization.quantize_static(
                model,
                written,
                feed,
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                nodes_to_exclude=[*classifiers(model), *exact],
            )
        except ValueError as error:
            if feed.seen:
                raise
            raise InputError("calibration", "no images to take ranges from") from error
        rounded = onnx.load(written)
    tidy(rounded)
    del rounded.metadata_props[:]
    rounded.metadata_props.extend(model.metadata_props)
    notes = {entry.key: entry.value for entry in model.metadata_props}
    check_graph(rounded, Metadata.from_properties(notes, onnx_file).size_hw)
    write_atomic(path, rounded.SerializeToString(deterministic=True))
    return feed.seen


def by_sensitivity(exact: Path, rounded: Path, images: Sequence[npt.NDArray[np.uint8]]) -> list[str]:
    """Order the convolutions that were rounded, those first whose maps rounding changes most.

    Args:
        exact: the file in float32.
        rounded: the same, as `quantise` wrote it.
        images: uint8 [H, W, 3], to compare maps on; all maps of all of them are held at once.

    Returns:
        names of nodes of ``exact``, by the signal-to-noise ratio of what they make, the lowest first.
    """
    import onnx
    from onnxruntime.quantization import qdq_loss_debug as debug

    with tempfile.TemporaryDirectory() as folder, quiet():
        maps = []
        for number, file in enumerate((exact, rounded)):
            path = Path(folder) / f"{number}.onnx"
            debug.modify_model_output_intermediate_tensors(str(file), str(path), op_types_for_saving=["Conv"])
            maps.append(debug.collect_activations(str(path), _Feed(images)))
        noise = debug.compute_activation_error(debug.create_activation_matching(maps[1], maps[0]))
    left = set(classifiers(onnx.load(exact)))
    convolutions = [n for n in onnx.load(exact).graph.node if n.op_type == "Conv" and n.name not in left]
    ratios = {node.name: noise.get(node.output[0], {}).get("xmodel_err", float("inf")) for node in convolutions}
    return sorted(ratios, key=lambda name: ratios[name])


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
