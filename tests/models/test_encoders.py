"""Encoders of the five papers, to the last parameter, and any mixture of width and depth."""

import random

import pytest
import torch
from torch import Tensor, nn

from segsearch.models.encoder import Encoder
from segsearch.space.families.table import FAMILIES
from segsearch.space.load import load_space
from segsearch.space.nodes import Group, OneOf, Point, Scalar
from segsearch.spec.channels import encoder_levels, stage_strides, stages_at, stages_out
from segsearch.spec.encoder import EncoderSpec, StageSpec, StemSpec

UNIFIED = load_space("unified")
ARMS: dict[str, Group] = dict(UNIFIED.axes["encoder"].arms)
RESNET: Point = {"dilations": "1,1,1,1", "stem": "deep", "stem_pool": "ceil", "output_stride": 32}
DF: Point = {"depth": 1.0, "taps": "strides"}
XCEPTION: Point = {"repeats": "4,6,4", "attention": "fc", "code": "paper"}
HUAIFENG: Point = {"variant": "a", "repeats": "3,6,3", "attention": "fc", "code": "huaifeng1993"}
MBCONV: Point = {"block": "mbconv", "output_stride": 32}
FUSED: Point = {"block": "fused", "output_stride": 32}
SHUFFLE: Point = {"repeats": "4,8,4", "conv5": True, "stem_pool": "ceil"}
FPE: Point = {
    "p": 3,
    "q": 9,
    "expansion": 4,
    "dilations": "1,2,4,8",
    "cascade": True,
    "long_skip": True,
    "code": "paper",
}


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def spec_of(family: str, width: float, choices: dict[str, Scalar]) -> EncoderSpec:
    spec = FAMILIES[family](choices, width)
    assert isinstance(spec, EncoderSpec)
    return spec


def made(family: str, width: float, **choices: Scalar) -> Encoder:
    with torch.device("meta"):
        return Encoder(spec_of(family, width, choices))


@pytest.mark.parametrize(
    ("family", "width", "choices", "params", "levels"),
    [
        ("resnet", 1.0, RESNET | {"depth": 18}, 11_324_992, {2: 128, 4: 64, 8: 128, 16: 256, 32: 512}),
        ("resnet", 1.0, RESNET | {"depth": 50}, 23_631_808, {2: 128, 4: 256, 8: 512, 16: 1024, 32: 2048}),
        ("resnet", 1.0, RESNET | {"depth": 101}, 42_623_936, {2: 128, 4: 256, 8: 512, 16: 1024, 32: 2048}),
        ("resnet", 1.0, RESNET | {"depth": 50, "stem": "plain"}, 23_508_032, {2: 64, 4: 256, 8: 512, 16: 1024, 32: 2048}),
        ("df", 1.0, DF | {"variant": "df1"}, 8_020_128, {2: 32, 4: 64, 8: 64, 16: 128, 32: 512}),
        ("df", 1.0, DF | {"variant": "df1", "taps": "last_three"}, 8_020_128, {16: 128, 32: 256, 64: 512}),
        ("df", 1.0, DF | {"variant": "df2"}, 17_474_208, {2: 32, 4: 64, 8: 128, 16: 256, 32: 512}),
        ("shufflenetv2", 1.5, SHUFFLE, 2_478_624, {2: 24, 4: 24, 8: 176, 16: 352, 32: 1024}),
        ("shufflenetv2", 1.0, SHUFFLE, 1_253_604, {2: 24, 4: 24, 8: 116, 16: 232, 32: 1024}),
        ("xception", 1.0, XCEPTION | {"variant": "a"}, 232 + 550_208, {2: 8, 4: 48, 8: 96, 16: 192}),
        ("xception", 1.0, XCEPTION | {"variant": "b"}, 232 + 336_960, {2: 8, 4: 32, 8: 64, 16: 128}),
        ("efficientnet", 1.0, MBCONV | {"depth": 1.1}, 6_101_024, {2: 16, 4: 24, 8: 40, 16: 112, 32: 320}),
        ("efficientnet", 1.4, MBCONV | {"depth": 1.8}, 16_742_216, {2: 24, 4: 32, 8: 56, 16: 160, 32: 448}),
        ("efficientnet", 2.0, MBCONV | {"depth": 3.1}, 62_143_440, {2: 32, 4: 48, 8: 80, 16: 224, 32: 640}),
        ("efficientnet", 0.4, FUSED | {"depth": 0.6}, 3_480_992, {2: 8, 4: 16, 8: 16, 16: 48, 32: 128}),
        ("efficientnet", 0.6, FUSED | {"depth": 1.0}, 9_469_016, {2: 16, 4: 16, 8: 24, 16: 64, 32: 192}),
        ("efficientnet", 1.0, FUSED | {"depth": 1.0}, 27_842_816, {2: 16, 4: 24, 8: 40, 16: 112, 32: 320}),
        ("mobilenetv3", 1.0, {"depth": 1.0}, 431_180, {2: 16, 4: 16, 8: 24, 16: 48, 32: 96}),
        ("fpe", 1.0, FPE, 464 + 752 + 3 * 9_920 + 9 * 36_224, {2: 32, 4: 64, 8: 128}),
        ("fpe", 1.0, FPE | {"code": "xiaoyufenfei"}, 115_125 - 10_497 - 3_713 - 627, {2: 16, 4: 32, 8: 64}),
        ("xception", 1.0, HUAIFENG, 232 + 10_808 + 91_392 + 160_032 + 384_000, {2: 8, 4: 48, 8: 96, 16: 192}),
    ],
)  # fmt: skip
def test_parameters_and_levels_of_the_papers(
    family: str, width: float, choices: dict, params: int, levels: dict
) -> None:
    encoder = made(family, width, **choices)
    assert parameters(encoder) == params
    assert encoder.channels == levels


