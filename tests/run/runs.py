"""A run small enough for tests: a network that trains in a moment, on eight drawn scenes."""

import json
from pathlib import Path

from segsearch.run.ask import ask
from segsearch.run.folder import Training
from tests.test_trial import POINT

SIZE = (32, 48)


def write_point(folder: Path, **changes: object) -> str:
    """A file of choices, as a POINT is written."""
    path = folder / "tiny.json"
    path.write_text(json.dumps(POINT | changes))
    return str(path)


def write_streets(folder: Path, train: int = 8, val: int = 3) -> str:
    path = folder / "few.yaml"
    path.write_text(f"{{name: streets, size: [{SIZE[0]}, {SIZE[1]}], train: {train}, val: {val}}}")
    return str(path)


def write_recipe(folder: Path, text: str = "{epochs: 3, batch_size: 2, ema: 0.9}") -> str:
    path = folder / "short.yaml"
    path.write_text(text)
    return str(path)


def tiny(folder: Path, recipe: str = "{epochs: 3, batch_size: 2, ema: 0.9}", seed: int = 0) -> Training:
    """Twelve steps on eight scenes."""
    return ask(write_point(folder), write_streets(folder), recipe=write_recipe(folder, recipe), seed=seed)
