"""The wheel carries spaces and studies, and works from any folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPO = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's contents, as pip would lay them out."""
    folder = tmp_path_factory.mktemp("wheel")
    code = f"import os; os.chdir({str(REPO)!r}); from hatchling.build import build_wheel; print(build_wheel({str(folder)!r}))"
    name = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()[-1]
    with zipfile.ZipFile(folder / name) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


def run(installed: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", "segsearch", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_shipped_files_are_found_from_anywhere(installed: Path, tmp_path: Path) -> None:
    where = run(installed, tmp_path, "space", "check", "fpenet")
    assert where.stdout.strip() == "b1787458fdda", where.stderr
    code = "import segsearch.resources as r; print(r.shipped('spaces/unified.yaml'), r.locate('quickstart', 'studies'))"
    environment = os.environ | {"PYTHONPATH": str(installed)}
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert all(str(installed) in path for path in found.stdout.split())


def test_every_study_and_space_is_in_the_wheel(installed: Path) -> None:
    shipped = installed / "segsearch" / "shipped"
    for folder in ("spaces", "studies"):
        inside = {p.relative_to(shipped / folder) for p in (shipped / folder).rglob("*.yaml")}
        assert inside == {
            p.relative_to(REPO / folder)
            for p in (REPO / folder).rglob("*.yaml")
            if not {"results", "reproduce", "flagship"} & {*p.parts}
        }


def test_the_pages_scripts_and_styles_are_in_the_wheel(installed: Path) -> None:
    assets = Path("segsearch/report/page/assets")
    assert {path.name for path in (installed / assets).iterdir()} == {path.name for path in (REPO / assets).iterdir()}


def test_no_stray_files(installed: Path) -> None:
    assert {p.name for p in installed.iterdir() if not p.name.endswith(".dist-info")} == {"segsearch"}