@pytest.mark.parametrize(
    ("width", "depth", "head", "whole"),
    [(1.0, 1.1, 1280, 7_794_184), (1.4, 1.8, 1792, 19_341_616), (2.0, 3.1, 2560, 66_347_960)],
)
def test_efficientnet_with_its_classifier_is_b1_b4_b7(width: float, depth: float, head: int, whole: int) -> None:
    encoder = made("efficientnet", width, **MBCONV, depth=depth)
    last = encoder.channels[32]
    assert parameters(encoder) + head * (last + 2) + 1000 * (head + 1) == whole


def test_parts_of_xception() -> None:
    parts = {"a": (8_488, 45_456, 111_072, 385_192), "b": (4_664, 22_624, 52_544, 257_128)}
    for variant, counts in parts.items():
        encoder = made("xception", 1.0, **XCEPTION, variant=variant)
        assert parameters(encoder.stem) == 232
        assert (*map(parameters, encoder.stages), parameters(encoder.attention)) == counts
    bare = [made("xception", 1.0, **XCEPTION | {"attention": "none"}, variant=v) for v in "ab"]
    # table 2 counts a 1x1 classifier behind them
    assert [parameters(e) + (e.channels[16] + 1) * 19 for e in bare] == [168_915, 82_515]


@pytest.mark.parametrize(
    ("variant", "counts"), [("a", (24_960, 58_032, 159_264, 385_192)), ("b", (12_416, 28_448, 74_432, 257_128))]
)
def test_later_networks_of_dfanet_from_make_stage(variant: str, counts: tuple[int, ...]) -> None:
    encoder = made("xception", 1.0, **XCEPTION, variant=variant)
    c2, c3, c4 = (encoder.channels[s] for s in (4, 8, 16))
    with torch.device("meta"):
        runs = [encoder.make_stage(s, c) for s, c in ((4, c4 + c2), (8, c2 + c3), (16, c3 + c4))]
        assert (*map(parameters, runs), parameters(encoder.make_attention())) == counts


def test_later_networks_of_a_public_dfanet() -> None:
    encoder = made("xception", 1.0, **HUAIFENG)
    with torch.device("meta"):
        runs = [encoder.make_stage(s, c) for s, c in ((4, 240), (8, 144), (16, 288))]
    assert [parameters(run) for run in runs] == [27_048, 103_872, 208_032]


def test_parts_of_mobilenetv3() -> None:
    encoder = made("mobilenetv3", 1.0, depth=1.0)
    layers = [encoder.stem, *(encoder.stages[a:b] for a, b in ((0, 1), (1, 3), (3, 7), (7, 9)))]
    assert [parameters(layer) for layer in layers] == [464, 920, 9_280, 100_980, 319_536]
    shortcuts = [type(block.shortcut).__name__ for stage in encoder.stages for block in stage.blocks]
    assert shortcuts.count("ConvNorm") == 1, "only 40 -> 48 changes its width without striding"


def test_depths_of_efficientnet() -> None:
    depths = {1.1: [2, 3, 3, 4, 4, 5, 2], 1.8: [2, 4, 4, 6, 6, 8, 2], 3.1: [4, 7, 7, 10, 10, 13, 4], 0.6: [1, 2, 2, 2, 2, 3, 1]}  # fmt: skip
    for depth, expected in depths.items():
        spec = spec_of("efficientnet", 1.0, MBCONV | {"depth": depth})
        assert [stage.depth for stage in spec.stages] == expected


