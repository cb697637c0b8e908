"""The committed trainings: their table says what their files say, and their weights score it."""

import json
from pathlib import Path

import pytest

from segsearch.run.folder import read_result, read_run
from tests.command import run
from tests.data.camvid_files import camvid_or_skip

REPRODUCE = Path(__file__).parents[1] / "studies" / "reproduce"
RUNS = sorted(path.parent for path in REPRODUCE.glob("*/result.json"))


@pytest.mark.parametrize("folder", RUNS, ids=lambda folder: folder.name)
def test_a_row_of_the_table_is_of_its_files(folder: Path) -> None:
    file, result = read_run(folder), read_result(folder)
    assert result is not None
    size = "{}x{}".format(*file.data.size)
    row = f"| [{folder.name}]({folder.name}) | `{file.name}` | {file.recipe_name} | {file.recipe.epochs} | {size} |"
    row += f" {file.seed} | {100 * result.scores.miou:.1f} % |"
    assert row in (REPRODUCE / "README.md").read_text(encoding="utf-8")


@pytest.mark.nightly
@pytest.mark.parametrize("folder", RUNS, ids=lambda folder: folder.name)
def test_the_weights_score_what_the_table_says(folder: Path) -> None:
    done = run("evaluate", folder, "--root", camvid_or_skip(), "--json")
    result = read_result(folder)
    assert done.returncode == 0 and result is not None, done
    assert json.loads(done.stdout)["miou"] == pytest.approx(result.scores.miou, abs=5e-4)
