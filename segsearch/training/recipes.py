"""Recipes by name: files that say how a network is trained on each data set, and where that is from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from segsearch.errors import InputError
from segsearch.files import expanded
from segsearch.frozen import Frozen
from segsearch.resources import locate, shipped
from segsearch.training.recipe import PATHS, Recipe
from segsearch.yaml12 import load_yaml

FOLDER = "spaces/recipes"
_LENGTHS = {"epochs", "iterations"}


class RecipeFile(Frozen):
    """A recipe as a file has it: the fields for any data set, and those that a data set changes."""

    source: str = Field(default="", description="paper and section")
    stated: str = Field(default="", description="what the source says")
    open: dict[str, str] = Field(
        default={}, description="per field or data set, what the source leaves open, and what is assumed for it"
    )
    recipe: dict[str, Any] = Field(description="fields of a recipe, for any data set")
    data: dict[str, dict[str, Any]] = Field(
        default={}, description="fields for one data set, by its name in a study's `data`"
    )


def recipe_names() -> tuple[str, ...]:
    """Names of the shipped recipes."""
    return tuple(sorted(path.stem for path in shipped(FOLDER).glob("*.yaml")))


def read_recipe_file(name: str | Path, beside: Path | None = None) -> RecipeFile:
    """Read a shipped recipe by its name, or any file by its path; one with fields of `Recipe` alone will do.

    Args:
        name: a relative path begins at ``beside``, by default the working directory.
        beside: an absolute path.

    Raises:
        InputError: no such recipe or file, or not a recipe's.
    """
    try:
        path = locate(str(name), FOLDER, beside)
    except InputError as error:
        raise InputError(f"recipe {error.place}", error.problem, error.allowed) from error
    content = load_yaml(path)
    return RecipeFile.parse(content if "recipe" in content else {"recipe": content}, path)


def paths_at(folder: Path, fields: Mapping[str, Any]) -> dict[str, str]:
    """Return those fields of a recipe that are paths, relative ones begun at ``folder``; a name of a point is none."""

    def is_path(key: str, written: str) -> bool:
        return written != "imagenet" and (key != "teacher" or any(mark in written for mark in "./#"))

    paths = {key: fields[key] for key in PATHS if fields.get(key) is not None}
    return {key: str(folder / expanded(path)) for key, path in paths.items() if is_path(key, path)}


def load_recipe(
    name: str | Path,
    data_name: str,
    changes: Mapping[str, object] | None = None,
    *,
    beside: Path | None = None,
    place: object = None,
) -> Recipe:
    """Return a recipe for a data set, by name or path.

    Args:
        name: see `read_recipe_file`; so is ``beside``.
        data_name: whose fields replace the common ones: ``camvid``; another data set gets the common ones.
        changes: fields that replace both.
        beside: where a relative path begins.
        place: what an error names, by default the recipe.

    Raises:
        InputError: no such recipe, or a field that does not hold.
    """
    file = read_recipe_file(name, beside)
    fields: dict[str, Any] = {}
    for layer in (file.recipe, file.data.get(data_name, {}), changes or {}):
        if layer.keys() & _LENGTHS:  # the one that is written replaces the other
            fields = {key: value for key, value in fields.items() if key not in _LENGTHS}
        fields |= layer
    return Recipe.parse(fields, name if place is None else place)
