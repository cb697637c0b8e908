"""From a description to data sets."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from segsearch.data.camvid import open_camvid
from segsearch.data.config import CONFIGS, DataSpec, FolderData, StreetsData, parse_data
from segsearch.data.dataset import Splits
from segsearch.data.filedataset import FileDataset
from segsearch.data.folder import open_folder
from segsearch.data.headers import check_headers
from segsearch.data.layout import placements
from segsearch.data.own import open_own
from segsearch.data.pairs import refuse
from segsearch.data.published import LAYOUTS, open_published
from segsearch.data.streets.dataset import Streets
from segsearch.errors import InputError
from segsearch.progress import Report, silent
from segsearch.yaml12 import load_yaml

ANY_SIZE = (512, 1024)
"""Written where the size of a data set does not matter."""


def open_streets(config: StreetsData, cache: Path | None = None) -> Splits:
    """Open the drawn street scenes; ``cache`` keeps them on disk between runs."""
    train = Streets(count=config.train, seed=config.seed, split="train", size_hw=config.size, cache=cache)
    val = Streets(count=config.val, seed=config.seed, split="val", size_hw=config.size, cache=cache)
    return Splits(train=train, val=val)


OPENERS: dict[str, Callable[[Any, Path | None], Splits]] = {
    "streets": open_streets,
    **dict.fromkeys(LAYOUTS, open_published),
    "camvid": open_camvid,
    "camvid_colour": open_camvid,
    "folder": open_folder,
    "own": lambda config, cache: open_own(config),
}


def open_data(config: DataSpec, cache: Path | None = None, *, check: bool = True, report: Report = silent) -> Splits:
    """Open a data set; files are checked as far as their headers tell, pixels when they are first read.

    Images and the labels to learn from are brought to the data set's size. The labels of splits that are scored keep
    their own, as a label that is made smaller loses what is thin, and scores on it compare with nobody's.

    Args:
        config: which one.
        cache: a folder that keeps what is drawn.
        check: refuse files that do not fit together; `segsearch.data.survey` lists all of them instead.
        report: told of every pair whose headers are read, see `segsearch.data.headers`.

    Raises:
        InputError: something is missing or does not fit together.
    """
    splits = OPENERS[config.name](config, cache)
    files = {part: dataset for part, dataset in splits.parts() if isinstance(dataset, FileDataset)}
    everywhere = tuple(dict.fromkeys(folder for dataset in files.values() for folder in dataset.searched))
    for part, dataset in files.items():
        dataset.native_labels, dataset.searched = part != "train", everywhere
    if check:
        more = ", all of which `segsearch data check` lists"
        refuse([problem for dataset in files.values() for problem in dataset.problems], more)
        refuse(check_headers(list(files.values()), report), more)
    return splits


def find_data(path: Path) -> DataSpec | None:
    """Tell which data set a folder is, or a file that describes one, by what is in it; its size has no meaning.

    Returns:
        What `open_data` opens; None for a file of something else, such as a study.

    Raises:
        InputError: a folder without a known data set, or a file that is not YAML.
    """
    if path.is_dir():
        return _in_folder(path)
    if not path.is_file():
        return None
    content = load_yaml(path)
    if "classes" in content:
        return FolderData(root=str(path), size=ANY_SIZE)
    known = isinstance(content.get("name"), str) and content["name"] in CONFIGS and "data" not in content
    return parse_data({"size": list(ANY_SIZE)} | content, path) if known else None


def _in_folder(folder: Path) -> DataSpec:
    """Find what is laid out here; else what is described here; else what is laid out nearby."""
    found = _laid_out(folder, near=False) or _described(folder) or _laid_out(folder, near=True)
    if len(found) != 1:
        names = ", ".join(Path(data.root).name if isinstance(data, FolderData) else data.name for data in found)
        problem = f"holds several data sets: {names}" if found else "holds no known data set"
        allowed = f"one YAML file with classes, train and val in it, or the layout of {', '.join(LAYOUTS)}"
        raise InputError(folder, problem, allowed)
    return found[0]


def _laid_out(folder: Path, *, near: bool) -> list[DataSpec]:
    configs = [parse_data({"name": name, "root": str(folder)}, folder) for name in LAYOUTS]
    return [config for config in configs if placements(folder, LAYOUTS[config.name](config), near=near)]


def _described(folder: Path) -> list[DataSpec]:
    files = [file for file in sorted(folder.iterdir()) if file.suffix in (".yaml", ".yml") and file.is_file()]
    return [data for file in files if isinstance(data := find_data(file), FolderData)]
