"""The linter's rules: each looks at an ``onnx.ModelProto`` and yields where and what; its docstring says why."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from segsearch.export.lint_face import dimensions

Found = Iterator[tuple[str, str]]

RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
SIZES = {"Shape", "Size", "NonZero", "If", "Loop", "Scan"}
SIZED_BY = {"Resize": (2, 3), "Reshape": (1,), "Expand": (1,), "Tile": (1,), "Pad": (1,), "Slice": (1, 2, 3, 4)}
"""Operators whose result has a size that these inputs give."""
PICKS = {"Gather", "GatherElements", "Slice"}
MOST_PICKS = 4
"""Sums of single pixels of one map; five columns of a pooling bin already unroll into more."""


def linear_warp(model: Any) -> Found:
    """Warps must say `bilinear`: TensorRT's importer takes the `linear` of opset 20 for nearest, without a word.

    onnx-tensorrt compares with nearest, bilinear and bicubic and starts from nearest (NVIDIA/TensorRT#4646).
    """
    for node in model.graph.node:
        if node.op_type == "GridSample" and attribute(node, "mode") == b"linear":
            yield place(node), "is GridSample with mode linear, which TensorRT reads as nearest"


def training_mode(model: Any) -> Found:
    """Nothing may depend on the batch or on chance: a network exported in train mode runs, and gives other masks."""
    for node in model.graph.node:
        if node.op_type == "BatchNormalization" and (attribute(node, "training_mode") or len(node.output) > 1):
            yield place(node), "is BatchNormalization in training mode"
        elif node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]:
            yield place(node), "is Dropout that may be in training mode"
        elif node.op_type in RANDOM:
            yield place(node), f"is {node.op_type}: the mask would change from run to run"


def unrolled_pool(model: Any) -> Found:
    """Pooling must stay pooling: torch unrolls an adaptive pool whose bins do not divide the map, pixel by pixel.

    The pyramid 1, 2, 3, 6 on 23 x 30 becomes over 250 nodes, Gathers of one map summed by Adds (pytorch#42653), which
    no runtime joins again; a pool into 2 bins becomes a GatherND by a table. Both are right and slow.
    """
    sums = _summed_picks(model)
    if sums:
        yield sums[0], f"is summed pixel by pixel, as {len(sums)} maps are: an adaptive pool was unrolled"
    known = constants(model)
    for node in model.graph.node:
        if node.op_type == "GatherND" and node.input[0] not in known:
            yield place(node), "picks pixels by a table, as an adaptive pool does that was unrolled"


def _summed_picks(model: Any) -> list[str]:
    """Names of the maps of which more than a few single picks are added up."""
    picked = {out: node.input[0] for node in model.graph.node if node.op_type in PICKS for out in node.output}
    added = (name for node in model.graph.node if node.op_type == "Add" for name in node.input)
    sums = Counter(picked[name] for name in added if name in picked)
    return [source for source, count in sums.items() if count > MOST_PICKS]


def mixed_corners(model: Any) -> Found:
    """One convention for bilinear resizing: where some ends of maps are aligned and others not, features shift.

    A network has one ``align_corners``. Nearest resizing has none, and warps count their grid by themselves.
    """
    aligned: dict[bool, list[str]] = {True: [], False: []}
    for node in model.graph.node:
        if node.op_type == "Resize" and attribute(node, "mode", b"nearest") != b"nearest":
            mode = attribute(node, "coordinate_transformation_mode", b"half_pixel")
            aligned[mode == b"align_corners"].append(place(node))
    if aligned[True] and aligned[False]:
        fewer = min(aligned.values(), key=len)
        how = "with" if fewer is aligned[True] else "without"
        others = len(aligned[fewer is not aligned[True]])
        yield fewer[0], f"resizes {how} align_corners, {others} others do not agree"


def open_size(model: Any) -> Found:
    """Every side of input and output is a number: masks are proven at one size, and engines are built for one."""
    for value in (*model.graph.input, *model.graph.output):
        shape = dimensions(value)
        if not value.type.tensor_type.HasField("shape") or not all(
            isinstance(side, int) and side > 0 for side in shape
        ):
            yield value.name, f"has open sides {shape}"


def frozen_size(model: Any) -> Found:
    """No open input may meet the sizes of the example image: at any other size the mask would be wrong.

    Tracing turns ``x.shape`` into numbers; the file still says that it takes any size, as its author asked.
    """
    if not any(True for _ in open_size(model)):
        return
    known = constants(model)
    for node in model.graph.node:
        target = {"Resize": 3, "Reshape": 1, "Expand": 1}.get(node.op_type)
        if target is not None and len(node.input) > target and node.input[target] in known:
            yield place(node), f"is {node.op_type} to the size of the example image, though the input's sides are open"


def computed_size(model: Any) -> Found:
    """No sizes worked out while running: with one image size all are known, and GPUs wait for the processor instead."""
    known = constants(model)
    for node in model.graph.node:
        if node.op_type in SIZES:
            yield place(node), f"is {node.op_type}: a size is worked out at every run"
        for index in SIZED_BY.get(node.op_type, ()):
            if index < len(node.input) and node.input[index] and node.input[index] not in known:
                yield place(node), f"is {node.op_type} by a size that is worked out at every run ({node.input[index]})"


def double(model: Any) -> Found:
    """No float64: TensorRT's importer rounds it to float32 and clamps it without a word, other GPUs crawl."""
    import onnx

    wide = onnx.TensorProto.DOUBLE
    for weight in model.graph.initializer:
        if weight.data_type == wide:
            yield weight.name, "is float64, which TensorRT silently reads as float32"
    for node in model.graph.node:
        if node.op_type == "Cast" and attribute(node, "to") == wide:
            yield place(node), "casts to float64, which TensorRT silently reads as float32"


def smooth_resize(model: Any) -> Found:
    """Resizing is nearest or linear, without antialias: the rest is not in the table of TensorRT's importer."""
    for node in model.graph.node:
        if node.op_type != "Resize":
            continue
        mode = attribute(node, "mode", b"nearest")
        if mode not in (b"nearest", b"linear") or attribute(node, "antialias"):
            smooth = " with antialias" if attribute(node, "antialias") else ""
            yield place(node), f"resizes by {mode.decode()}{smooth}, which TensorRT does not read"


def outside(model: Any) -> Found:
    """All weights are inside: a file that is moved without its second half cannot be loaded, or loads another's."""
    import onnx

    away = [w.name for w in model.graph.initializer if w.data_location == onnx.TensorProto.EXTERNAL]
    if away:
        yield away[0], f"lies outside the file, as {len(away)} weights do"


def attribute(node: Any, name: str, default: Any = None) -> Any:
    """Value of a node's attribute, or ``default``."""
    import onnx

    return next((onnx.helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def place(node: Any) -> str:
    """Name of a node, or of what it makes."""
    return str(node.name or (node.output[0] if node.output else node.op_type))


def constants(model: Any) -> set[str]:
    """Names of all values that are written in the file."""
    made = {out for node in model.graph.node if node.op_type == "Constant" for out in node.output}
    return made | {weight.name for weight in model.graph.initializer}
