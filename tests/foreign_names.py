"""State dicts as torchvision and timm name and shape them, written from their layouts and not from our rules."""

from collections.abc import Iterator

import torch
from torch import Tensor

Shape = tuple[int, ...]
State = dict[str, Tensor]


def conv(name: str, out: int, into: int, kernel: int, bias: bool = False) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (out, into, kernel, kernel)
    if bias:
        yield f"{name}.bias", (out,)


def norm(name: str, channels: int) -> Iterator[tuple[str, Shape]]:
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{part}", (channels,)
    yield f"{name}.num_batches_tracked", ()


def resnet(blocks: tuple[int, ...], factor: int) -> Iterator[tuple[str, Shape]]:
    """Basic blocks (factor 1) or bottlenecks (factor 4); torchvision's and timm's are the same."""
    yield from (*conv("conv1", 64, 3, 7), *norm("bn1", 64))
    into = 64
    for i, count in enumerate(blocks):
        inner, out = 64 << i, (64 << i) * factor
        for b in range(count):
            name = f"layer{i + 1}.{b}"
            kernels = (
                [(inner, into, 3), (inner, inner, 3)]
                if factor == 1
                else [(inner, into, 1), (inner, inner, 3), (out, inner, 1)]
            )
            for k, (o, c, size) in enumerate(kernels, 1):
                yield from (*conv(f"{name}.conv{k}", o, c, size), *norm(f"{name}.bn{k}", o))
            if b == 0 and (i or factor > 1):
                yield from (*conv(f"{name}.downsample.0", out, into, 1), *norm(f"{name}.downsample.1", out))
            into = out
    yield from (("fc.weight", (1000, into)), ("fc.bias", (1000,)))


def shufflenetv2(widths: tuple[int, int, int], last: int) -> Iterator[tuple[str, Shape]]:
    yield from (*conv("conv1.0", 24, 3, 3), *norm("conv1.1", 24))
    into = 24
    for stage, (width, count) in enumerate(zip(widths, (4, 8, 4), strict=True), 2):
        half = width // 2
        for b in range(count):
            name = f"stage{stage}.{b}"
            if b == 0:
                yield from (*conv(f"{name}.branch1.0", into, 1, 3), *norm(f"{name}.branch1.1", into))
                yield from (*conv(f"{name}.branch1.2", half, into, 1), *norm(f"{name}.branch1.3", half))
            yield from (*conv(f"{name}.branch2.0", half, half if b else into, 1), *norm(f"{name}.branch2.1", half))
            yield from (*conv(f"{name}.branch2.3", half, 1, 3), *norm(f"{name}.branch2.4", half))
            yield from (*conv(f"{name}.branch2.5", half, half, 1), *norm(f"{name}.branch2.6", half))
        into = width
    yield from (
        *conv("conv5.0", last, into, 1),
        *norm("conv5.1", last),
        ("fc.weight", (1000, last)),
        ("fc.bias", (1000,)),
    )


B0 = ((1, 3, 1, 16), (2, 3, 6, 24), (2, 5, 6, 40), (3, 3, 6, 80), (3, 5, 6, 112), (4, 5, 6, 192), (1, 3, 6, 320))
"""Blocks, kernel, expansion and width of EfficientNet-B0's stages."""


def efficientnet_b0(timm: bool) -> Iterator[tuple[str, Shape]]:
    stem = ("conv_stem", "bn1") if timm else ("features.0.0", "features.0.1")
    yield from (*conv(stem[0], 32, 3, 3), *norm(stem[1], 32))
    into = 32
    for i, (count, kernel, expansion, width) in enumerate(B0):
        for b in range(count):
            inner, reduced = into * expansion, into // 4
            name = f"blocks.{i}.{b}" if timm else f"features.{i + 1}.{b}.block"
            yield from _inverted(name, timm, into, inner, width, kernel, reduced, expansion > 1)
            into = width
    head = ("conv_head", "bn2", "classifier") if timm else ("features.8.0", "features.8.1", "classifier.1")
    yield from (
        *conv(head[0], 1280, into, 1),
        *norm(head[1], 1280),
        (f"{head[2]}.weight", (1000, 1280)),
        (f"{head[2]}.bias", (1000,)),
    )


SMALL = (
    (3, 16, 16, 8), (3, 72, 24, 0), (3, 88, 24, 0), (5, 96, 40, 24), (5, 240, 40, 64), (5, 240, 40, 64), (5, 120, 48, 32),
    (5, 144, 48, 40), (5, 288, 96, 72), (5, 576, 96, 144), (5, 576, 96, 144),
)  # fmt: skip
"""Kernel, inner width, width and squeeze-excite's width of MobileNetV3-Small's blocks."""
TIMM_SMALL = ("0.0", "1.0", "1.1", "2.0", "2.1", "2.2", "3.0", "3.1", "4.0", "4.1", "4.2")


def mobilenetv3_small(timm: bool) -> Iterator[tuple[str, Shape]]:
    stem = ("conv_stem", "bn1") if timm else ("features.0.0", "features.0.1")
    yield from (*conv(stem[0], 16, 3, 3), *norm(stem[1], 16))
    into = 16
    for i, (kernel, inner, width, reduced) in enumerate(SMALL):
        name = f"blocks.{TIMM_SMALL[i]}" if timm else f"features.{i + 1}.block"
        yield from _inverted(name, timm, into, inner, width, kernel, reduced, i > 0)
        into = width


def _inverted(
    name: str, timm: bool, into: int, inner: int, width: int, kernel: int, reduced: int, expands: bool
) -> Iterator[tuple[str, Shape]]:
    """expand, depthwise, squeeze-excite, project; torchvision numbers those that are there."""
    steps = [("expand", inner, into, 1)] * expands + [("depthwise", inner, 1, kernel), ("se", inner, reduced, 1)]
    steps = [step for step in steps if step[0] != "se" or reduced] + [("project", width, inner, 1)]
    wide = {"expand": ("conv_pw", "bn1"), "depthwise": ("conv_dw", "bn2"), "project": ("conv_pwl", "bn3")}
    narrow = {"depthwise": ("conv_dw", "bn1"), "project": ("conv_pw", "bn2")}
    for k, (step, out, channels, size) in enumerate(steps):
        if step == "se":
            ends = ("se.conv_reduce", "se.conv_expand") if timm else (f"{k}.fc1", f"{k}.fc2")
            yield from conv(f"{name}.{ends[0]}", channels, out, 1, bias=True)
            yield from conv(f"{name}.{ends[1]}", out, channels, 1, bias=True)
            continue
        conv_name, norm_name = (wide if expands else narrow)[step] if timm else (f"{k}.0", f"{k}.1")
        yield from (*conv(f"{name}.{conv_name}", out, channels, size), *norm(f"{name}.{norm_name}", out))


def filled(shapes: Iterator[tuple[str, Shape]]) -> State:
    """Tensors that differ from each other."""
    generator = torch.Generator().manual_seed(0)
    return {n: torch.rand(shape, generator=generator) if shape else torch.tensor(7) for n, shape in shapes}
