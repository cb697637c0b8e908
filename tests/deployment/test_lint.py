"""Every known defect, made as people make it, is found by its rule and by no other; clean graphs pass."""

import copy
import io
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segsearch.deployment import lint_rules
from segsearch.deployment.deploy import deploy
from segsearch.deployment.lint import RULES, lint, lint_file
from segsearch.deployment.lint_rules import SIZED_BY
from segsearch.deployment.onnx import Exported, to_onnx
from segsearch.errors import InputError, ProofError
from segsearch.quiet import quiet
from tests.deployment.networks import CLASSES, COLOURS, MEAN, SIZE, STD, ConvNorm, Small, randomized


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
        kind: Any = torch.onnx.TrainingMode.TRAINING
        torch.onnx.export(module, (example,), written, dynamo=False, training=kind)  # type: ignore[arg-type]
    return onnx.load_model_from_string(written.getvalue())


def rules(model: Any) -> set[str]:
    return {finding.rule for finding in lint(model)}


def bilinear(align: bool, **options: Any) -> Callable[[Tensor], Tensor]:
    return lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=align, **options)


def pooled(*bins: int) -> Callable[[Tensor], Tensor]:
    return lambda x: torch.stack([F.adaptive_avg_pool2d(x, n).mean() for n in bins])


def warp(x: Tensor) -> Tensor:
    return F.grid_sample(x, x[:, :2].permute(0, 2, 3, 1), mode="bilinear", align_corners=True)


DEFECTS: dict[str, Callable[[], Any]] = {
    "linear-warp": lambda: graph_of(Of(warp), opset_version=20),
    "training-mode": lambda: in_training(ConvNorm(3, 4)),
    "unrolled-pool": lambda: graph_of(Of(pooled(1, 3))),
    "mixed-corners": lambda: graph_of(Of(lambda x: bilinear(False)(bilinear(True)(bilinear(True)(x))))),
    "double": lambda: graph_of(Of(torch.relu).double()),
    "smooth-resize": lambda: graph_of(Of(lambda x: F.interpolate(x, size=(40, 50), mode="bicubic"))),
}


@cache
def defect(rule: str) -> Any:
    """A graph with one defect, made once: whoever changes it copies it."""
    return DEFECTS[rule]()


@pytest.mark.parametrize("rule", DEFECTS)
def test_a_defect_is_found_by_its_rule_alone(rule: str) -> None:
    assert rules(defect(rule)) == {rule}


@pytest.mark.parametrize("bins", [(2,), (1, 4)])
def test_each_pool_that_is_unrolled_is_found(bins: tuple[int, ...]) -> None:
    """Smaller pyramids have fewer nodes than many a sound network, so no count of nodes would tell."""
    assert rules(graph_of(Of(pooled(*bins)))) == {"unrolled-pool"}


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


def test_every_word_that_is_new_in_opset_20_is_found() -> None:
    def cubic(x: Tensor) -> Tensor:
        return F.grid_sample(x, x[:, :2].permute(0, 2, 3, 1), mode="bicubic", align_corners=True)

    (finding,) = lint(graph_of(Of(cubic), opset_version=20))
    assert finding.rule == "linear-warp" and "with mode cubic" in str(finding)
    assert rules(graph_of(Of(cubic))) == set()


