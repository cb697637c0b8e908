"""Options that name a file to be written: nothing of another kind is replaced, whatever verb they are of."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from PIL import Image

from segsearch.cli.outputs import IMPORTED, SCORES, check_output
from segsearch.errors import InputError
from segsearch.models.network import build
from segsearch.space.lower import lower
from segsearch.space.points import named_points
from segsearch.training.per_image import PerImage
from segsearch.training.weights import WeightFacts, save_weights
from tests.command import refusal, run
from tests.data.samples import write_folder

TRAIN = ["train", "sgcpnet1", "--data", "set.yaml", "--size", "32x48", "--recipe", "search_short", "--out"]
FOLDERS = {
    "train": TRAIN,
    "search": ["search", "study.yaml", "--out"],
    "search --dry-run": ["search", "study.yaml", "--dry-run", "--out"],
    "init": ["init", ".", "--no-measure", "--out"],
    "visualize": [
        "visualize",
        "sgcpnet1",
        "--weights",
        "w.safetensors",
        "--data",
        "set.yaml",
        "--size",
        "32x48",
        "--out",
    ],
    "tune": ["tune", "sgcpnet1", "--weights", "w.safetensors", "--data", "set.yaml", "--size", "32x48", "--out"],
}
"""Verbs whose results lie in a folder, with data."""
STUDY = """
data: {name: folder, root: set.yaml, size: [32, 48]}
recipe: {iterations: 1}
trials: 1
"""

WRITING = {
    ".svg": ["show", "fpenet", "--size", "64x64", "--picture"],
    ".md": ["points", "--paper", "fpenet", "--table"],
    ".json": ["schema", "recipe", "--out"],
    ".html": ["report", "nowhere", "--out"],
    ".csv": ["evaluate", "nowhere", "--per-image"],
    ".safetensors": ["import-weights", "nope.pth", "--as", "sgcpnet1", "--out"],
    ".png": ["data", "sheet"],
}
"""By the suffix of what is written. Some are of things that are not there: the file is looked at before them."""
VERBS = pytest.mark.parametrize(("suffix", "words"), WRITING.items(), ids=WRITING)


def lies_there(path: Path) -> bytes:
    """Put something of another program at a path."""
    if path.suffix == ".png":
        Image.new("L", (4, 4)).save(path)
    elif path.suffix == ".json":
        path.write_text('{"title": "A schema of mine", "properties": {}}')
    else:
        path.write_text("image,label\n<html><title>mine</title></html>\n")
    return path.read_bytes()


@VERBS
def test_a_file_of_another_kind_is_kept(suffix: str, words: Sequence[str], tmp_path: Path) -> None:
    path = tmp_path / f"mine{suffix}"
    content = lies_there(path)
    line = refusal(*words, path, cwd=tmp_path)
    assert f"'{path}' exists and is not " in line and line.endswith("(allowed: another name)")
    assert path.read_bytes() == content and list(tmp_path.iterdir()) == [path]


@VERBS
def test_a_name_that_cannot_be_is_refused_before_any_work(suffix: str, words: Sequence[str], tmp_path: Path) -> None:
    (tmp_path / f"folder{suffix}").mkdir()
    (tmp_path / f"link{suffix}").symlink_to("nothing")
    for name, problem in (
        ("data.yaml", "'data.yaml' is not the name of"),
        (f"folder{suffix}", "is a folder"),
        (f"absent/x{suffix}", "'absent', where 'x"),
        (f"link{suffix}", "exists and is not"),
    ):
        line = refusal(*words, name, cwd=tmp_path)
        assert problem in line and line.startswith(("--", "OUT.png: ")), line
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"folder{suffix}", f"link{suffix}"]


@pytest.mark.parametrize("suffix", [".svg", ".md", ".json", ".png"])
def test_what_the_same_option_wrote_is_replaced(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"x{suffix}").touch()  # empty, as mktemp makes it
    for _ in range(2):
        done = run(*WRITING[suffix], f"x{suffix}", cwd=tmp_path)
        assert done.returncode == 0, done
    assert (tmp_path / f"x{suffix}").stat().st_size > 1000


def test_every_schema_is_known(tmp_path: Path) -> None:
    for what in ("spec", "study", "recipe", "spec"):
        assert run("schema", what, "--out", "s.json", cwd=tmp_path).returncode == 0


def test_scores_and_imported_weights_are_known_and_trained_ones_are_kept(tmp_path: Path) -> None:
    counts = torch.zeros(1, 2, dtype=torch.int64).numpy()
    PerImage(images=("a",), classes=("x, y", "z"), hits=counts, unions=counts).write(tmp_path / "x.csv")
    check_output("--per-image", tmp_path / "x.csv", SCORES)
    weights = tmp_path / "w.safetensors"
    save_weights(torch.nn.Linear(1, 1), weights, WeightFacts(release="sfnet"))
    check_output("--out", weights, IMPORTED)
    save_weights(torch.nn.Linear(1, 1), weights, WeightFacts(classes=("a", "b")))
    with pytest.raises(InputError, match="exists and is not a file of `segsearch import-weights`"):
        check_output("--out", weights, IMPORTED)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, a study of it and weights; a file and a link to nothing."""
    folder = tmp_path_factory.mktemp("here")
    write_folder(folder)
    (folder / "study.yaml").write_text(STUDY)
    save_weights(build(lower(named_points()["sgcpnet1"].choices), 3), folder / "w.safetensors")
    (folder / "FILE").touch()
    (folder / "LINK").symlink_to("nothing")
    return folder


@pytest.mark.parametrize("words", [*FOLDERS.values(), ["leaderboard", "--points", "sgcpnet1", "--quick", "--out"]])
def test_what_can_be_no_folder_is_refused(words: Sequence[str], here: Path) -> None:
    """A search says other things first, of what it begins with."""
    for name, problem in (
        ("FILE", "FILE: is a file"),
        ("LINK", "LINK: is a link to 'nothing', which is not there"),
        ("FILE/x", "FILE/x: cannot be made: 'FILE' is a file, no folder"),
    ):
        done = run(*words, name, cwd=here)
        assert done.returncode == 2 and done.stderr.splitlines()[-1].startswith(f"segsearch: {problem}"), done


@pytest.mark.parametrize("words", FOLDERS.values(), ids=FOLDERS)
@pytest.mark.parametrize("inside", ["images/train/run", "images/train", "images/run/../val/a/b", "labels/val/x"])
def test_results_are_kept_out_of_the_data(words: Sequence[str], inside: str, here: Path) -> None:
    before = sorted(here.rglob("*"))
    done = run(*words, inside, cwd=here)
    assert done.returncode == 2, done
    told = done.stderr.splitlines()[-1]
    assert "which data is read from; the results need another folder" in told or "holds 0.png and no run.json" in told
    assert sorted(here.rglob("*")) == before
