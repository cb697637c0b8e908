"""A trained network trained a little longer, so that its int8 file loses less."""

import copy
from pathlib import Path

from segsearch.models.network import Network
from segsearch.progress import Report
from segsearch.training.fake_int8 import FakeInt8
from segsearch.training.loop import train
from segsearch.training.recipe import Recipe
from segsearch.training.session import Step
from segsearch.training.weights import WeightFacts, load_weights, save_weights
from segsearch.tuning.subjects import Subject

RATE = 0.1
"""Learning rate, as a share of what the training began with."""
_NOT_TAKEN = {"iterations", "warmup", "pretrained", "teacher", "teacher_weights"}


def fine_tuned(subject: Subject, epochs: int, path: Path, report: Report, device: str = "cpu") -> Network:
    """Return the network after ``epochs`` more of its training, in which convolutions are rounded as int8 does.

    It is trained on ``device``. Its weights are kept at ``path``, and taken from there; a training that was stopped
    goes on.

    Raises:
        DivergedError: the loss is no longer a number.
        InputError: the disk is full.
        Others: what ``report`` raises, after the state is saved.
    """
    network = copy.deepcopy(subject.network)
    if not path.exists():
        checkpoint = path.with_suffix(".pt")

        def on_step(step: Step) -> None:
            report("fine-tune for int8", step.done, step.total)

        with FakeInt8(exact=tuple(network.head.classify.parameters())):
            train(
                network,
                continued(subject.recipe, epochs, device),
                subject.learnt,
                seed=0,
                device=device,
                checkpoint=checkpoint,
                on_step=on_step,
            )
        save_weights(network, path, WeightFacts(point=subject.name, classes=tuple(subject.label.classes)))
        checkpoint.unlink(missing_ok=True)
    load_weights(network, path)
    return network.to("cpu").eval()


def continued(recipe: Recipe, epochs: int, device: str) -> Recipe:
    """Return a recipe for more epochs at a tenth of its learning rate, without auxiliary heads, teacher and warm-up.

    A processor does not compute in float16, in which the recipe may have been trained on a GPU.
    """
    taken = {
        name: value for name, value in recipe.model_dump(exclude=_NOT_TAKEN).items() if not name.startswith("auxiliary")
    }
    if device == "cpu" and recipe.amp == "fp16":
        taken["amp"] = "none"
    return Recipe(**taken | {"epochs": epochs, "learning_rate": RATE * recipe.learning_rate})
