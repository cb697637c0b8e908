"""Small data sets that the tests write themselves."""

from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from segsearch.data.dataset import Splits
from segsearch.data.pairs import refuse
from segsearch.data.survey import survey

SIZE = (24, 32)


def save_image(path: Path, seed: int = 0, size_hw: tuple[int, int] = SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size_hw, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def save_label(path: Path, classes: int = 3, seed: int = 0, size_hw: tuple[int, int] = SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = np.random.default_rng(seed).integers(0, classes, size_hw, dtype=np.uint8)
    Image.fromarray(ids).save(path)
    return path


def write_camvid(root: Path, sequences: dict[str, int], val: int = 3) -> Path:
    frames = [f"{name}_{100 + 10 * k:06}" for name, count in sequences.items() for k in range(count)]
    for part, names in (("train", frames), ("val", [f"0016E5_{k:05}" for k in range(7959, 7959 + val)])):
        for k, name in enumerate(names):
            save_image(root / part / f"{name}.png", k)
            save_label(root / f"{part}annot" / f"{name}.png", 12, k)
    return root


def write_folder(root: Path, **changes: object) -> Path:
    """Three images to learn from and two to score, three classes; ``changes`` replace keys of the YAML (None: left out)."""
    for part, count in (("train", 3), ("val", 2)):
        for k in range(count):
            save_image(root / "images" / part / f"{k}.png", 10 * count + k)
            save_label(root / "labels" / part / f"{k}.png", 3, k)
    content: dict[str, object] = {
        "classes": ["road", "car", "sky"],
        "train": {"images": "images/train", "labels": "labels/train"},
        "val": {"images": "images/val", "labels": "labels/val"},
    }
    content |= changes
    path = root / "set.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in content.items() if v is not None}))
    return path


def read_all(splits: Splits) -> None:
    """Raise InputError for the first file that cannot be used."""
    refuse([problem for found in survey(splits) for problem in found.problems])
