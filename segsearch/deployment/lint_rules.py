"""The linter's rules: each looks at an ``onnx.ModelProto`` and yields where and what; its docstring says why."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from segsearch.deployment.onnx_walk import Constants, attribute, initializers, is_outside, nodes, place, tensors

OPSET = 18
"""From 20 on, GridSample says `linear` in place of `bilinear`, which TensorRT's importer silently takes for nearest."""

INPUT, OUTPUT = "image", "mask"


def check_opset(model: Any) -> Iterator[tuple[str, str]]:
    """Opset 18 and no other operators: everything else needs a runtime that knows them."""
    opsets = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    if opsets != {"ai.onnx": OPSET}:
        yield "graph", f"must use ONNX opset {OPSET} and nothing else, got {opsets}"
    if model.functions:
        yield "graph", f"has {len(model.functions)} local functions that were not inlined"


def check_face(model: Any, size_hw: tuple[int, int]) -> Iterator[tuple[str, str]]:
    """One uint8 image in and one uint8 mask out, at exactly the declared size: anything else was frozen otherwise."""
    sides = (
        (model.graph.input, INPUT, (1, 3, *size_hw)),
        (model.graph.output, OUTPUT, (1, *size_hw)),
    )
    for values, name, shape in sides:
        found = [(v.name, dimensions(v), v.type.tensor_type.elem_type) for v in values]
        if found != [(name, shape, _uint8())]:
            yield "graph", f"must have exactly '{name}', uint8 {shape}, got {[f[:2] for f in found]}"


def dimensions(value: Any) -> tuple[int | str, ...]:
    """Shape of a graph's value: a number per fixed side, the name or ``?`` per open one."""
    dims = value.type.tensor_type.shape.dim
    return tuple(d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in dims)


def _uint8() -> int:
    import onnx

    return int(onnx.TensorProto.UINT8)


Found = Iterator[tuple[str, str]]

RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
SIZES = {"Shape", "Size", "NonZero", "If", "Loop", "Scan"}
SIZED_BY = {"Resize": (2, 3), "Reshape": (1,), "Expand": (1,), "Tile": (1,), "Pad": (1,), "Slice": (1, 2, 3, 4)}
"""Operators whose result has a size that these inputs give."""
PICKS = {"Gather", "GatherElements", "Slice"}
SUMS = {"Add", "Sum", "Mean"}
REDUCES = {"ReduceMean", "ReduceSum", "ReduceMax", "GlobalAveragePool", "GlobalMaxPool"}
SIDES = {2, 3, -1, -2}
"""Axes of a map (B, C, H, W) along which pixels lie."""
MOST_PICKS = 4
"""Sums of single pixels of one map; five columns of a pooling bin already unroll into more."""
WARPS = {b"nearest", b"bilinear", b"bicubic"}
"""Modes of GridSample before opset 20."""
GRIDS = {b"pytorch_half_pixel": b"half_pixel"}
"""Conventions that are another one by name only, but for maps of one pixel."""


def linear_warp(model: Any) -> Found:
    """Warps must say `bilinear`: TensorRT's importer takes the words of opset 20 for nearest, without a word.

    onnx-tensorrt compares with nearest, bilinear and bicubic and starts from nearest (NVIDIA/TensorRT#4646).
    """
    for node in nodes(model):
        if node.op_type == "GridSample" and (mode := attribute(node, "mode", b"bilinear")) not in WARPS:
            yield place(node), f"is GridSample with mode {_word(mode)}, which TensorRT reads as nearest"


def training_mode(model: Any) -> Found:
    """Nothing may depend on the batch or on chance: a network exported in train mode runs, and gives other masks."""
    known = Constants(model)
    for node in nodes(model):
        if node.op_type == "BatchNormalization" and (attribute(node, "training_mode") or len(node.output) > 1):
            yield place(node), "is BatchNormalization in training mode"
        elif node.op_type == "Dropout" and len(node.input) > 2 and node.input[2] and known.get(node.input[2], True):
            yield place(node), "is Dropout that may be in training mode"
        elif node.op_type in RANDOM:
            yield place(node), f"is {node.op_type}: the mask would change from run to run"


def _word(written: bytes) -> str:
    return written.decode(errors="replace")


def unrolled_pool(model: Any) -> Found:
    """Pooling must stay pooling: torch unrolls an adaptive pool whose bins do not divide the map, pixel by pixel.

    The pyramid 1, 2, 3, 6 on 23 x 30 becomes over 250 nodes, Gathers of one map summed by Adds (pytorch#42653), which
    no runtime joins again; a pool into 2 bins becomes a GatherND by a table. Both are right and slow.
    """
    known = Constants(model)
    sums = _summed_picks(model, known)
    if sums:
        yield sums[0], f"is summed pixel by pixel, as {len(sums)} maps are: an adaptive pool was unrolled"
    for node in nodes(model):
        if node.op_type == "GatherND" and node.input[0] not in known:
            yield place(node), "picks pixels by a table, as an adaptive pool does that was unrolled"


