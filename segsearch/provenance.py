"""Where a number came from: source commit and library versions, kept in every record."""

import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

from segsearch import __version__


@cache
def commit() -> str:
    """Return the source's commit, ``-dirty`` where files differ, or may; ``unknown`` outside of its own checkout."""
    checkout = Path(__file__).resolve().parents[1]
    if _git(checkout, "rev-parse", "--show-toplevel") != str(checkout):
        return "unknown"  # an installed copy, perhaps inside somebody else's repository
    head = _git(checkout, "rev-parse", "HEAD")
    changed = _git(checkout, "status", "--porcelain", "--untracked-files=no")
    return (head + ("" if changed == "" else "-dirty")) if head else "unknown"


@cache
def versions() -> dict[str, str]:
    """Return the versions that can change a result."""
    libraries = {name: version(name) for name in ("torch", "optuna", "numpy")}
    return {"segsearch": __version__, "python": platform.python_version(), **libraries}


def _git(folder: Path, *arguments: str) -> str | None:
    """Return git's answer; None where git is absent, slow or refuses."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
