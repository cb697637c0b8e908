"""timm's encoders: what is said without timm, and, where it is installed, that they do what the others do."""

import ast
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from segsearch.count.cost import count
from segsearch.deployment.deploy import deploy, fold, network_masks
from segsearch.deployment.onnx import OnnxModel, to_onnx
from segsearch.deployment.parity import agreement, prove
from segsearch.errors import InputError, MissingExtraError
from segsearch.models.network import Network, build
from segsearch.models.timm_encoder import TimmEncoder, published_url, word_of
from segsearch.space.families.timm import MODEL
from segsearch.space.load import load_space
from segsearch.space.lower import lower
from segsearch.space.points import named_point
from segsearch.space.walk import check
from segsearch.spec.encoder import TimmSpec
from tests.timm_here import timm_or_skip
from tests.trained import as_if_trained

RESNET18 = TimmSpec(kind="timm", name="resnet18", finest=1, channels=(64, 64, 128, 256, 512))
WORDS = {
    "resnet18": "resnet18@P1:64,64,128,256,512",
    "mobilenetv3_large_100": "mobilenetv3_large_100@P1:16,24,40,112,960",
    "efficientnet_b0": "efficientnet_b0@P1:16,24,40,112,320",
    "repvit_m0_9": "repvit_m0_9@P2:48,96,192,384",
    "ghostnet_100": "ghostnet_100@P1:16,24,40,80,160",
}
"""The fourth has four levels and branches to be merged, the last hands on a map that BatchNorm has not seen yet."""


def network(word: str) -> Network:
    base = {k: v for k, v in named_point("sfnet_r18").choices.items() if not k.startswith("encoder.")}
    point = base | {"encoder": "timm", MODEL: word, "coarsest": "P5"}
    torch.manual_seed(0)
    return as_if_trained(build(lower(check(load_space("unified"), point)), 5, "both")).train()


def test_only_the_adapter_imports_timm() -> None:
    package, importers = Path(__file__).parents[2] / "segsearch", []
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            importers += [path.name for name in names if name.split(".")[0] in ("timm", "torchvision")]
    assert importers == ["timm_encoder.py"]


@pytest.mark.skipif(importlib.util.find_spec("timm") is not None, reason="timm is installed")
@pytest.mark.parametrize(
    "ask", [lambda: TimmEncoder(RESNET18), lambda: word_of("resnet18"), lambda: published_url("x")]
)
def test_without_timm_one_line_says_what_to_install(ask) -> None:
    with pytest.raises(MissingExtraError) as caught:
        ask()
    line = str(caught.value)
    assert line.startswith(
        "timm is not installed: pip install 'segsearch[timm]' (No module named 'timm'; its torchvision"
    )
    assert line.endswith(f"must be built for torch {torch.__version__})") and "\n" not in line


@pytest.mark.skipif(importlib.util.find_spec("timm") is not None, reason="timm is installed")
@pytest.mark.parametrize("error", ["RuntimeError('operator torchvision::nms does not exist')", "ImportError('no _C')"])
def test_a_timm_that_does_not_load_is_as_good_as_none(
    error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "timm.py").write_text(f"raise {error}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        MissingExtraError, match=r"segsearch\[timm\]' \((operator torchvision::nms does|no _C).*torchvis"
    ):
        word_of("resnet18")


@pytest.mark.parametrize("name", WORDS)
def test_declared_channels_and_strides_are_the_real_ones(name: str) -> None:
    timm_or_skip()
    assert word_of(name) == WORDS[name]
    made = network(WORDS[name]).eval()
    for size in ((64, 96), (75, 101)):
        with torch.no_grad():
            features = made.encoder(torch.randn(1, 3, *size))
        assert {s: f.shape[1] for s, f in features.items()} == made.encoder.channels
        for stride, f in features.items():
            assert tuple(f.shape[2:]) == tuple(-(-side // stride) for side in size)


@pytest.mark.parametrize("name", WORDS)
def test_every_weight_learns_and_folding_keeps_the_logits(name: str) -> None:
    timm_or_skip()
    made = network(WORDS[name])
    sum(logits.square().mean() for logits in made.supervise(torch.randn(2, 3, 64, 96))).backward()
    assert not [n for n, p in made.named_parameters() if p.grad is None]
    made.double().eval()
    image = torch.randn(1, 3, 75, 101, dtype=torch.float64)
    with torch.no_grad():
        expected, folded = made(image), fold(made)
        assert not [m for m in folded.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        # timm merges RepViT's branches in float32
        assert torch.allclose(folded(image), expected, rtol=0, atol=1e-6 * float(expected.abs().max()))
    assert [m for m in made.modules() if isinstance(m, nn.BatchNorm2d)], "the given network is not touched"


@pytest.mark.parametrize("name", ["resnet18", "repvit_m0_9"])
def test_the_artefact_is_proven(name: str, tmp_path: Path) -> None:
    timm_or_skip()
    made, size = network(WORDS[name]), (64, 96)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    colours = tuple((40 * i, 0, 0) for i in range(5))
    exported = to_onnx(deploy(made, size, mean, std), tmp_path / "model.onnx", classes=tuple("abcde"), colours=colours)
    images = np.random.default_rng(0).integers(0, 255, (2, *size, 3), dtype=np.uint8)
    prove(agreement(network_masks(made, mean, std), OnnxModel(exported.path, threads=1).predict, list(images)))
    assert count(made, size).params == sum(
        p.numel() for n, p in made.named_parameters() if not n.startswith("auxiliary")
    )


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (RESNET18.model_copy(update={"channels": (64, 64, 128, 256, 500)}), "resnet18 has P1:64,64,128,256,512, not P1:"),
        (RESNET18.model_copy(update={"finest": 2}), "not P2:64,64,128,256,512"),
        (RESNET18.model_copy(update={"name": "resnet_of_nobody"}), "timm cannot make 'resnet_of_nobody' (RuntimeError: Un"),
        (RESNET18.model_copy(update={"name": "vit_tiny_patch16_224"}), "takes images of one size only, (224, 224)"),
    ],
)  # fmt: skip
def test_what_timm_does_not_have_is_refused(spec: TimmSpec, message: str) -> None:
    timm_or_skip()
    with pytest.raises(InputError) as caught:
        TimmEncoder(spec)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_levels_that_nobody_reads_are_not_built() -> None:
    timm_or_skip()
    cut = TimmEncoder(RESNET18.model_copy(update={"channels": (64, 64, 128)}))
    assert cut.channels == {2: 64, 4: 64, 8: 128}
    assert sum(p.numel() for p in cut.parameters()) < 0.1 * sum(p.numel() for p in TimmEncoder(RESNET18).parameters())


@pytest.mark.parametrize("name", ["resnet18", "repvit_m0_9"])
def test_weights_of_the_whole_classifier_fill_it(name: str) -> None:
    timm = timm_or_skip()
    donor = timm.create_model(name)
    encoder = network(WORDS[name]).encoder
    before = {key: tensor.clone() for key, tensor in encoder.state_dict().items()}
    assert not encoder.fill({"foo": torch.ones(1)})
    assert all(torch.equal(tensor, before[key]) for key, tensor in encoder.state_dict().items())
    assert encoder.fill(donor.state_dict())
    first, last = next(iter(donor.parameters())), next(iter(encoder.parameters()))
    assert torch.equal(first, last)


def test_timm_says_where_its_weights_lie() -> None:
    timm_or_skip()
    assert str(published_url("resnet18")).endswith("/resnet18_a1_0-d63eafa0.pth")
    assert published_url("repvit_m0_9") is None, "a file without a checksum in its name"
