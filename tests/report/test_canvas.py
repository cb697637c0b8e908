"""Pictures do not depend on a notebook's or a user's settings, and never cost the result that they show."""

import json
import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest

from segsearch.engine.prepare import prepare
from segsearch.errors import InputError
from segsearch.report import plot
from segsearch.report.console import optional
from segsearch.report.plot import plot_study
from segsearch.study.store import StudyFolder
from tests.command import run
from tests.engine.builders import record
from tests.engine.studies import quick


@pytest.fixture
def study(tmp_path: Path) -> Path:
    store = StudyFolder(tmp_path / "study")
    store.begin(prepare(quick()).file)
    for number, miou in ((1, 0.296), (2, 0.5)):
        store.finish(record(number, miou=miou, latency_ms=4.0 + number))
    return store.path


@pytest.mark.parametrize(
    "backend",
    [
        "module://matplotlib_inline.backend_inline",
        "QtAgg",
        *(pytest.param(word, marks=pytest.mark.nightly) for word in ("module://no.such", "nonsense")),
    ],
)
def test_a_notebooks_backend_is_no_concern(backend: str, study: Path) -> None:
    command = [sys.executable, "-m", "segsearch", "pareto", str(study)]
    done = subprocess.run(
        command, env=os.environ | {"MPLBACKEND": backend}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "29.6 %" in done.stdout and (study / "pareto.png").read_bytes().startswith(b"\x89PNG")


def test_a_users_style_is_no_concern(tmp_path: Path) -> None:
    records = [record(1, miou=0.5), record(2, miou=0.25, latency_ms=3.0)]
    plot_study(records, tmp_path / "a.png", title="mine")
    odd = {"text.usetex": True, "savefig.dpi": 40, "savefig.bbox": "tight", "font.family": "fantasy", "axes.grid": True}
    with matplotlib.rc_context(odd):
        plot_study(records, tmp_path / "b.png", title="mine")
        assert matplotlib.rcParams["savefig.dpi"] == 40, "and it is left as it was"
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_front_for_programs(study: Path) -> None:
    front, every = (json.loads(run("pareto", study, "--json", *more).stdout) for more in ((), ("--all",)))
    assert [(row["number"], row["miou"], row["on_front"]) for row in every] == [(1, 0.296, True), (2, 0.5, True)]
    assert front == every and not (study / "pareto.png").exists()


def test_a_picture_that_fails_is_left_out(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> None:
        raise RuntimeError("no font\nwas found")

    monkeypatch.setattr(plot, "study_figure", failing)
    done = run("pareto", study)
    assert done.returncode == 0 and "29.6 %" in done.stdout
    assert done.stderr == "note: pareto.png was left out: no font was found\n"
    assert (study / "trials.csv").is_file() and not (study / "pareto.png").exists()


def test_a_folder_that_cannot_be_written_is_refused_after_the_table(study: Path) -> None:
    (study / "trials.csv").mkdir()
    done = run("pareto", study)
    assert done.returncode == 2 and "29.6 %" in done.stdout
    assert done.stderr.startswith(f"segsearch: {study}/trials.csv: cannot be written") and done.stderr.count("\n") == 1


def test_only_what_is_optional_may_fail(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError), optional("a picture"):
        raise InputError("x", "cannot be written")
    with pytest.raises(KeyboardInterrupt), optional("a picture"):
        raise KeyboardInterrupt
    with optional("a table", refusals=True):
        raise InputError("x", "cannot be written")
    assert capsys.readouterr().err == "note: a table was left out: x: cannot be written\n"
