"""What a command line asks for, as a training: the point, the data and the recipe that its words mean."""

from pathlib import Path

from segsearch.artefacts.trained import weights_of
from segsearch.data.config import DataSpec
from segsearch.download import sha256
from segsearch.errors import InputError
from segsearch.measure.machine import find_device
from segsearch.named import read_point
from segsearch.run.data import read_data
from segsearch.run.folder import Start, Training
from segsearch.space.lower import lower
from segsearch.space.points import named_points
from segsearch.training.recipe import Recipe
from segsearch.training.recipes import load_recipe, paths_at, read_recipe_file, recipe_names

STRONG = "strong"
"""The recipe for points and data sets that no paper gives one for."""
MOST_SEED = 2**63 - 1


def ask(
    point: str,
    data: str | DataSpec,
    *,
    root: str | None = None,
    recipe: str | None = None,
    seed: int = 0,
    device: str = "cpu",
    size_hw: tuple[int, int] | None = None,
    epochs: int | None = None,
    split: str | None = None,
    weights: str | None = None,
    reset_head: bool = False,
    teacher: str | None = None,
) -> Training:
    """Read the words of ``segsearch train``.

    Args:
        point: see `segsearch.named.read_point`.
        data: see `segsearch.run.data.read_data`.
        root: see `segsearch.run.data.read_data`.
        recipe: a shipped name, or a file, whose folder relative paths in it begin at; default: that of the point's
            paper where it has one for the data, else strong.
        seed: of initial weights, batches and augmentation.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        size_hw: see `segsearch.run.data.read_data`.
        epochs: in place of the recipe's length.
        split: see `segsearch.run.data.read_data`.
        weights: what to begin with, see `segsearch.artefacts.trained.weights_of`; default: what the recipe says.
        reset_head: let the classifiers begin with fresh weights all the same.
        teacher: in place of the recipe's.

    Raises:
        InputError: no such point, data set, recipe or weights, or a field that does not hold. DeviceError: no such
            device.
    """
    find_device(device)
    if not 0 <= seed <= MOST_SEED:
        raise InputError("--seed", f"is {seed}", f"0 to {MOST_SEED}")
    name, choices = read_point(point)
    config = read_data(data, root=root, size_hw=size_hw, split=split)
    recipe = recipe or _usual(name, config.name)
    changes: dict[str, object] = {} if epochs is None else {"epochs": epochs}
    if teacher is not None:
        changes |= {"teacher": teacher} | paths_at(Path.cwd(), {"teacher": teacher})
    return Training(
        name=name,
        point=choices,
        spec=lower(choices),
        data=config,
        recipe_name=Path(recipe).stem,
        recipe=located(load_recipe(recipe, config.name, changes), Path(recipe)),
        seed=seed,
        device=device,
        weights=_start(weights, reset_head),
    )


def _start(weights: str | None, reset_head: bool) -> Start | None:
    if weights is None:
        if reset_head:
            raise InputError("--reset-head", "is only for a training that begins with --weights")
        return None
    path = weights_of(weights, "--weights").absolute()
    return Start(file=str(path), sha256=sha256(path), reset_head=reset_head)


def located(recipe: Recipe, path: Path) -> Recipe:
    """Let relative paths, which a recipe's file names, begin at the folder of that file."""
    return recipe.model_copy(update=paths_at(path.absolute().parent, dict(recipe)))


def _usual(point: str, data: str) -> str:
    named = named_points().get(point)
    has_own = named is not None and named.paper in recipe_names() and data in read_recipe_file(named.paper).data
    return named.paper if named is not None and has_own else STRONG
