"""The notebook of the documentation: it names what there is, and it runs from its first cell to its last."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import segsearch
from segsearch.study.config import load_study

NOTEBOOK = json.loads((Path(__file__).parents[1] / "docs/tour.ipynb").read_text())
CODE = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
TREE = ast.parse("\n".join(CODE))


def test_it_is_a_notebook_without_outputs() -> None:
    assert (NOTEBOOK["nbformat"], NOTEBOOK["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in NOTEBOOK["cells"]}) == len(NOTEBOOK["cells"])
    assert all(not cell["outputs"] for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code")


def test_it_uses_the_front_door() -> None:
    used = {
        node.attr
        for node in ast.walk(TREE)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "segsearch"
    }
    assert used <= set(segsearch.__all__)
    assert used >= {"create_model", "cost", "latency", "deploy", "own_data", "train", "search", "export", "load_model"}


def test_its_study_is_one() -> None:
    (study,) = (
        node.value
        for node in ast.walk(TREE)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "study"
    )
    assert isinstance(study, ast.Dict)
    written = {
        ast.literal_eval(key): ast.literal_eval(value)
        for key, value in zip(study.keys, study.values, strict=True)
        if key is not None and not isinstance(value, ast.Name)
    }
    assert load_study(written | {"data": {"name": "streets"}}).trials == 2


@pytest.mark.nightly
def test_it_runs_to_its_end(tmp_path) -> None:
    script = tmp_path / "tour.py"
    script.write_text("\n\n".join(CODE))
    environment = {"MPLBACKEND": "agg", "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", script],
        cwd=tmp_path, env=environment | {"HOME": str(tmp_path), "PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "failed" not in done.stdout.replace("0 failed", "")
    assert (tmp_path / "runs/tour/winner/model.onnx").is_file()
