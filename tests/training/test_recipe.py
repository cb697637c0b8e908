import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from segsearch.errors import InputError
from segsearch.training.recipe import DEFAULTS, Recipe
from segsearch.training.schedules import rate_at


@pytest.mark.parametrize("length", [{}, {"iterations": 5, "epochs": 5}])
def test_length_is_one_of_two(length: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"study\.recipe: exactly one of iterations and epochs must be given"):
        Recipe.parse(length, "study.recipe")


@pytest.mark.parametrize(
    "wrong",
    [
        {"iterations": 0},
        {"batch_size": 1},
        {"learning_rate": 0.0},
        {"momentum": 1.0},
        {"scale": [2.0, 0.5]},
        {"scale": [0.0, 1.0]},
        {"crop": [0, 32]},
        {"amp": "fp8"},
        {"optimizer": "lion"},
        {"auxiliary": "head"},
        {"warmup": 10},
        {"label_smoothing": 0.1},
        {"pretrained": "imagnet"},
        {"pretrained": "weights.onnx"},
        {"schema_version": 2},
        {"accumulate": 3},
        {"accumulate": 8},
        {"ema": 1.0},
        {"schedule": "linear"},
        {"schedule_by": "image"},
        {"loss": "focal"},
        {"ohem_threshold": 1.5},
        {"auxiliary_weight": [0.4, -1.0]},
        {"class_weights": "inverse"},
        {"rotate": 200},
        {"contrast": -0.1},
        {"interpolation": "area"},
    ],
)
def test_refuses_with_one_line(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError) as refusal:
        Recipe.parse({"iterations": 10} | wrong, "recipe")
    assert "\n" not in str(refusal.value) and next(iter(wrong)) in str(refusal.value)


def test_id_ignores_written_defaults_and_follows_every_other_field() -> None:
    plain = Recipe(iterations=10)
    assert Recipe(iterations=10, batch_size=8, optimizer="adam").id == plain.id
    longer, other = Recipe(iterations=11), Recipe(epochs=10)
    cropped, linear = Recipe(iterations=10, crop=(8, 8)), Recipe(iterations=10, power=1.0)
    assert len({recipe.id for recipe in (plain, longer, other, cropped, linear)}) == 5


def test_pretrained_weights_are_another_recipe_and_none_are_not() -> None:
    plain = Recipe(iterations=10)
    assert Recipe(iterations=10, pretrained=None).id == plain.id == "5b6eba8f9d77"
    assert len({plain.id, *(Recipe(iterations=10, pretrained=p).id for p in ("imagenet", "a.pth", "b.pt"))}) == 4


def test_survives_json() -> None:
    recipe = Recipe(epochs=3, scale=(1.0, 1.0), crop=(32, 64), clip_norm=1.0, amp="bf16")
    assert Recipe.parse(json.loads(recipe.canonical()), "recipe") == recipe


def test_is_frozen() -> None:
    with pytest.raises(ValidationError):
        Recipe(iterations=10).iterations = 3


@given(epochs=st.integers(1, 300), images=st.integers(1, 3000), batch_size=st.integers(2, 64))
def test_epochs_show_every_image_that_often(epochs: int, images: int, batch_size: int) -> None:
    steps = Recipe(epochs=epochs, batch_size=batch_size).total_steps(images)
    assert (steps - 1) * batch_size < epochs * images <= steps * batch_size


def test_iterations_do_not_depend_on_images() -> None:
    assert Recipe(iterations=7).total_steps(1) == Recipe(iterations=7).total_steps(1000) == 7


@pytest.mark.parametrize(("images", "warmup"), [(4, 0), (40, 4), (50, 49), (2000, 49)])
def test_a_training_too_short_for_its_warmup_warms_up_in_its_first_tenth(images: int, warmup: int) -> None:
    recipe = Recipe(epochs=2, batch_size=2, warmup=49)
    total = recipe.total_steps(images)
    assert total == images and recipe.warmup_in(total) == warmup
    first, last = (rate_at(step, total, images, recipe) for step in (0, warmup))
    assert first == pytest.approx(recipe.learning_rate / (warmup + 1)) and last >= first


def test_ids_of_stored_recipes_stay() -> None:
    """Ids as records of older versions have them."""
    quickstart = Recipe(iterations=105, learning_rate=2e-3, scale=(0.75, 1.5), class_weights="enet")
    both = Recipe(
        epochs=30, batch_size=4, optimizer="sgd", clip_norm=1.0, crop=(64, 96), auxiliary="both", auxiliary_weight=1.0
    )
    assert quickstart.canonical() == (
        '{"class_weights":"enet","iterations":105,"learning_rate":0.002,"scale":[0.75,1.5]}'
    )
    assert both.canonical() == (
        '{"auxiliary":"both","auxiliary_weight":1.0,"batch_size":4,"clip_norm":1.0,"crop":[64,96],"epochs":30,'
        '"optimizer":"sgd"}'
    )


def test_a_changed_default_renames_and_equates_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Recipe(iterations=10)
    monkeypatch.setitem(DEFAULTS, 2, {"power": 1.0, "optimizer": "adamw"})
    old = [Recipe.parse({"iterations": 10} | more, "recipe") for more in ({}, {"schema_version": 1}, {"power": 0.9})]
    assert {recipe.id for recipe in old} == {plain.id} and {recipe.power for recipe in old} == {0.9}
    newer = Recipe.parse({"iterations": 10, "schema_version": 2}, "recipe")
    written = Recipe.parse({"iterations": 10, "schema_version": 2, "power": 0.9, "optimizer": "adam"}, "recipe")
    assert (newer.power, newer.optimizer, written.power, written.optimizer) == (1.0, "adamw", 0.9, "adam")
    assert newer.canonical() == '{"iterations":10,"optimizer":"adamw","power":1.0,"schema_version":2}'
    assert len({plain.id, newer.id, written.id}) == 3
    assert (
        Recipe.parse(json.loads(newer.canonical()), "recipe")
        == newer
        == Recipe.parse(newer.model_dump(mode="json"), "r")
    )


def test_an_unknown_schema_version_is_one_line() -> None:
    with pytest.raises(InputError, match=r"^recipe: schema_version 7 is not known \(known: 1\)$"):
        Recipe.parse({"iterations": 10, "schema_version": 7}, "recipe")


def test_a_list_of_auxiliary_weights_survives_json() -> None:
    recipe = Recipe(iterations=1, auxiliary="neck", auxiliary_weight=(1.0, 0.5))
    assert Recipe.parse(recipe.model_dump(mode="json"), "recipe") == recipe
    assert Recipe.parse({"iterations": 1, "auxiliary_weight": 1}, "recipe").auxiliary_weight == 1.0
