"""What a command line asks for, as a training: the point, the data and the recipe that its words mean."""

from pathlib import Path

from segsearch.describe import read_point
from segsearch.files import expanded
from segsearch.measure.machine import find_device
from segsearch.models.pretrained import IMAGENET
from segsearch.run.data import read_data
from segsearch.run.folder import Training
from segsearch.space.lower import lower
from segsearch.space.points import named_points
from segsearch.train.recipe import Recipe
from segsearch.train.recipes import load_recipe, read_recipe_file, recipe_names

STRONG = "strong"
"""The recipe for points and data sets that no paper gives one for."""


def ask(
    point: str,
    data: str,
    *,
    root: str | None = None,
    recipe: str | None = None,
    seed: int = 0,
    device: str = "cpu",
    size_hw: tuple[int, int] | None = None,
    epochs: int | None = None,
) -> Training:
    """Read the words of ``segsearch train``.

    Args:
        point: see `segsearch.describe.read_point`.
        data: see `segsearch.run.data.read_data`.
        root: see `segsearch.run.data.read_data`.
        recipe: a shipped name, or a file, whose folder a relative path of weights in it begins at; default: that of the
            point's paper where it has one for the data, else strong.
        seed: of initial weights, batches and augmentation.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        size_hw: see `segsearch.run.data.read_data`.
        epochs: in place of the recipe's length.

    Raises:
        InputError: no such point, data set or recipe, or a field that does not hold. DeviceError: no such device.
    """
    find_device(device)
    name, choices = read_point(point)
    config = read_data(data, root=root, size_hw=size_hw)
    recipe = recipe or _usual(name, config.name)
    return Training(
        name=name,
        point=choices,
        spec=lower(choices),
        data=config,
        recipe_name=Path(recipe).stem,
        recipe=_located(load_recipe(recipe, config.name, {} if epochs is None else {"epochs": epochs}), Path(recipe)),
        seed=seed,
        device=device,
    )


def _located(recipe: Recipe, path: Path) -> Recipe:
    """Let the path of a file of weights begin at the folder of the recipe's file."""
    if recipe.pretrained is None or recipe.pretrained == IMAGENET:
        return recipe
    return recipe.model_copy(update={"pretrained": str(path.absolute().parent / expanded(recipe.pretrained))})


def _usual(point: str, data: str) -> str:
    named = named_points().get(point)
    has_own = named is not None and named.paper in recipe_names() and data in read_recipe_file(named.paper).data
    return named.paper if named is not None and has_own else STRONG
