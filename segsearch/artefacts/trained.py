"""What was trained before, in whatever words it is named: a run, a study's trial, or a file of weights."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from segsearch.download import sha256
from segsearch.errors import InputError
from segsearch.files import expanded
from segsearch.frozen import Frozen
from segsearch.models.network import Network, build
from segsearch.named import folder_of_trial, read_point
from segsearch.space.lower import lower
from segsearch.spec.network import NetworkSpec
from segsearch.study_files import RUN, WEIGHTS, read_json, split_trial
from segsearch.training.distill import Teacher
from segsearch.training.recipe import Recipe
from segsearch.training.weights import WeightFacts, differing_classes, load_weights, read_weights

TRAINED = (
    "a run's folder, a study's trial (runs/my_study#12), or a .safetensors file of a training; "
    "`segsearch import-weights` makes one of other programs' files"
)


def weights_of(written: str, place: object) -> Path:
    """Return the file of weights that a run, a study's trial or the file itself names; it may not be there.

    Raises:
        InputError: a folder of something else, no such trial, or a run or trial that has no weights.
    """
    path, trial = Path(written), split_trial(written)
    if (path / RUN).is_file():
        folder = path
    elif trial is not None:
        folder = folder_of_trial(*trial)
    elif path.is_dir():
        raise InputError(place, f"{written} is a folder, and no run's", TRAINED)
    elif path.suffix != ".safetensors":
        raise InputError(place, f"{written} is not a .safetensors file", TRAINED)
    else:
        return path
    if not (folder / WEIGHTS).is_file():
        why = "the command that began it goes on with it" if folder == path else "they were deleted, or never trained"
        raise InputError(folder, f"has no {WEIGHTS}: {why}")
    return folder / WEIGHTS


class _Ran(Frozen, extra="ignore"):
    """What a run's file says of its network."""

    spec: NetworkSpec
    classes: tuple[str, ...]


def find_teacher(recipe: Recipe, classes: Sequence[str]) -> Teacher | None:
    """Return the trained network that a recipe names as its teacher, once it was built; None where it names none.

    Args:
        recipe: its ``teacher`` and ``teacher_weights``.
        classes: names of those that are to be learnt.

    Raises:
        InputError: no such network, no weights of it, weights that are not its, or other classes.
    """
    written, place = recipe.teacher, "recipe.teacher"
    if written is None:
        return None
    ran = _ran(Path(written))
    spec = lower(read_point(written, place)[1]) if ran is None else ran.spec
    if recipe.teacher_weights is not None:
        path = expanded(recipe.teacher_weights)
    elif ran is None and split_trial(written) is None:
        raise InputError("recipe.teacher_weights", f"is needed for {written}", TRAINED)
    else:
        path = weights_of(written, place)
    tensors, facts = read_weights(path)
    told = facts if ran is None else WeightFacts(classes=ran.classes)
    if (problem := differing_classes(tensors, told, classes)) is not None:
        raise InputError(place, f"{written} {problem}", "a network that was trained for the same classes")
    teacher = Teacher(sha256=sha256(path), build=partial(_built, spec, len(classes), path.absolute()))
    teacher.build()
    return teacher


def _ran(folder: Path) -> _Ran | None:
    return _Ran.parse(read_json(folder / RUN), folder / RUN) if (folder / RUN).is_file() else None


def _built(spec: NetworkSpec, classes: int, path: Path) -> Network:
    with torch.random.fork_rng([]):
        network = build(spec, classes)
    load_weights(network, path)
    return network
