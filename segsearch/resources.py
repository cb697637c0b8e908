"""Where the shipped spaces and studies lie: inside the installed package, or at the top of a source checkout."""

from pathlib import Path

from segsearch.errors import InputError, meant
from segsearch.files import no_file

_PACKAGE = Path(__file__).parent
_ROOTS = (_PACKAGE / "shipped", _PACKAGE.parent)


def shipped(relative: str) -> Path:
    """Return the path of a shipped file or folder, such as ``spaces/unified.yaml``.

    Raises:
        InputError: no such thing is shipped.

    """
    for root in _ROOTS:
        if (root / relative).exists():
            return root / relative
    raise InputError(relative, "is not shipped with segsearch")


def locate(name: str, folder: str, beside: Path | None = None) -> Path:
    """Resolve what a user wrote: an existing file, or the name of a YAML shipped in ``folder``, such as ``unified``.

    Args:
        name: a relative path begins at ``beside``, by default the working directory.
        folder: ``spaces`` or ``studies``.
        beside: an absolute path.

    Raises:
        InputError: neither; names the shipped ones.

    """
    path = (beside or Path()) / name
    if path.is_file():
        return path
    stem = path.name.removesuffix(".yaml")
    if name in (stem, f"{stem}.yaml", f"{folder}/{stem}.yaml"):
        for root in _ROOTS:
            candidate = root / folder / f"{stem}.yaml"
            if candidate.is_file():
                return candidate
    names = sorted(p.stem for p in shipped(folder).glob("*.yaml"))
    raise InputError(path.absolute(), no_file(path) + meant(stem, names), f"a YAML file, or one of {', '.join(names)}")
