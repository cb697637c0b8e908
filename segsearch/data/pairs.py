"""Which label belongs to which image."""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from segsearch.data.decode import LABEL_SUFFIXES
from segsearch.deployment.images import SUFFIXES, list_files, said_of
from segsearch.errors import InputError
from segsearch.files import expanded, no_file, to_bytes

_WILD = {"*": "(.*)", "?": "(.)"}


@dataclass(frozen=True, kw_only=True)
class FilePair:
    """An image file and its label file; ``key`` is what their names have in common."""

    key: str
    image: Path
    label: Path


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """What was found in the folders of one split.

    Attributes:
        pairs: by key.
        problems: one for each file that has no partner, or shares it with another.
        skipped: files that are neither images nor labels by their suffix.
        searched: folders that are read to any depth, so that every image in them is taken for one of the split.
    """

    pairs: tuple[FilePair, ...]
    problems: tuple[InputError, ...] = ()
    skipped: tuple[Path, ...] = ()
    searched: tuple[Path, ...] = ()

    def only(self, wanted: Callable[[FilePair], bool]) -> "Pairing":
        """Return it with those pairs that are wanted."""
        return replace(self, pairs=tuple(pair for pair in self.pairs if wanted(pair)))

    def divided(self, fraction: float, seed: int) -> tuple["Pairing", "Pairing"]:
        """Split off a share, drawn by hashes of the keys: the same files whatever their order on the disk.

        Raises:
            InputError: too few pairs for two parts.
        """
        if len(self.pairs) < 2:
            raise InputError("val.fraction", f"{len(self.pairs)} images cannot be divided", "two or more")
        order = sorted(self.pairs, key=lambda pair: hashlib.sha256(os.fsencode(f"{seed}/{pair.key}")).digest())
        count = min(max(1, round(fraction * len(order))), len(order) - 1)
        held = {pair.key for pair in order[:count]}
        rest, part = self.only(lambda pair: pair.key not in held), self.only(lambda pair: pair.key in held)
        return rest, replace(part, problems=(), skipped=())


def joined(parts: Iterable[Pairing]) -> Pairing:
    """Put the pairs of several places together."""
    every = list(parts)
    return Pairing(
        pairs=tuple(pair for part in every for pair in part.pairs),
        problems=tuple(problem for part in every for problem in part.problems),
        skipped=tuple(path for part in every for path in part.skipped),
        searched=tuple(folder for part in every for folder in part.searched),
    )


def refuse(problems: Sequence[InputError], more: str = "") -> None:
    """Raise InputError for the first problem, if there is one, and say how many others there are."""
    if problems:
        first, others = problems[0], len(problems) - 1
        raise InputError(first.place, first.problem + (f" (and {others} more{more})" if others else ""), first.allowed)


def refuse_inside(out: Path, searched: Iterable[Path]) -> None:
    """Keep results out of folders whose images are data: the next look would take them for images without labels.

    Raises:
        InputError: ``out`` is one of the folders, or inside one.
    """
    within = next((folder for folder in searched if out.resolve().is_relative_to(folder.resolve())), None)
    if within is not None:
        raise InputError(out, f"lies in {within}, which data is read from; the results need another folder")


def find_pairs(
    root: Path, images: str, labels: str, listed: str | None = None, keep: Callable[[str], bool] | None = None
) -> Pairing:
    """Pair the files of two folders, or of two patterns such as ``img/*/*_left.png`` and ``gt/*/*_ids.png``.

    In folders, searched to any depth, partners have the same path but for the suffix; in patterns, ``*`` stands for the
    same text. Names of folders that exist are taken as they are, whatever signs they hold.

    Args:
        root: what relative paths start from.
        images: folder or pattern.
        labels: folder or pattern.
        listed: a text file that names the images to take, one on each line.
        keep: which keys to take, where no list says it.

    Raises:
        InputError: a folder is missing or empty, a listed name is not there, or no two files to take are partners.
    """
    found, marked = _Side(root, images, SUFFIXES, "image"), _Side(root, labels, LABEL_SUFFIXES, "label")
    if listed is not None:
        keep = _listed(root, _under(root, listed), found).__contains__
    if keep is not None:
        for side in (found, marked):
            side.files = {key: path for key, path in side.files.items() if keep(key)}
    both = sorted(found.files.keys() & marked.files.keys())
    problems = (*found.twice, *marked.twice, *found.alone(marked), *marked.alone(found))
    told = {problem.place for problem in problems}
    if not both:
        refuse(problems)
        raise InputError(_under(root, images), "holds no image of this split")
    return Pairing(
        pairs=tuple(FilePair(key=key, image=found.files[key], label=marked.files[key]) for key in both),
        problems=problems,
        skipped=tuple(path for path in dict.fromkeys((*found.skipped, *marked.skipped)) if str(path) not in told),
        searched=(*found.searched, *marked.searched),
    )


