"""The calls that a script makes, each once, on the drawn streets."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from segsearch import api
from segsearch.data.streets.dataset import Streets
from segsearch.errors import InputError

SIZE = (64, 96)


def test_models_are_listed_by_pattern() -> None:
    assert api.list_models("sgcp*") == [name for name in api.list_models() if name.startswith("sgcp")] != []
    assert api.list_models("nothing*") == []


def test_a_model_is_built_counted_timed_and_deployed() -> None:
    model = api.create_model("sgcpnet1", classes=5)
    images = torch.randint(0, 256, (2, *SIZE, 3), dtype=torch.uint8)
    assert model(api.normalise(images)).shape == (2, 5, *SIZE)
    assert api.cost(model, SIZE).params == sum(weight.numel() for weight in model.parameters())
    assert api.latency(model, "64x96", threads=1).median_ms > 0
    mask = api.deploy(model, SIZE)(torch.zeros(1, 3, *SIZE, dtype=torch.uint8))
    assert mask.shape == (1, *SIZE) and mask.dtype == torch.uint8


def test_the_same_seed_gives_the_same_weights() -> None:
    first, same, other = (api.create_model("sgcpnet1", seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("classes", [11, 4])
def test_a_model_begins_with_the_weights_of_another(tmp_path: Path, classes: int) -> None:
    before = api.create_model("sgcpnet1", classes=11, seed=1)
    api.save_weights(before, tmp_path / "w.safetensors")
    after = api.create_model("sgcpnet1", classes=classes, pretrained=tmp_path / "w.safetensors")
    kept = [
        torch.equal(a, b) for (_, a), (_, b) in zip(before.named_parameters(), after.named_parameters(), strict=True)
    ]
    assert all(kept) if classes == 11 else 0 < kept.count(False) <= 2


def test_own_images_are_learnt_scored_and_exported(tmp_path: Path) -> None:
    drawn = [Streets(count=4, seed=0, split=split, size_hw=SIZE) for split in ("train", "val")]
    data = api.own_data("drawn", *drawn, classes=Streets.classes, size=SIZE)
    run = api.train("sgcpnet1", data, "search_short", epochs=2, out=tmp_path / "run")
    assert run.file.data.title == "drawn"
    assert api.evaluate(run.folder).confusion == run.result.scores.confusion
    model = api.load_model(run.folder)
    assert isinstance(model, torch.nn.Module) and not model.training
    card = api.export(run.folder, tmp_path / "c#" / "files", formats=[])
    assert card.miou == run.result.scores.miou
    with pytest.raises(InputError, match="weights: is not for a run"):
        api.export(run.folder, tmp_path / "other", weights="w.safetensors")
    exported = api.load_model(tmp_path / "c#" / "files")
    assert not isinstance(exported, torch.nn.Module)
    assert exported.predict(np.zeros((*SIZE, 3), np.uint8)).shape == SIZE


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: api.create_model("sgcpnet9"), "'sgcpnet9' is not a named point, did you mean"),
        (lambda: api.create_model("fpenet", pretrained="imagenet"), "pretrained: no ImageNet weights are published"),
        (lambda: api.cost("fpenet", "512"), r"size: '512' is not a size \(allowed: \(height, width\)"),
        (lambda: api.cost(cast(Any, torch.nn.Linear(1, 1)), SIZE), "model: is a torch module of another kind"),
        (lambda: api.export("fpenet", "out"), "size: is needed to export a point"),
        (lambda: api.train("fpenet", "camvid"), "^root: is needed for camvid"),
        (lambda: api.train("fpenet", "camvid", root="a--split/b"), "a--split/b"),
        (
            lambda: api.train("fpenet", "streets", reset_head=True),
            "^reset_head: is only for a training that begins with w",
        ),
        (lambda: api.evaluate("fpenet", "streets"), "^weights: is needed for a point"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(call: Callable[[], object], line: str) -> None:
    with pytest.raises(InputError, match=line):
        call()


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda bad: api.create_model(bad({})), r"^point: is {}, of type dict \(allowed: text, a path\)"),
        (lambda bad: api.create_model(bad(None)), "^point: is None"),
        (lambda bad: api.create_model("fpenet", 1), "^classes: should be greater than or equal to 2, got 1"),
        (lambda bad: api.create_model("fpenet", 257), "^classes: should be less than or equal to 256"),
        (lambda bad: api.create_model("fpenet", bad(["a", "b"])), r"^classes: is \['a', 'b'\], of type list"),
        (lambda bad: api.create_model("fpenet", bad(2.5)), "^classes: is 2.5, of type float .allowed: a whole number"),
        (lambda bad: api.create_model("fpenet", bad(True)), "^classes: is True"),
        (lambda bad: api.create_model("fpenet", seed=-1), "^seed: should be greater than or equal to 0"),
        (lambda bad: api.cost("fpenet", bad(64)), "^size: 64 is not a size"),
        (lambda bad: api.cost("fpenet", bad(None)), "^size: None is not a size"),
        (lambda bad: api.cost("fpenet", (0, 64)), "^size: .* is not a size"),
        (
            lambda bad: api.train("fpenet", "streets", bad({"epochs": 1})),
            "^recipe: is .*dict .allowed: text, a path, None",
        ),
        (lambda bad: api.train(bad(api.create_model("sgcpnet1")), "streets"), "^point: is Network"),
        (lambda bad: api.train("fpenet", bad([])), r"^data: is \[\], of type list"),
        (lambda bad: api.train("fpenet", "streets", epochs=0), "^epochs: should be greater than or equal to 1"),
        (lambda bad: api.latency("fpenet", SIZE, threads=bad("1")), "^threads: is '1'"),
        (lambda bad: api.latency("fpenet", SIZE, device=bad(torch.device("cpu"))), "^device: is device"),
        (lambda bad: api.export("fpenet", "x", size=SIZE, threads=0), "^threads: should be greater"),
        (lambda bad: api.export("fpenet", "x", size=SIZE, classes=1), "^classes: should be greater"),
        (lambda bad: api.export("fpenet", "x", size=SIZE, fps=float("nan")), "^fps: should be a finite number"),
        (lambda bad: api.export("fpenet", "x", size=SIZE, formats="onnx"), "^formats: is 'onnx', of type str"),
        (lambda bad: api.export(bad(api.create_model("sgcpnet1")), "x"), "^what: is Network"),
        (lambda bad: api.search(bad(None)), "^study: is None"),
        (lambda bad: api.search("quickstart", "x", objective=bad(3)), "^objective: is 3"),
        (lambda bad: api.search("quickstart", "x", objective=bad(len)), "^objective: cannot be called with two"),
        (lambda bad: api.evaluate(api.create_model("sgcpnet1"), "streets", weights="x"), "^weights: are only for"),
        (lambda bad: api.normalise(torch.rand(1, 8, 8, 3)), r"^images: are float32 \(1, 8, 8, 3\)"),
        (lambda bad: api.normalise(np.zeros((8, 8, 3), np.uint8)), r"^images: are uint8 \(8, 8, 3\)"),
        (lambda bad: api.normalise(torch.zeros(1, 3, 8, 8, dtype=torch.uint8)), "^images: are uint8"),
        (lambda bad: api.normalise(bad([1])), r"^images: are list \(\)"),
    ],
)
def test_arguments_of_another_kind_are_named(
    call: Callable[[Callable[[object], Any]], object], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=line) as error:
        call(lambda value: value)
    assert "\n" not in str(error.value) and "--" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_numpys_numbers_paths_and_lists_are_taken(tmp_path: Path) -> None:
    model = api.create_model("sgcpnet1", classes=cast(Any, np.int64(5)))
    size = cast(Any, [np.int64(64), 96])
    assert api.cost(model, size) == api.cost(model, SIZE)
    (tmp_path / "point.yaml").write_text("encoder: mobilenetv3\n", "utf-8")
    with pytest.raises(InputError, match="point.yaml"):  # as choices are missing, not as it is a path
        api.create_model(tmp_path / "point.yaml")


def test_a_network_is_scored_as_it_stands(tmp_path: Path) -> None:
    drawn = [Streets(count=2, seed=0, split=split, size_hw=SIZE) for split in ("train", "val")]
    data = api.own_data("standing", *drawn, classes=Streets.classes, size=SIZE)
    model = api.create_model("sgcpnet1", classes=len(Streets.classes), seed=3)
    api.save_weights(model, str(tmp_path / "w.safetensors"))
    scores = api.evaluate(model, data)
    assert model.training
    assert scores.confusion == api.evaluate("sgcpnet1", data, weights=tmp_path / "w.safetensors").confusion