def _summed_picks(model: Any, known: Constants) -> list[str]:
    """Names of the maps of which more than a few single picks are added up, or more than a few windows averaged."""
    picked = {node.output[0]: node for node in nodes(model) if node.op_type in PICKS}
    counts: Counter[str] = Counter()
    for node in nodes(model):
        for name in node.input if node.op_type in SUMS else ():
            if name in picked:
                counts[_source(name, picked)] += 1
        if node.op_type in REDUCES and node.input[0] in picked and _along_sides(picked[node.input[0]], known):
            counts[_source(node.input[0], picked)] += 1
    return [source for source, count in counts.items() if count > MOST_PICKS]


def _source(name: str, picked: dict[str, Any]) -> str:
    """Find the map behind a chain of picks: rows of it, then columns of these."""
    passed: set[str] = set()
    while name in picked and name not in passed:
        passed.add(name)
        name = picked[name].input[0]
    return name


def _along_sides(pick: Any, known: Constants) -> bool:
    """Whether it takes pixels, and not channels as a split does."""
    if pick.op_type != "Slice":
        return attribute(pick, "axis", 0) in SIDES
    axes = known.get(pick.input[3]) if len(pick.input) > 3 else None
    return axes is not None and set(axes.ravel().tolist()) <= SIDES


def mixed_corners(model: Any) -> Found:
    """One convention for bilinear resizing: where maps lie half a pixel apart, or their ends elsewhere, features shift.

    A network has one ``align_corners``. Nearest resizing has none, and warps count their grid by themselves.
    """
    grids: dict[bytes, list[str]] = {}
    for node in nodes(model):
        if node.op_type in ("Resize", "Upsample") and attribute(node, "mode", b"nearest") != b"nearest":
            grids.setdefault(_grid(node, model), []).append(place(node))
    if len(grids) > 1:
        fewest = min(grids, key=lambda grid: len(grids[grid]))
        others = sum(map(len, grids.values())) - len(grids[fewest])
        yield grids[fewest][0], f"resizes by {_word(fewest)}, {others} others do not agree"


def _grid(node: Any, model: Any) -> bytes:
    """How a resize counts its pixels; before opset 11 there was one way and no attribute."""
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    only = b"asymmetric" if opset < 11 else b"half_pixel"
    mode: bytes = attribute(node, "coordinate_transformation_mode", only)
    return GRIDS.get(mode, mode)


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
    sides = [dimensions(value) for value in model.graph.input if any(isinstance(d, str) for d in dimensions(value))]
    if not sides:
        return
    high_or_wide = any(isinstance(side, str) for shape in sides for side in shape[2:])
    known = Constants(model)
    for node in nodes(model):
        target = {"Resize": 3, "Reshape": 1, "Expand": 1}.get(node.op_type)
        size = known.get(node.input[target]) if target is not None and len(node.input) > target else None
        if size is not None and _is_frozen(node.op_type, size.ravel().tolist(), high_or_wide):
            yield place(node), f"is {node.op_type} to the size of the example image, though the input's sides are open"


def _is_frozen(kind: str, target: list[int], high_or_wide: bool) -> bool:
    """Whether a written size is right for the example alone: -1 and 0 follow the input, and so does 1 in Expand."""
    follows = {1} if kind == "Expand" else {-1, 0}
    sides = target[-2:] if high_or_wide and len(target) > 3 else []
    return any(sizes and follows.isdisjoint(sizes) for sizes in (target, sides))


def computed_size(model: Any) -> Found:
    """No sizes worked out while running: with one image size all are known, and GPUs wait for the processor instead."""
    known = Constants(model)
    for node in nodes(model):
        if node.op_type in SIZES:
            yield place(node), f"is {node.op_type}: a size is worked out at every run"
        for index in SIZED_BY.get(node.op_type, ()):
            if index < len(node.input) and node.input[index] and node.input[index] not in known:
                yield place(node), f"is {node.op_type} by a size that is worked out at every run ({node.input[index]})"


def double(model: Any) -> Found:
    """No float64: TensorRT's importer rounds it to float32 and clamps it without a word, other GPUs crawl."""
    import onnx

    wide = onnx.TensorProto.DOUBLE
    for weight in initializers(model):
        if weight.data_type == wide:
            yield weight.name, "is float64, which TensorRT silently reads as float32"
    for node in nodes(model):
        if node.op_type == "Cast" and attribute(node, "to") == wide:
            yield place(node), "casts to float64, which TensorRT silently reads as float32"


def smooth_resize(model: Any) -> Found:
    """Resizing is nearest or linear, without antialias: the rest is not in the table of TensorRT's importer."""
    for node in nodes(model):
        if node.op_type != "Resize":
            continue
        mode = attribute(node, "mode", b"nearest")
        if mode not in (b"nearest", b"linear") or attribute(node, "antialias"):
            smooth = " with antialias" if attribute(node, "antialias") else ""
            yield place(node), f"resizes by {_word(mode)}{smooth}, which TensorRT does not read"


def outside(model: Any) -> Found:
    """All weights are inside: a file that is moved without its second half cannot be loaded, or loads another's."""
    away = [tensor.name or "a constant" for tensor in tensors(model) if is_outside(tensor)]
    if away:
        yield away[0], f"lies outside the file: {len(away)} of its arrays do"
