"""Where the files of a published data set lie, and how its root is found when it is a level or two off."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Literal, get_args

from segsearch.data.classes import Classes
from segsearch.data.pairs import Pairing, entries, find_pairs, joined
from segsearch.errors import InputError, meant

Split = Literal["train", "val"]


@dataclass(frozen=True, kw_only=True)
class Where:
    """Images and labels that belong together, and which of them to take: the arguments of `find_pairs`."""

    images: str
    labels: str
    listed: str | None = None
    keep: Callable[[str], bool] | None = None

    def needed(self) -> tuple[str, ...]:
        """Give the folders, and the list, that must be there."""
        folders = _fixed(self.images), _fixed(self.labels)
        return (*folders, self.listed) if self.listed else folders

    def below(self, folders: Mapping[str, str]) -> "Where":
        """Return it with what `needed` names lying in other folders."""
        images, labels = (f"{folders[_fixed(where)]}/{where}" for where in (self.images, self.labels))
        listed = f"{folders[self.listed]}/{self.listed}" if self.listed else None
        return replace(self, images=images, labels=labels, listed=listed)


def _fixed(pattern: str) -> str:
    """Give the part of a pattern before its first wildcard."""
    return "/".join(takewhile(lambda part: "*" not in part, pattern.split("/")))


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One way in which a data set is published.

    Attributes:
        classes: what its labels mean.
        sign: what images' names, without their suffix, are as a whole, a regular expression: folders of the same names
            may hold anything.
        train, val: places of files; those of a split are taken together.
        unread: patterns of other preparations of the data set, which are not read.
    """

    classes: Classes
    sign: str
    train: tuple[Where, ...]
    val: tuple[Where, ...]
    unread: tuple[str, ...] = ()

    def places(self, split: Split) -> tuple[Where, ...]:
        """Give where the files of a split lie."""
        return self.train if split == "train" else self.val

    def needed(self) -> tuple[str, ...]:
        """Give the folders and lists that must be there."""
        return tuple(dict.fromkeys(name for where in (*self.train, *self.val) for name in where.needed()))


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A layout, and the folder that its paths start from."""

    layout: Layout
    base: Path

    def pairs(self, split: Split) -> Pairing:
        """Find the files of a split. Raises InputError as `find_pairs`."""
        return joined(
            find_pairs(self.base, where.images, where.labels, where.listed, where.keep)
            for where in self.layout.places(split)
        )

    def folder(self, split: Split) -> Path:
        """Give the folder of a split's images, the first of several."""
        return self.base / self.layout.places(split)[0].needed()[0]

    def labelled(self) -> bool:
        """Whether there is a label by the names that this layout gives them."""
        return any(self.base.glob(self.layout.train[0].labels))


def place(root: Path, layouts: Sequence[Layout]) -> Placed:
    """Find which layout lies at a root, or near it: see `placements`.

    Raises:
        InputError: there is no such folder, or none of the layouts, or one of them several times.
    """
    if not root.is_dir():
        raise InputError(root, "no such folder", _expected(layouts))
    found = placements(root, layouts)
    if not found:
        raise _misplaced(root, layouts)
    return next((placed for placed in found if placed.labelled()), found[0])


def placements(root: Path, layouts: Sequence[Layout], *, near: bool = True) -> list[Placed]:
    """Give the layouts whose folders lie at ``root``.

    Where there is none, and ``near`` is asked for: those up to two levels below, as a whole or each folder in that of
    its own zip file; and those in the folder above, where ``root`` is one of the layout's own folders.

    Raises:
        InputError: a layout lies near the root several times.
    """
    exact = [Placed(layout=layout, base=root) for layout in layouts if _holds(root, layout.needed())]
    if exact or not near:
        return exact
    bases = _near(root, layouts)
    return [placed for layout in layouts if (placed := _placed(layout, root, bases)) is not None]


def _holds(base: Path, names: Sequence[str]) -> bool:
    return all(os.path.exists(base / name) for name in names)  # Path.exists raises where it may not look


def _near(root: Path, layouts: Sequence[Layout]) -> list[Path]:
    tops = {name.split("/")[0] for layout in layouts for name in layout.needed()}
    above = [root.absolute().parent] if root.absolute().name in tops else []
    below = [path.relative_to(root) for depth in ("*/", "*/*/") for path in sorted(root.glob(depth))]
    seen = [path for path in below if not any(part.startswith(".") for part in path.parts)]
    return [root, *above, *(root / path for path in seen)]


def _placed(layout: Layout, root: Path, bases: Sequence[Path]) -> Placed | None:
    whole = [base for base in bases if _holds(base, layout.needed())]
    if len(whole) > 1:
        raise InputError(root, f"holds the same data set in {whole[0]} and {whole[1]}", "the folder of one of them")
    if whole:
        return Placed(layout=layout, base=whole[0])
    folders: dict[str, str] = {}
    for name in layout.needed():
        found = [base for base in bases if base.is_relative_to(root) and _holds(base, [name])]
        if len(found) != 1:
            return None
        folders[name] = found[0].relative_to(root).as_posix()
    train, val = (tuple(where.below(folders) for where in layout.places(split)) for split in get_args(Split))
    return Placed(layout=replace(layout, train=train, val=val), base=root)


def _expected(layouts: Sequence[Layout]) -> str:
    return "a folder with " + "; or with ".join(dict.fromkeys(", ".join(layout.needed()) for layout in layouts))


def _misplaced(root: Path, layouts: Sequence[Layout]) -> InputError:
    """Say what is missing at the root, or where nearby at least half of a layout is."""
    bases = _near(root, layouts)
    for pattern in layouts[0].unread:
        if any(any(base.glob(pattern)) for base in bases):
            return InputError(root, f"holds {pattern}, a preparation that is not read", _expected(layouts))

    def share(layout: Layout, base: Path) -> float:
        return sum(_holds(base, [name]) for name in layout.needed()) / len(layout.needed())

    layout, base = max(((layout, base) for layout in layouts for base in bases), key=lambda found: share(*found))
    if share(layout, base) < 0.5:
        layout, base = max(layouts, key=lambda layout: share(layout, root)), root
    missing = base / next(name for name in layout.needed() if not _holds(base, [name]))
    while not os.path.exists(missing.parent):
        missing = missing.parent
    used = {path for name in layout.needed() for path in (base / name, *(base / name).parents)}
    others = [name for name in entries(missing.parent) if missing.parent / name not in used]
    near = meant(missing.name, others)
    if base != root:
        problem = f"holds no such data set; the nearest, {base}, lacks {missing.relative_to(base)}{near}"
        return InputError(root, problem, _expected(layouts))
    return InputError(missing, f"no such {'file' if missing.suffix == '.txt' else 'folder'}{near}", _expected(layouts))
