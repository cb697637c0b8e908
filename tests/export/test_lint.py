"""Every known defect, made as people make it, is found by its rule and by no other; clean graphs pass."""

import copy
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
import torch.nn.functional as F
from export_networks import CLASSES, COLOURS, MEAN, SIZE, STD, ConvNorm, Small, lively
from torch import Tensor, nn

from segsearch.errors import InputError, ProofError
from segsearch.export.deploy import Deployed, deploy
from segsearch.export.lint import RULES, lint, lint_file
from segsearch.export.onnx import Exported, to_onnx, trace
from segsearch.quiet import quiet


class Of(nn.Module):
    """A function as a module, behind one convolution."""

    def __init__(self, after: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.after = after

    def forward(self, image: Tensor) -> Tensor:
        return self.after(self.conv(image))


def graph_of(module: nn.Module, size_hw: tuple[int, int] = (23, 30), **options: Any) -> Any:
    """Export as somebody would who has never heard of the rules."""
    example = torch.zeros(1, 3, *size_hw, dtype=next(module.parameters()).dtype)
    with quiet():
        program = torch.onnx.export(module, (example,), dynamo=True, verbose=False, **({"opset_version": 18} | options))
    return program.model_proto


def in_training(module: nn.Module) -> Any:
    """The older exporter keeps what training does; the newer one turns BatchNorm around by itself."""
    written, example = io.BytesIO(), torch.zeros(1, 3, 23, 30)
    with quiet():
        torch.onnx.export(module, (example,), written, dynamo=False, training=torch.onnx.TrainingMode.TRAINING)
    return onnx.load_model_from_string(written.getvalue())


def rules(model: Any) -> set[str]:
    return {finding.rule for finding in lint(model)}


def bilinear(align: bool, **options: Any) -> Callable[[Tensor], Tensor]:
    return lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=align, **options)


def warp(x: Tensor) -> Tensor:
    return F.grid_sample(x, x[:, :2].permute(0, 2, 3, 1), mode="bilinear", align_corners=True)


DEFECTS: dict[str, Callable[[], Any]] = {
    "linear-warp": lambda: graph_of(Of(warp), opset_version=20),
    "training-mode": lambda: in_training(ConvNorm(3, 4)),
    "unrolled-pool": lambda: graph_of(Of(lambda x: sum(F.adaptive_avg_pool2d(x, n).mean() for n in (1, 2, 3, 6)))),
    "mixed-corners": lambda: graph_of(Of(lambda x: bilinear(False)(bilinear(True)(bilinear(True)(x))))),
    "double": lambda: graph_of(Of(torch.relu).double()),
    "smooth-resize": lambda: graph_of(Of(lambda x: F.interpolate(x, size=(40, 50), mode="bicubic"))),
}


@pytest.mark.parametrize("rule", DEFECTS)
def test_a_defect_is_found_by_its_rule_alone(rule: str) -> None:
    assert rules(DEFECTS[rule]()) == {rule}


@pytest.mark.parametrize("bins", [(2,), (3,), (6,), (1, 2, 4)])
def test_each_pool_that_is_unrolled_is_found(bins: tuple[int, ...]) -> None:
    """Smaller pyramids have fewer nodes than many a sound network, so no count of nodes would tell."""
    made = graph_of(Of(lambda x: sum(F.adaptive_avg_pool2d(x, n).mean() for n in bins)))
    assert rules(made) == {"unrolled-pool"}


@pytest.mark.parametrize("bins", [1, 5])
def test_pools_that_divide_the_map_are_sound(bins: int) -> None:
    assert rules(graph_of(Of(lambda x: F.adaptive_avg_pool2d(x, bins)), (20, 30))) == set()


def test_dropout_in_training_is_found() -> None:
    assert rules(graph_of(Of(nn.Dropout(0.5)).train())) == {"training-mode"}
    assert rules(in_training(Of(nn.Dropout(0.5)))) == {"training-mode"}


def test_antialias_is_found() -> None:
    model = graph_of(Of(bilinear(False)))
    resize = next(node for node in model.graph.node if node.op_type == "Resize")
    next(a for a in resize.attribute if a.name == "antialias").i = 1
    assert rules(model) == {"smooth-resize"}


