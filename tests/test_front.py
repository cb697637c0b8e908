"""What ``import segsearch`` offers, and that it is offered cheaply and truthfully."""

import ast
import pydoc
from pathlib import Path

import numpy as np
import pytest

import segsearch
from tests.engine.studies import TIMER

PACKAGE = Path(segsearch.__file__).parent


def test_every_name_is_there_documented_and_typed() -> None:
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text("utf-8"))
    typed = {alias.asname for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert typed == set(segsearch.__all__)
    for name in segsearch.__all__:
        assert getattr(segsearch, name).__doc__, name
    assert set(dir(segsearch)) == {*segsearch.__all__, "__version__"}


def test_no_module_hides_a_name() -> None:
    """The import of ``segsearch.train.loop`` would put a module where the function ``train`` was."""
    assert not set(segsearch.__all__) & {path.name.removesuffix(".py") for path in PACKAGE.iterdir()}


def test_help_reads_like_a_table_of_contents() -> None:
    text = pydoc.plain(pydoc.render_doc(segsearch))
    assert all(f"{name}(" in text for name in segsearch.__all__ if not name.endswith("Error"))
    assert "Annotated" not in text.partition("\nFUNCTIONS\n")[2], "a function's types are told plainly"


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'serch'"):
        _ = segsearch.serch  # type: ignore[attr-defined]


def test_a_script_searches_with_its_own_images_and_training(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    pairs = [(draw.integers(0, 256, (64, 96, 3), np.uint8), draw.integers(0, 3, (64, 96), np.uint8)) for _ in range(2)]
    data = segsearch.own_data("noise", pairs, pairs, classes=["a", "b", "c"], size=(64, 96))
    study = {"data": data, "trials": 2, "points": ["fpenet_plain", "sgcpnet1"], "timer": TIMER, "confirm": 0}
    seen: list[int] = []

    def objective(network, trial):
        seen.append(network.classes)
        return 0.25 * len(seen)

    outcome = segsearch.search(study, tmp_path / "study", objective=objective)
    assert [record.miou for record in outcome.records] == [0.25, 0.5]
    assert seen == [3, 3]
    with pytest.raises(segsearch.InputError, match=r"study.trails: unknown key, did you mean 'trials'"):
        segsearch.search({**study, "trails": 3})
    with segsearch.open_study(study, tmp_path / "study") as begun:
        assert begun.ask() is None