class _Side:
    """The files of a folder or pattern, by key."""

    def __init__(self, root: Path, where: str, suffixes: tuple[str, ...], what: str) -> None:
        self.where, self.what, self._suffixes = where, what, suffixes
        self.files: dict[str, Path] = {}
        self.twice: list[InputError] = []
        self.skipped: list[Path] = []
        self.searched: tuple[Path, ...] = ()
        self.unusable: dict[str, Path] = {}
        place = _under(root, where)
        for key, path in self._listing(root, place, suffixes):
            if key in self.files:
                problem = f"and {self.files[key].name} would be the same {what}"
                self.twice.append(InputError(path, problem, "one file per name"))
            else:
                self.files[key] = path
        if not self.files:
            raise InputError(place, f"holds no {what} files" + said_of(self.skipped), suffixes)

    def _listing(self, root: Path, place: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
        if place.is_dir() or not any(sign in self.where for sign in _WILD):
            if not place.is_dir():
                raise InputError(place, "no such folder")
            self.searched = (place,)
            files, self.skipped = list_files(place, suffixes)
            for path in (path for path in self.skipped if path.suffix.lower() in suffixes):
                self.unusable[_key(path, place)] = path
            yield from ((_key(path, place), path) for path in files)
            return
        for stars, path in _matches(root, self.where):
            if path.suffix.lower() in suffixes and path.name[0] != ".":
                if path.is_file():
                    yield "/".join(stars), path
                else:
                    self.unusable["/".join(stars)] = path

    def alone(self, other: "_Side") -> list[InputError]:
        """Give a problem for each file without a partner, or with one that is no file."""
        keys = sorted(self.files.keys() - other.files.keys())
        return [self._alone(self.files[key], other, other.unusable_of(key)) for key in keys]

    def unusable_of(self, key: str) -> Path | None:
        """Return a link to nothing, or a folder, that has the name of a key's file; None if there is none."""
        named = (folder / f"{key}{suffix}" for folder in self.searched for suffix in self._suffixes)
        return self.unusable.get(key) or next((path for path in named if path.is_dir()), None)

    def _alone(self, path: Path, other: "_Side", partner: Path | None) -> InputError:
        if partner is None:
            return InputError(path, f"has no {other.what} in {other.where}")
        return InputError(partner, f"{no_file(partner)}, so that {path.name} has no {other.what}")


def _key(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()


def _under(root: Path, where: str) -> Path:
    return root / (expanded(where) if where.startswith("~") else where)


def _matches(root: Path, pattern: str) -> Iterator[tuple[tuple[str, ...], Path]]:
    """Find the files of a pattern, sorted, each with what its stars stand for."""
    if "**" in pattern:
        raise InputError(root / pattern, "cannot be searched", "a pattern with * and ? inside names, without **")

    def below(folder: Path, parts: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Path]]:
        (name, *rest), last = parts, len(parts) == 1
        if not any(sign in name for sign in _WILD) or (not last and (folder / name).is_dir()):
            names: list[tuple[tuple[str, ...], str]] = [((), name)]
        else:
            expression = re.compile("".join(_WILD.get(sign, re.escape(sign)) for sign in name), re.DOTALL)
            found = [(expression.fullmatch(entry), entry) for entry in entries(folder)]
            names = [(match.groups(), entry) for match, entry in found if match is not None]
        for stars, entry in names:
            if last:
                yield stars, folder / entry
            else:
                yield from ((stars + more, path) for more, path in below(folder / entry, tuple(rest)))

    yield from below(root, PurePosixPath(expanded(pattern) if pattern.startswith("~") else pattern).parts)


def entries(folder: Path) -> list[str]:
    """Names in a folder, sorted; of hidden files none; nothing where there is no such folder."""
    try:
        return sorted(name for name in os.listdir(folder) if name[0] != ".")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InputError(folder, f"cannot be read: {error.strerror}") from error


def _listed(root: Path, path: Path, found: _Side) -> set[str]:
    """Read the keys that a text file names: one image on each line, with or without suffix; # begins a comment."""
    known: dict[str, str] = {}
    for key, image in found.files.items():
        short = os.path.relpath(image, root)
        for name in (key, key + image.suffix, short, os.path.splitext(short)[0]):
            known.setdefault(to_bytes(Path(name).as_posix()).decode(), key)  # as lists of `segsearch init` have it
    wanted: dict[str, int] = {}
    problems: list[InputError] = []
    for number, line in enumerate(_lines(path), start=1):
        name = line.strip()
        if not name or name.startswith("#"):
            continue
        key = known.get(PurePosixPath(name).as_posix(), "")
        if not key:
            unusable = found.unusable_of(os.path.splitext(name)[0])
            problem = f"'{name}' is no image of {found.where}" if unusable is None else f"'{name}' {no_file(unusable)}"
            allowed = "one name a line, relative to that folder"
            problems.append(InputError(f"{path}:{number}", problem, allowed))
        elif wanted.setdefault(key, number) != number:
            problems.append(InputError(f"{path}:{number}", f"'{name}' stands in line {wanted[key]}, too"))
    refuse(problems)
    if not wanted:
        raise InputError(path, "names no images", f"one name a line, of images in {found.where}")
    return set(wanted)


def _lines(path: Path) -> list[str]:
    if path.exists() and not path.is_file():
        raise InputError(path, no_file(path))
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(path, "is not a text file in UTF-8") from error