def open_sides() -> dict[str, Any]:
    return {"dynamic_shapes": ({2: torch.export.Dim("h", min=8), 3: torch.export.Dim("w", min=8)},)}


def test_dynamic_axes_are_found() -> None:
    assert rules(graph_of(Of(lambda x: F.interpolate(x[..., ::2, ::2], x.shape[-2:])), **open_sides())) == {
        "open-size",
        "computed-size",
    }
    assert rules(graph_of(Of(torch.relu), **open_sides())) == {"open-size"}


def test_dynamic_axes_that_were_frozen_silently_are_found() -> None:
    """As tracing does it: the sides of the input stay open, and the resize has those of the example."""

    def back(x: Tensor) -> Tensor:
        return F.interpolate(x[..., ::2, ::2], (int(x.shape[-2]), int(x.shape[-1])))

    made = graph_of(Of(back))
    for value in (made.graph.input[0], made.graph.output[0]):
        for side, name in ((2, "height"), (3, "width")):
            value.type.tensor_type.shape.dim[side].dim_param = name
    assert rules(made) == {"open-size", "frozen-size"}
    frozen = next(finding for finding in lint(made) if finding.rule == "frozen-size")
    assert "to the size of the example image" in str(frozen)


def test_another_size_than_asked_is_found(exported: Exported) -> None:
    model = onnx.load(exported.path)
    assert lint(model, SIZE) == []
    assert [finding.rule for finding in lint(model, (96, 192))] == ["face", "face"]


def test_weights_elsewhere_are_found(exported: Exported, tmp_path: Path) -> None:
    options = {"save_as_external_data": True, "location": "w.bin", "size_threshold": 0}
    onnx.save(onnx.load(exported.path), tmp_path / "m.onnx", **options)
    assert {finding.rule for finding in lint_file(tmp_path / "m.onnx")} == {"outside"}


def test_the_exporter_refuses_a_network_with_a_defect(tmp_path: Path) -> None:
    mixed = lively(Small())
    mixed.align_corners = True
    with pytest.raises(ProofError, match="resizes with align_corners, 5 others do not agree"):
        to_onnx(deploy(mixed, SIZE, MEAN, STD), tmp_path / "m.onnx", classes=CLASSES, colours=COLOURS)
    assert not list(tmp_path.iterdir())


def test_a_file_is_checked_against_what_it_says_of_itself(exported: Exported, tmp_path: Path) -> None:
    assert lint_file(exported.path) == []
    model = onnx.load(exported.path)
    lying, foreign = copy.deepcopy(model), copy.deepcopy(model)
    next(entry for entry in lying.metadata_props if entry.key == "size_hw").value = "[96, 192]"
    onnx.save(lying, tmp_path / "lying.onnx")
    assert [finding.rule for finding in lint_file(tmp_path / "lying.onnx")] == ["face", "face"]
    del foreign.metadata_props[:]
    onnx.save(foreign, tmp_path / "foreign.onnx")
    assert lint_file(tmp_path / "foreign.onnx") == []


def test_what_is_no_model_is_one_line(exported: Exported, tmp_path: Path) -> None:
    (tmp_path / "cut.onnx").write_bytes(exported.path.read_bytes()[:5000])
    (tmp_path / "text.onnx").write_text("hello")
    (tmp_path / "empty.onnx").touch()
    for name in ("cut", "text", "empty"):
        with pytest.raises(InputError, match="is not a sound ONNX model") as error:
            lint_file(tmp_path / f"{name}.onnx")
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="there is no such file"):
        lint_file(tmp_path / "absent.onnx")


def test_every_rule_says_why_and_has_a_defect_here(deployed: Deployed) -> None:
    assert all(len((rule.__doc__ or "").splitlines()[0]) > 40 for rule in RULES.values())
    assert set(RULES) - set(DEFECTS) == {"open-size", "frozen-size", "computed-size", "outside"}
    assert lint(trace(deployed), SIZE) == []
