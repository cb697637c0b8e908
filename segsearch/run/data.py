"""Which data a command means: a known data set by its name, or the file or folder that describes one."""

from pathlib import Path
from typing import Any, get_args

from segsearch.data.config import CONFIGS, DataSpec, OwnData, parse_data
from segsearch.data.open import find_data
from segsearch.errors import InputError, meant, unknown
from segsearch.files import expanded
from segsearch.yaml12 import load_yaml

NAMES = tuple(name for name, kind in CONFIGS.items() if kind is not OwnData)
"""Of data sets that a command can name: a program gives its own."""


def read_data(
    written: str | DataSpec,
    *,
    root: str | None = None,
    size_hw: tuple[int, int] | None = None,
    split: str | None = None,
) -> DataSpec:
    """Read what ``--data``, ``--root``, ``--size`` and ``--split`` say together.

    A data set that searches divide in their own way, as they do CamVid, is taken with its official split, unless its
    file says otherwise.

    Args:
        written: ``camvid`` and its like, a YAML file, or a folder that `segsearch.data.open.find_data` knows; or the
            description of data, to be changed by the others.
        root: where the data lies, in place of what the file says.
        size_hw: height and width of the images in pixels, in place of the data set's usual ones.
        split: which images are learnt and which validate, where the data set has a choice.

    Raises:
        InputError: no such data set, no root or size where one is needed, a root for data that is drawn, or no such
            split.
    """
    if isinstance(written, str):
        plain: dict[str, Any] = {"name": written} if written in NAMES else _described(written)
    else:
        plain = written.model_dump(mode="json")
    fields = CONFIGS[plain["name"]].model_fields
    if root is not None:
        if "root" not in fields:
            why = "is given by the script" if plain["name"] == "own" else "is drawn"
            raise InputError("--root", f"{plain['name']} {why}, and lies nowhere")
        plain["root"] = str(expanded(root).absolute())
    if size_hw is not None:
        plain["size"] = list(size_hw)
    if split is not None:
        plain["split"] = _known_split(plain["name"], split)
        if split != "holdout":
            plain.pop("holdout", None)
    needed = {"root": "the folder that holds the data", "size": "HEIGHTxWIDTH in pixels, such as 512x1024"}
    for key, cure in needed.items():
        if key in fields and fields[key].is_required() and key not in plain:
            raise InputError(f"--{key}", f"is needed for {plain['name']}", cure)
    if "split" in fields:
        plain.setdefault("split", "official")
    return parse_data(plain, "--data")


def divided(data: DataSpec, split: str | None) -> DataSpec:
    """Return data divided as ``split`` says; None leaves it as it is. Raises InputError where it has no such split."""
    return data if split is None else read_data(data, split=split)


def _known_split(name: str, split: str) -> str:
    splits = {
        each: get_args(kind.model_fields["split"].annotation)
        for each, kind in CONFIGS.items()
        if "split" in kind.model_fields
    }
    if name not in splits:
        raise InputError("--split", f"{name} has one way to be divided", f"with {', '.join(splits)}")
    if split not in splits[name]:
        raise unknown("--split", split, splits[name])
    return split


def _described(written: str) -> dict[str, Any]:
    """Give the plain data of a file or folder, with a root that does not depend on where the command stands."""
    path = expanded(written)
    found = find_data(path)
    if found is None:
        problem = f"'{written}' is neither a data set nor the file or folder of one{meant(written, NAMES)}"
        raise InputError("--data", problem, NAMES)
    plain, said = found.model_dump(mode="json", exclude_unset=True), load_yaml(path) if path.is_file() else {}
    if "size" not in said:  # `find_data` writes any where none is said
        plain.pop("size", None)
    if "root" in plain:
        plain["root"] = str((path.parent if "root" in said else Path()).absolute() / expanded(plain["root"]))
    return plain | {"name": found.name}