def test_norms_keep_the_encoders_eps() -> None:
    encoder = made("efficientnet", 0.4, **MBCONV, depth=0.6)
    run = encoder.make_stage(8, 24)
    for part in (encoder, run):
        norms = [m for m in part.modules() if isinstance(m, nn.BatchNorm2d)]
        assert norms and {m.eps for m in norms} == {1e-3}


@pytest.mark.parametrize("stride", [8, 16])
def test_a_held_encoder_dilates_instead_of_striding(stride: int) -> None:
    for family, choices in (("resnet", RESNET | {"depth": 50}), ("efficientnet", MBCONV | {"depth": 1.0})):
        free = made(family, 1.0, **choices)
        kept = made(family, 1.0, **choices | {"output_stride": stride})
        assert parameters(kept) == parameters(free)
        assert max(kept.channels) == stride
        last = kept.stages[-1].blocks[-1]
        middle = last.conv2 if family == "resnet" else last.depthwise
        assert middle.conv.dilation == (32 // stride,) * 2


def drawn(family: str, rng: random.Random) -> Encoder:
    choices = {name: rng.choice(node.accepted()) for name, node in ARMS[family].items()}
    assert not [n for n in ARMS[family].values() if isinstance(n, OneOf)]
    width = rng.choice(UNIFIED.axes["encoder_width"].proposals())
    return Encoder(spec_of(family, float(width), choices | SMALL.get(family, {})))


OURS = [family for family in FAMILIES if family != "timm"]
SMALL: dict[str, Point] = {"resnet": {"depth": 10}, "efficientnet": {"depth": 0.6}}
"""Depths only repeat blocks; the wide and deep are built above without memory."""


@pytest.mark.parametrize("family", OURS)
@pytest.mark.parametrize("size", [(32, 32), (33, 47), (97, 203)])
def test_declared_channels_and_strides_are_the_real_ones(family: str, size: tuple[int, int]) -> None:
    rng = random.Random(f"{family}{size}")
    for _ in range(3):
        encoder = drawn(family, rng).eval()
        with torch.no_grad():
            features = encoder(torch.randn(1, 3, *size))
        assert {s: f.shape[1] for s, f in features.items()} == encoder.channels == encoder_levels(encoder.spec)
        real = dict(zip(encoder.channels, encoder.channels, strict=True))
        if encoder.spec.taps:
            real = dict(zip(encoder.channels, stage_strides(encoder.spec)[-3:], strict=True))
        for stride, f in features.items():
            for side, pixels in zip(f.shape[-2:], size, strict=True):
                assert 0 <= side - -(-pixels // real[stride]) <= (encoder.spec.stem.pool == "ceil")
            assert f.isfinite().all()


@pytest.mark.parametrize("family", OURS)
def test_stages_are_made_anew_for_any_input(family: str) -> None:
    encoder = drawn(family, random.Random(family))
    for stride in sorted(set(stage_strides(encoder.spec))):
        strides = [stage.stride for stage in stages_at(encoder.spec, stride)]
        runs = [encoder.make_stage(stride, 40) for _ in range(2)]
        out = runs[0](torch.randn(2, 40, 13, 10))
        shrink = 2 if 2 in strides else 1
        assert out.shape[1] == stages_out(stages_at(encoder.spec, stride), 40)
        assert out.shape[2:] == (-(-13 // shrink), -(-10 // shrink))
        own = {id(p) for p in encoder.parameters()}
        assert not own & {id(p) for run in runs for p in run.parameters()}
        assert not {id(p) for p in runs[0].parameters()} & {id(p) for p in runs[1].parameters()}


def test_the_attention_weighs_the_last_map_alone() -> None:
    encoder = Encoder(spec_of("xception", 1.0, XCEPTION | {"variant": "b"})).eval()
    seen: list[Tensor] = []
    encoder.attention.register_forward_hook(lambda m, args, out: seen.extend((args[0], out)))
    with torch.no_grad():
        features = encoder(torch.randn(1, 3, 64, 64))
    assert features[16] is seen[1]
    assert not torch.equal(seen[0], seen[1])


def test_tapped_maps_of_one_stride() -> None:
    stages = tuple(StageSpec(block="basic", depth=1, width=8, stride=s) for s in (2, 2, 1))
    spec = EncoderSpec(stem=StemSpec(widths=(8,), strides=(2,)), stages=stages, taps=(0, 1, 2))
    features = Encoder(spec)(torch.randn(2, 3, 32, 48))
    assert {s: tuple(f.shape[2:]) for s, f in features.items()} == {4: (8, 12), 8: (4, 6), 16: (4, 6)}
