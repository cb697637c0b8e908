"""Foreign weights: read without running code, renamed, and nothing left unsaid."""

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from segsearch.errors import InputError
from segsearch.importer import bare, import_state, read_state, release_of
from segsearch.models.build import build
from segsearch.space.lower import lower
from segsearch.space.points import named_point

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


def foreign() -> tuple[dict[str, Tensor], object]:
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


@pytest.mark.parametrize("nest", [[], ["segmenter"], ["state_dict"], ["model", "state_dict"]])
@pytest.mark.parametrize("wrapper", ["", "module."])
def test_nests_and_wrappers(nest: list[str], wrapper: str, tmp_path: Path) -> None:
    content: dict = {f"{wrapper}a.b": torch.ones(2), f"{wrapper}c": torch.zeros(1)}
    for key in reversed(nest):
        content = {key: content, "epoch": 1}
    torch.save(content, tmp_path / "x.pth")
    assert set(read_state(tmp_path / "x.pth")) == {"a.b", "c"}


def test_safetensors(tmp_path: Path) -> None:
    save_file({"module.a": torch.ones(2)}, tmp_path / "x.safetensors")
    assert set(read_state(tmp_path / "x.safetensors")) == {"a"}


class Trap:
    def __reduce__(self) -> tuple:
        return (Path("trapped").touch, ())


def test_code_in_a_file_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.pth").write_bytes(pickle.dumps({"a": Trap()}))
    torch.save({"a": Trap()}, tmp_path / "y.pth")
    for name in ("x.pth", "y.pth"):
        with pytest.raises(InputError, match="is not a file of plain tensors"):
            read_state(tmp_path / name)
    assert not (tmp_path / "trapped").exists()


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_state(tmp_path / "nope.pth")
    (tmp_path / "bad.safetensors").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="is not a safetensors file"):
        read_state(tmp_path / "bad.safetensors")
    with pytest.raises(InputError, match="holds no named tensors"):
        bare({"epoch": 3}, "x")


def test_whose_names() -> None:
    assert release_of("sgcpnet2", None) == "sgcpnet"
    assert release_of("mine", "torchvision_resnet") == "torchvision_resnet"
    with pytest.raises(InputError, match="how 'mine' is named in released files is not known"):
        release_of("mine", None)
    with pytest.raises(InputError, match="--names: 'x' is not known"):
        release_of("mine", "x")
