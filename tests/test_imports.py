"""The house rule: imports point down, in no circle, and the package itself is light."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "segsearch"
FLOORS = {
    "cli": 12,
    "api": 12,
    "__main__": 13,
    "report": 11,
    "tuning": 10,
    "leaderboard": 9,
    "winner": 9,
    "ray_tune": 9,
    "engine": 8,
    "run": 7,
    "samplers": 7,
    "artefacts": 6,
    "study": 6,
    "trial": 6,
    "timing": 5,
    "result": 5,
    "describe": 5,
    "importer": 5,
    "named": 4,
    "published": 4,
    "space": 3,
    "models": 3,
    "training": 3,
    "remote": 3,
    "spec": 2,
    "data": 2,
    "measure": 2,
    "deployment": 1,
    "count": 1,
    "download": 1,
    "calls": 1,
    "errors": 1,
    "frozen": 1,
    "files": 1,
    "yaml12": 1,
    "study_files": 1,
    "resources": 1,
    "progress": 1,
    "processes": 1,
    "lock": 1,
    "interrupt": 1,
    "provenance": 1,
    "__init__": 0,
    "quiet": -1,
}
MODULES = sorted(PACKAGE.rglob("*.py"))
SHARED = {"errors", "frozen", "files", "yaml12", "study_files", "resources", "progress", "processes", "quiet"}
"""Single files of the ground floor that everybody may use, each other included."""


def room(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Modules of this package that a file imports, wherever in the file the import stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{a.name}" for a in node.names}
    return {n for n in names if n.split(".")[0] == "segsearch"}


def target(name: str) -> Path | None:
    """The file that an imported name lives in."""
    parts = name.split(".")[1:]
    while parts:
        for path in (PACKAGE.joinpath(*parts).with_suffix(".py"), PACKAGE.joinpath(*parts, "__init__.py")):
            if path.is_file():
                return path
        parts = parts[:-1]
    return None


def test_every_room_has_a_floor() -> None:
    assert {room(p) for p in MODULES} == set(FLOORS)


def test_the_house_is_described_as_it_is() -> None:
    """Names in the drawing end in ``/`` or ``.py``; a line without a number is of the floor above it."""
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text()
    told, floor = dict[str, int](), 0
    for line in text.split("## The house")[1].split("```")[1].splitlines():
        floor = int(number[0]) if (number := re.match(r"-?\d+", line)) else floor
        told |= {name: floor for name in re.findall(r"(\w+)(?:/|\.py)", line)}
    assert told == FLOORS, "CONTRIBUTING.md, The house: every part of the package on its floor, as FLOORS has it"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    here = room(path)
    for name in imported(path):
        there = room(target(name) or PACKAGE / "__init__.py")
        assert there == here or FLOORS[there] < FLOORS[here] or (there in SHARED and here != "__init__"), (
            f"{here} (floor {FLOORS[here]}) imports {name} (floor {FLOORS[there]}): imports point down only"
        )


def test_no_circles() -> None:
    graph = {p: {t for n in imported(p) if (t := target(n)) not in (None, p)} for p in MODULES}
    done: set[Path] = set()

    def visit(path: Path, trail: tuple[Path, ...]) -> None:
        assert path not in trail, " -> ".join(str(p.relative_to(PACKAGE)) for p in (*trail, path))
        if path not in done:
            for below in graph[path]:
                visit(below, (*trail, path))
            done.add(path)

    for path in MODULES:
        visit(path, ())


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import segsearch", {"torch", "optuna", "numpy", "pydantic", "yaml", "rich", "pandas"}),
        ("import segsearch.cli", {"torch", "optuna", "pandas", "matplotlib", "onnx", "onnxruntime"}),
        (
            "import segsearch.study.store, segsearch.report.tables, segsearch.report.plot",
            {"torch", "optuna", "pandas"},
        ),
        ("import segsearch.space.points; segsearch.space.points.named_points()", {"torch", "optuna", "numpy"}),
    ],
)
def test_heavy_libraries_load_late(statement: str, absent: set[str]) -> None:
    code = f"import sys; {statement}; print(' '.join(m for m in sys.modules if '.' not in m))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not absent & set(loaded)