def test_a_pool_that_somebody_unrolled_by_hand_is_found() -> None:
    def windows(x: Tensor) -> Tensor:
        rows = [x[:, :, 23 * i // 3 : 23 * (i + 1) // 3] for i in range(3)]
        bins = [row[..., 30 * j // 2 : 30 * (j + 1) // 2].mean((2, 3), keepdim=True) for row in rows for j in range(2)]
        return torch.cat(bins, 1)

    assert rules(graph_of(Of(windows))) == {"unrolled-pool"}


def test_parts_of_the_channels_may_be_averaged() -> None:
    """As split attention does."""

    def parts(x: Tensor) -> Tensor:
        wide = x.repeat(1, 2, 1, 1)
        return torch.cat([wide[:, i : i + 1].mean((2, 3), keepdim=True) for i in range(8)], 1)

    assert rules(graph_of(Of(parts))) == set()


def test_resizes_half_a_pixel_apart_are_found() -> None:
    model = graph_of(Of(lambda x: bilinear(False)(bilinear(False)(x))))
    assert rules(model) == set()
    resize = next(node for node in model.graph.node if node.op_type == "Resize")
    mode = next(a for a in resize.attribute if a.name == "coordinate_transformation_mode")
    mode.s = b"asymmetric"
    assert rules(model) == {"mixed-corners"}
    mode.s = b"pytorch_half_pixel" if mode.s == b"half_pixel" else b"half_pixel"
    assert rules(model) == set()


@pytest.mark.parametrize("rule", ["linear-warp", "training-mode"])
def test_a_defect_inside_a_function_or_a_branch_is_found(rule: str) -> None:
    model = defect(rule)
    node = next(n for n in model.graph.node if n.op_type in ("GridSample", "BatchNormalization"))
    branch = onnx.helper.make_graph([node], "branch", [], [onnx.helper.make_empty_tensor_value_info(node.output[0])])
    inside = copy.deepcopy(model)
    at = list(model.graph.node).index(node)
    inside.graph.node[at].CopyFrom(
        onnx.helper.make_node("If", ["yes"], list(node.output[:1]), then_branch=branch, else_branch=branch)
    )
    assert rule in rules(inside)
    called = copy.deepcopy(model)
    opsets = list(model.opset_import)
    function = onnx.helper.make_function("local", "f", list(node.input), list(node.output), [node], opsets)
    called.functions.append(function)
    called.opset_import.append(onnx.helper.make_opsetid("local", 1))
    called.graph.node[at].CopyFrom(onnx.helper.make_node("f", node.input, node.output, domain="local"))
    assert rules(called) == {rule}


def test_dropout_that_is_switched_off_is_sound() -> None:
    model = graph_of(Of(nn.Dropout(0.5)).train())
    dropout = next(node for node in model.graph.node if node.op_type == "Dropout")
    off = onnx.numpy_helper.from_array(np.array(False), "off")
    model.graph.initializer.append(off)
    dropout.input[2] = "off"
    assert rules(model) == set()


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


def test_an_open_batch_leaves_sizes_of_the_map_alone() -> None:
    """ShuffleNet's reshapes name channels, height and width, and follow the batch."""

    names, sides = [f"x{i}" for i in range(4)], (["batch", 4, 23, 30], ["batch", 4, 690])
    sizes = ([-1, 2, 2, 23, 30], [-1, 4, 23, 30], [0, 4, -1])

    def shuffled(*targets: list[int]) -> Any:
        kept = [onnx.numpy_helper.from_array(np.array(size), f"to{i}") for i, size in enumerate(targets)]
        nodes = [onnx.helper.make_node("Reshape", [names[i], f"to{i}"], [names[i + 1]]) for i in range(3)]
        faces = [onnx.helper.make_tensor_value_info(names[-i], onnx.TensorProto.FLOAT, sides[i]) for i in range(2)]
        return onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", faces[:1], [faces[1]], kept))

    assert rules(shuffled(*sizes)) == {"open-size"}
    assert rules(shuffled([1, 2, 2, 23, 30], *sizes[1:])) == {"open-size", "frozen-size"}


def test_another_size_than_asked_is_found(exported: Exported) -> None:
    model = onnx.load(exported.path)
    assert lint(model, SIZE) == []
    assert [finding.rule for finding in lint(model, (96, 192))] == ["face", "face"]


def test_weights_elsewhere_are_found(exported: Exported, tmp_path: Path) -> None:
    options = {"save_as_external_data": True, "location": "w.bin", "size_threshold": 0}
    onnx.save(onnx.load(exported.path), tmp_path / "m.onnx", **options)
    assert {finding.rule for finding in lint_file(tmp_path / "m.onnx")} == {"outside"}


def test_the_exporter_refuses_a_network_with_a_defect(tmp_path: Path) -> None:
    mixed = Small()
    randomized(mixed)
    mixed.align_corners = True
    with pytest.raises(ProofError, match="resizes by align_corners, 5 others do not agree"):
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


def test_every_rule_says_why_and_has_a_defect_here(exported: Exported) -> None:
    assert all(len((rule.__doc__ or "").splitlines()[0]) > 40 for rule in RULES.values())
    assert set(RULES) - set(DEFECTS) == {"open-size", "frozen-size", "computed-size", "outside"}
    assert lint(onnx.load(exported.path), SIZE) == []


def away(name: str) -> Any:
    """An array of four numbers that are said to lie in the file next to it."""
    tensor = onnx.TensorProto(name=name, data_type=onnx.TensorProto.FLOAT, dims=[4])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "sibling.bin"
    return tensor


def of_nodes(*nodes: Any, **parts: Any) -> Any:
    faces = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1, 3, 4, 4]) for n in ("image", "mask")]
    graph = onnx.helper.make_graph(list(nodes), "g", faces[:1], faces[1:], parts.pop("initializer", []))
    return onnx.helper.make_model(graph, **parts)


RESIZE = onnx.helper.make_node("Resize", ["image", "", "", "c"], ["mask"], mode="linear")


def sparse_constant() -> Any:
    sparse = onnx.SparseTensorProto(dims=[4])
    sparse.values.CopyFrom(away("c"))
    return onnx.helper.make_node("Constant", [], ["c"], sparse_value=sparse)


def constant_in(kind: str) -> Any:
    constant = onnx.helper.make_node("Constant", [], ["c"], value=away("c"))
    if kind == "weight":
        return of_nodes(RESIZE, initializer=[away("c")])
    if kind == "constant":
        return of_nodes(constant, RESIZE)
    if kind == "sparse":
        return of_nodes(sparse_constant(), RESIZE)
    if kind == "branch":
        branch = onnx.helper.make_graph([constant], "b", [], [onnx.helper.make_empty_tensor_value_info("c")])
        return of_nodes(onnx.helper.make_node("If", ["image"], ["mask"], then_branch=branch, else_branch=branch))
    opsets = [onnx.helper.make_opsetid("", 18)]
    function = onnx.helper.make_function("local", "f", [], ["c"], [constant], opsets)
    call = onnx.helper.make_node("f", [], ["c"], domain="local")
    opsets.append(onnx.helper.make_opsetid("local", 1))
    return of_nodes(call, RESIZE, functions=[function], opset_imports=opsets)


@pytest.mark.parametrize("kind", ["weight", "constant", "sparse", "branch", "function"])
def test_a_file_next_to_it_is_never_read(kind: str, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(constant_in(kind).SerializeToString())
    alone = lint_file(tmp_path / "m.onnx")
    assert "outside" in {finding.rule for finding in alone}
    (tmp_path / "sibling.bin").write_bytes(np.array([1, 3, 8, 8], "float32").tobytes())
    assert lint_file(tmp_path / "m.onnx") == alone
    (tmp_path / "sibling.bin").unlink()
    (tmp_path / "sibling.bin").symlink_to("/dev/zero")
    assert lint_file(tmp_path / "m.onnx") == alone


def test_text_that_is_not_utf8_is_one_line(exported: Exported, tmp_path: Path) -> None:
    model, path = onnx.load(exported.path), tmp_path / "m.onnx"
    model.graph.node[0].name = "node-zero"
    model.graph.doc_string = "what it is"
    words = {"node-zero", "what it is", model.graph.name, model.graph.input[0].name, model.producer_name}
    words |= {node.op_type for node in model.graph.node} | {entry.key for entry in model.metadata_props}
    raw = model.SerializeToString()
    for word in words:
        path.write_bytes(raw.replace(word.encode(), b"\xff\xfe" + word.encode()[2:]))
        try:
            assert all(str(finding) for finding in lint_file(path))
        except InputError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
    path.write_bytes(raw.replace(b"Conv", b"\xff\xfeon"))
    with pytest.raises(InputError, match="is not a sound ONNX model: it holds text that is not UTF-8"):
        lint_file(path)


def test_what_the_checker_could_not_look_at_is_one_line_too(tmp_path: Path) -> None:
    """Weights elsewhere keep the checker out: nodes may lack inputs, outputs and attributes, and feed themselves."""
    looked_at = lint_rules.SIZES | lint_rules.PICKS | lint_rules.SUMS | lint_rules.REDUCES | set(SIZED_BY)
    others = {"GridSample", "Dropout", "BatchNormalization", "GatherND", "Cast", "Constant", "Upsample"}
    for kind in sorted(looked_at | others):
        loop = [onnx.helper.make_node(kind, ["a"], ["b"]), onnx.helper.make_node(kind, ["b"], ["a"])]
        odd = [onnx.helper.make_node(kind, [], []), onnx.helper.make_node(kind, ["", "", "c", "c"], ["mask"], axis=2)]
        for nodes in (loop, odd[:1], odd[1:], [*loop, onnx.helper.make_node("Add", ["a"] * 8, ["mask"])]):
            onnx.save(of_nodes(*nodes, initializer=[away("w")]), tmp_path / "m.onnx")
            try:
                assert "outside" in {finding.rule for finding in lint_file(tmp_path / "m.onnx")}
            except InputError as error:
                assert "m.onnx: is not a sound ONNX model: " in str(error) and "\n" not in str(error)
