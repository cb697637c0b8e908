"""Write the generated pages of the documentation: `python docs/make.py`. A test keeps them as this script writes them."""

import sys
import tempfile
from pathlib import Path

from pages.points import pictures, points
from pages.study_file import study_file
from pages.verbs import verbs

DOCS = Path(__file__).parent
PAGES = {"verbs.md": verbs, "study_file.md": study_file, "points.md": points}


def made() -> dict[str, str]:
    """Make all files, by their names in the documentation's folder."""
    with tempfile.TemporaryDirectory() as folder:
        drawn = {f"points/{path.name}": path.read_text() for path in pictures(Path(folder))}
    return {name: write() for name, write in PAGES.items()} | drawn


def main() -> None:
    """Write all files."""
    from segsearch.files import write_atomic

    for name, text in made().items():
        (DOCS / name).parent.mkdir(exist_ok=True)
        write_atomic(DOCS / name, text)
        print(DOCS / name, file=sys.stderr)


if __name__ == "__main__":
    main()
