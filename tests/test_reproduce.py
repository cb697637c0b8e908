"""The committed trainings: their table says what their files say, and their weights score it."""

import json
import runpy
from pathlib import Path

import pandas as pd
import pytest

from segsearch.run.folder import read_result, read_run
from segsearch.space.lower import lower
from segsearch.study_files import WEIGHTS
from segsearch.yaml12 import load_yaml
from tests.command import run
from tests.data.camvid_files import camvid_or_skip

REPRODUCE = Path(__file__).parents[1] / "studies" / "reproduce"
FOLDERS = sorted(path.parent for path in REPRODUCE.glob("*/result.json"))
SCORED = [folder for folder in FOLDERS if (folder / WEIGHTS).exists()]
ROWS = pd.read_csv(REPRODUCE / "runs.csv")
SCRIPT = runpy.run_path(str(REPRODUCE.parents[1] / "benchmarks" / "reproduce.py"))


def test_the_tables_are_those_of_the_rows() -> None:
    assert "\n".join(SCRIPT["tables"](ROWS)) in (REPRODUCE / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_row_is_of_its_files(folder: Path) -> None:
    file, result = read_run(folder), read_result(folder)
    row = ROWS[ROWS.run == folder.name].iloc[0]
    assert result is not None
    assert (row.spec_id, row.recipe_id, row.epochs, row.seed) == (
        file.spec.id,
        file.recipe.id,
        file.recipe.epochs,
        file.seed,
    )
    assert row.miou == pytest.approx(100 * result.scores.miou, abs=0.005)


@pytest.mark.parametrize("path", sorted((REPRODUCE / "points").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_random_point_is_the_network_of_its_rows(path: Path) -> None:
    rows = ROWS[ROWS.name == path.stem]
    assert set(rows.spec_id) <= {lower(load_yaml(path)).id}


@pytest.mark.nightly
@pytest.mark.parametrize("folder", SCORED, ids=lambda folder: folder.name)
def test_the_weights_score_what_the_table_says(folder: Path) -> None:
    done = run("evaluate", folder, "--root", camvid_or_skip(), "--json")
    result = read_result(folder)
    assert done.returncode == 0 and result is not None, done
    assert json.loads(done.stdout)["miou"] == pytest.approx(result.scores.miou, abs=5e-4)
