"""A trial that begins with the encoder's weights of a file says so, and one whose encoder they do not fit says that."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from segsearch.data.config import StreetsData
from segsearch.data.open import open_data
from segsearch.errors import InputError
from segsearch.measure.conditions import Conditions
from segsearch.measure.timer import TimerSettings
from segsearch.models.network import build
from segsearch.space.lower import lower
from segsearch.space.points import named_point
from segsearch.spec.network import NetworkSpec
from segsearch.study.budget import Budget
from segsearch.study.gate import gate
from segsearch.study_files import WEIGHTS
from segsearch.training.recipe import Recipe
from segsearch.training.weights import load_weights
from segsearch.trial import TrialSetup, run_trial

SIZE = (32, 48)
SPEC = lower(named_point("fpenet").choices | {"encoder_width": 0.25, "coarsest": "P3", "encoder.fpe.q": 2})
OTHER = lower(named_point("fpenet").choices | {"encoder_width": 0.25, "coarsest": "P3", "encoder.fpe.q": 3})


@pytest.fixture(scope="module")
def setup() -> TrialSetup:
    return TrialSetup(
        splits=open_data(StreetsData(size=SIZE, train=4, val=2)),
        size_hw=SIZE,
        recipe=Recipe(iterations=1, batch_size=2, learning_rate=1e-9, weight_decay=0),
        gate=partial(gate, Budget()),
        device="cpu",
        under=Conditions(
            threads=1,
            timer=TimerSettings(min_samples=3, min_seconds=0.01, warmup_block_seconds=0.01, max_warmup_seconds=0.1),
        ),
    )


def given(path: Path, spec: NetworkSpec = SPEC) -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    state = build(spec).state_dict()
    torch.save(state, path)
    return state


def test_the_encoder_begins_with_the_files_weights_and_the_record_says_which(setup: TrialSetup, tmp_path: Path) -> None:
    state = given(tmp_path / "start.pth")
    recipe = setup.recipe.model_copy(update={"pretrained": str(tmp_path / "start.pth")})
    result = run_trial(SPEC, replace(setup, recipe=recipe), tmp_path / "a", seed=1)
    assert result.state == "complete" and str(result.pretrained).startswith("start.pth#")
    trained = build(SPEC, len(setup.splits.train.classes))
    load_weights(trained, tmp_path / "a" / WEIGHTS)
    first = "encoder.stem.convs.0.conv.weight"
    torch.testing.assert_close(trained.state_dict()[first], state[first], rtol=0, atol=1e-6)
    fresh = run_trial(SPEC, setup, tmp_path / "b", seed=1)
    assert fresh.pretrained is None and fresh.final_loss != result.final_loss


def test_an_encoder_that_they_do_not_fit_begins_fresh(setup: TrialSetup, tmp_path: Path) -> None:
    given(tmp_path / "start.pth", OTHER)
    recipe = setup.recipe.model_copy(update={"pretrained": str(tmp_path / "start.pth")})
    result = run_trial(SPEC, replace(setup, recipe=recipe), tmp_path / "a", seed=1)
    fresh = run_trial(SPEC, setup, tmp_path / "b", seed=1)
    assert result.state == "complete" and result.pretrained is None and result.final_loss == fresh.final_loss


def test_imagenet_where_nothing_is_published(setup: TrialSetup, tmp_path: Path) -> None:
    recipe = setup.recipe.model_copy(update={"pretrained": "imagenet"})
    result = run_trial(SPEC, replace(setup, recipe=recipe), tmp_path, seed=1)
    assert result.state == "complete" and result.pretrained is None


def test_a_file_that_cannot_be_had_is_nobodys_failed_trial(setup: TrialSetup, tmp_path: Path) -> None:
    recipe = setup.recipe.model_copy(update={"pretrained": str(tmp_path / "nope.pth")})
    with pytest.raises(InputError, match=r"nope\.pth: cannot be read"):
        run_trial(SPEC, replace(setup, recipe=recipe), tmp_path, seed=1)
