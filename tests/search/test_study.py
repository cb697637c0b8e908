"""What is refused before a study's first trial."""

from pathlib import Path
from typing import ClassVar

import pytest

from segsearch.errors import InputError
from segsearch.search.driver import run_study
from segsearch.search.study import prepare
from segsearch.search.watch import Silent
from segsearch.space.families.timm import MODEL

from .studies import made_up, quick, study

RECIPE = {"iterations": 4, "batch_size": 2}


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"recipe\.pretrained: .*nope\.pth is not there \(allowed: imagenet, or a file"
    ):
        prepare(quick(recipe=RECIPE | {"pretrained": str(tmp_path / "nope.pth")}))
    assert prepare(quick(recipe=RECIPE | {"pretrained": "imagenet"})).setup.recipe.pretrained == "imagenet"


def test_a_study_may_name_encoders_of_timms() -> None:
    narrow = {"encoder": ["timm"], MODEL: ["resnet18@P1:64,64,128,256,512"], "fusion": ["fpn"], "finest": ["P2"]}
    ready = prepare(study(narrow=narrow))
    assert ready.space.size
    with pytest.raises(InputError, match=r"narrow\.encoder\.timm\.model: is missing"):
        prepare(study(narrow={"encoder": ["timm"]}))


def test_an_encoder_without_the_finest_level_is_refused_before_anything_is_trained() -> None:
    narrow = {"encoder": ["timm"], MODEL: ["repvit_m0_9@P2:48,96,192,384"], "fusion": ["fpn"]}
    with pytest.raises(InputError, match="finest: P1 is not among the levels of this encoder"):
        prepare(study(narrow=narrow))


def test_a_space_that_proposes_nothing(tmp_path: Path) -> None:
    (tmp_path / "words.yaml").write_text("space: words\naxes: {encoder: {one_of: {timm: {model: {word: NAME}}}}}\n")
    with pytest.raises(InputError, match=r"words\.yaml: has a word without values"):
        prepare(study(space=str(tmp_path / "words.yaml")))


def test_who_begins_with_fresh_weights_after_all_is_said(tmp_path: Path) -> None:
    class Notes(Silent):
        said: ClassVar[list[str]] = []

        def note(self, text: str) -> None:
            self.said.append(text)

    outcome = run_study(
        quick(recipe=RECIPE | {"pretrained": "imagenet"}, trials=2), tmp_path, progress=Notes(), work=made_up
    )
    assert [n for n in Notes.said if "fresh weights: recipe.pretrained has none" in n] == Notes.said
    assert len(Notes.said) == 2 and {record.pretrained for record in outcome.records} == {None}
