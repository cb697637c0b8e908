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
        (lambda: api.train("fpenet", "camvid"), "--root: is needed for camvid"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(call: Callable[[], object], line: str) -> None:
    with pytest.raises(InputError, match=line):
        call()
