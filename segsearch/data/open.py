"""From a description to data sets."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from segsearch.data.camvid import open_camvid
from segsearch.data.config import DataSpec, StreetsData
from segsearch.data.dataset import Splits
from segsearch.data.folder import open_folder
from segsearch.data.streets.dataset import Streets


def open_streets(config: StreetsData, cache: Path | None = None) -> Splits:
    """Open the drawn street scenes; ``cache`` keeps them on disk between runs."""
    train = Streets(count=config.train, seed=config.seed, split="train", size_hw=config.size, cache=cache)
    val = Streets(count=config.val, seed=config.seed, split="val", size_hw=config.size, cache=cache)
    return Splits(train=train, val=val)


OPENERS: dict[str, Callable[[Any, Path | None], Splits]] = {
    "streets": open_streets,
    "camvid": open_camvid,
    "folder": open_folder,
}


def open_data(config: DataSpec, cache: Path | None = None) -> Splits:
    """Open a data set; files are checked as far as their headers tell, pixels when they are first read (or by `check`).

    Raises:
        InputError: something is missing or does not fit together.
    """
    return OPENERS[config.name](config, cache)
