"""What the image is built from: there, let through, and enough for the wheel. Docker itself is not run."""

import re
import tomllib
from pathlib import Path

REPO = Path(__file__).parents[1]
COPIED = [
    source
    for line in re.findall(r"^COPY (?!--from)(.*)$", (REPO / "Dockerfile").read_text(), re.M)
    for source in line.split()[:-1]
]
LET_THROUGH = re.findall(r"^!(.*)$", (REPO / ".dockerignore").read_text(), re.M)


def test_what_is_copied_exists_and_is_let_through() -> None:
    assert sorted(COPIED) == sorted(LET_THROUGH)
    assert all((REPO / source).exists() for source in COPIED)


def test_it_is_enough_for_the_wheel() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {
        *wheel["packages"],
        *wheel["force-include"],
        project["project"]["readme"],
        *project["project"]["license-files"],
    }
    assert needed <= set(COPIED)


def test_its_extras_exist_and_torch_is_pinned() -> None:
    text = (REPO / "Dockerfile").read_text()
    known = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = [extra for line in re.findall(r"EXTRAS=([\w,]+)", text) for extra in line.split(",")]
    assert len(named) > 3 and set(named) <= known.keys()
    assert re.search(r"^torch==[\d.]+$", (REPO / "constraints.txt").read_text(), re.M)
