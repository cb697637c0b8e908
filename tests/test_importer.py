"""Foreign weights: read without running code, renamed, and nothing left unsaid."""

import pytest
import torch
from torch import Tensor

from segsearch.errors import InputError
from segsearch.importer import import_state, release_of
from segsearch.models.network import build
from segsearch.space.lower import lower
from segsearch.space.points import named_point
from segsearch.spec.network import NetworkSpec
from tests.foreign_names import efficientnet_b0, filled, mobilenetv3_small, resnet, shufflenetv2

PLAIN_STEM = {"encoder.resnet.stem": "plain", "encoder.resnet.stem_pool": "floor"}


def resnet_names() -> dict[str, str]:
    """A few of torchvision's names and ours."""
    return {
        "conv1.weight": "encoder.stem.convs.0.conv.weight",
        "bn1.running_var": "encoder.stem.convs.0.norm.running_var",
        "layer1.1.conv2.weight": "encoder.stages.0.blocks.1.conv2.conv.weight",
        "layer4.0.bn1.bias": "encoder.stages.3.blocks.0.conv1.norm.bias",
        "layer2.0.downsample.0.weight": "encoder.stages.1.blocks.0.shortcut.conv.weight",
        "layer2.0.downsample.1.weight": "encoder.stages.1.blocks.0.shortcut.norm.weight",
    }


def foreign() -> tuple[dict[str, Tensor], NetworkSpec]:
    spec = lower(named_point("sfnet_r18").choices | PLAIN_STEM)
    shapes = build(spec).state_dict()
    return {name: torch.rand(shapes[ours].shape) for name, ours in resnet_names().items()}, spec


def test_an_encoder_of_torchvision_fills_ours_and_the_rest_is_told() -> None:
    state, spec = foreign()
    found = import_state(state | {"fc.weight": torch.zeros(1000, 512)}, spec, "torchvision_resnet")
    assert found.unused == ("fc.weight",)
    ours = found.network.state_dict()
    for name, new in resnet_names().items():
        torch.testing.assert_close(ours[new], state[name])
        assert new not in found.missing
    assert "head.classify.weight" in found.missing
    assert found.filled == len(resnet_names())
    assert not [name for name in found.missing if name.endswith("num_batches_tracked")]


def test_classes_follow_the_file() -> None:
    spec = named_point("sgcpnet1").spec
    assert import_state({"classifier.weight": torch.rand(11, 64, 1, 1)}, spec, "sgcpnet").network.classes == 11


def test_another_shape_is_refused() -> None:
    state, spec = foreign()
    with pytest.raises(
        InputError, match=r"x: encoder.stem.convs.0.conv.weight is \(8, 3, 7, 7\) instead of \(64, 3, 7, 7\)"
    ):
        import_state(state | {"conv1.weight": torch.rand(8, 3, 7, 7)}, spec, "torchvision_resnet", "x")


def test_nothing_that_fits() -> None:
    with pytest.raises(InputError, match="holds none of the tensors of 'sgcpnet'"):
        import_state({"foo": torch.rand(1)}, named_point("sgcpnet1").spec, "sgcpnet")


def test_a_wrapped_encoder_in_a_larger_network_is_found_and_the_rest_is_told() -> None:
    state, spec = foreign()
    wrapped = {f"module.backbone.{name}": tensor for name, tensor in state.items()}
    content = {"state_dict": wrapped | {"module.decoder.weight": torch.zeros(1)}, "epoch": 3}
    found = import_state(content, spec, "torchvision_resnet")
    assert (found.filled, found.unused) == (len(state), ("module.decoder.weight",))


def encoder_of(family: str, **choices: str | int | float) -> NetworkSpec:
    base = {k: v for k, v in named_point("sfnet_r18").choices.items() if not k.startswith("encoder.")}
    inside = {f"encoder.{family}.{name}": value for name, value in choices.items()}
    return lower(base | {"encoder": family, "encoder_width": 1.0} | inside)


@pytest.mark.parametrize(
    ("library", "state", "filled_tensors", "unused"),
    [
        ("torchvision", filled(efficientnet_b0(timm=False)), 5 * 48 + 4 * 16, 7),
        ("timm", filled(efficientnet_b0(timm=True)), 5 * 48 + 4 * 16, 7),
    ],
)
def test_a_library_is_enough_of_a_name(library: str, state: dict, filled_tensors: int, unused: int) -> None:
    spec = encoder_of("efficientnet", depth=1.0, block="mbconv", output_stride=32)
    found = import_state(state, spec, library)
    assert (found.release, found.filled, len(found.unused)) == (f"{library}_efficientnet", filled_tensors, unused)
    assert not [name for name in found.missing if name.startswith("encoder.")]


def test_of_shufflenetv2_and_resnet() -> None:
    spec = encoder_of("shufflenetv2", repeats="4,8,4", conv5=True, stem_pool="floor")
    found = import_state(filled(shufflenetv2((116, 232, 464), 1024)), spec, "torchvision")
    assert (found.release, found.unused) == ("torchvision_shufflenetv2", ("fc.weight", "fc.bias"))
    plain = lower(named_point("sfnet_r18").choices | PLAIN_STEM)
    assert import_state(filled(resnet((2, 2, 2, 2), 1)), plain, "timm").release == "timm_resnet"


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_of_mobilenetv3_what_fits_is_filled_and_the_rest_is_told(library: str) -> None:
    """SGCPNet's squeeze-excites stand elsewhere, its first block widens, and one shortcut has a convolution."""
    state = filled(mobilenetv3_small(timm=library == "timm"))
    found = import_state(state, named_point("sgcpnet1").spec, library)
    assert (found.release, found.filled) == (f"{library}_mobilenetv3", 5 * 33)
    assert {"fc1" in n or "fc2" in n or ".se." in n for n in found.unused} == {True}
    fresh = {n.split(".", 5)[5].split(".")[0] for n in found.missing if n.startswith("encoder.")}
    assert fresh == {"squeeze_out", "expand", "shortcut"}
    assert torch.equal(
        found.network.state_dict()["encoder.stages.8.blocks.1.project.conv.weight"],
        state["blocks.4.2.conv_pwl.weight" if library == "timm" else "features.11.block.3.0.weight"],
    )


def test_whose_names() -> None:
    assert release_of("mine", "timm") == "timm"
    assert release_of("sgcpnet2", None) == "sgcpnet"
    assert release_of("mine", "torchvision_resnet") == "torchvision_resnet"
    with pytest.raises(InputError, match="how 'mine' is named in released files is not known"):
        release_of("mine", None)
    with pytest.raises(InputError, match="--names: 'x' is not known"):
        release_of("mine", "x")
