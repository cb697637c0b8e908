"""What lies in a folder that nobody has described: which files are images, which their labels, how they are divided."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from segsearch.data.affixes import Affixes, joint_affixes, tokens
from segsearch.data.config import DataSpec, parse_data
from segsearch.data.decode import LABEL_SUFFIXES
from segsearch.data.layout import placements
from segsearch.data.pairs import Pairing, find_pairs
from segsearch.data.published import LAYOUTS
from segsearch.deployment.images import SUFFIXES, list_files, opened, said_of
from segsearch.errors import InputError

_LABELS = (
    "label labels lbl mask masks annotation annotations annot annots ann gt gtfine gtcoarse groundtruth ground_truth"
    " seg segs segmentation segmentations segmentationclass segmentationclassaug labelids labeltrainids target targets"
).split()
_IMAGES = "image images img imgs jpegimages leftimg8bit photo photos picture pictures rgb input inputs frames".split()
_OTHERS = "segmentationobject instance instances panoptic depth disparity overlay overlays".split()
"""Folders beside them whose files are neither."""
_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_GLUED = re.compile(r"(train|valid|val|test)(annot|labels?|masks?|images?)")
_LISTS = ("ImageSets/Segmentation", "ImageSets/SegmentationContext", "ImageSets", "splits", ".")
"""Where text files of names, train.txt and val.txt, may lie."""
_MOST_IDS = 64
"""A grey picture with more values than these is a photograph."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """Images and labels of one split: folders or patterns as `find_pairs` takes them, and what it found there."""

    images: Path
    labels: Path
    pairing: Pairing
    listed: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Recognised:
    """What a folder holds.

    Attributes:
        layout: what was recognised, in words.
        published: a data set in the layout that it is published in; nothing else is told of it.
        parts: by split: ``train``, and ``val`` where the folder has one.
        notes: what was left alone, a sentence each.
    """

    layout: str
    published: DataSpec | None = None
    parts: dict[str, Found]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Side:
    """Files of one kind and split, below one folder."""

    folder: Path
    files: list[Path]


def recognise(images: Path, labels: Path | None = None) -> Recognised:
    """Recognise a published layout, or pair images with labels by the names of folders and files.

    Args:
        images: the folder of the images, or of both.
        labels: the folder of the labels; default: found inside the other.

    Raises:
        InputError: no such folder, no images, no labels, or several data sets.
    """
    for place in (images, labels):
        if place is not None and not place.is_dir():
            raise InputError(place, "is a file" if place.is_file() else "no such folder", "a folder of images")
    apart = labels is not None and not labels.samefile(images)
    if not apart and (published := _published(images)) is not None:
        return Recognised(layout=f"{published.name}, as it is published", published=published, parts={})
    files, others = list_files(images, SUFFIXES)
    if not files:
        raise InputError(images, "holds no images" + said_of(others), SUFFIXES)
    if apart:
        assert labels is not None
        sides = _given(images, labels, files)
    else:
        sides = _by_folders(images, files) or _by_names(images, files)
    if not sides:
        raise _one_kind_only(images, files)
    return _divided(images, sides)


def _published(folder: Path) -> DataSpec | None:
    """Find a published data set whose images are called as in it."""
    for near in (False, True):
        for name, layouts in LAYOUTS.items():
            config = parse_data({"name": name, "root": str(folder.resolve())}, folder)
            for placed in placements(folder, layouts(config), near=near):
                if placed.labelled() and _signed(placed.folder("train"), placed.layout.sign):
                    return config
    return None


def _signed(folder: Path, sign: str) -> bool:
    first = next((path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES), None)
    return first is not None and re.fullmatch(sign, first.stem) is not None


def _meant(part: str) -> tuple[str | None, str | None]:
    """Say what a folder's name means: ``labels``, ``images``, ``others`` or None; and a split or None."""
    words = {part.lower(), *tokens(part.lower())}
    if glued := _GLUED.fullmatch(part.lower()):
        words |= set(glued.groups())
    kinds = (("others", _OTHERS), ("labels", _LABELS), ("images", _IMAGES))
    kind = next((kind for kind, known in kinds if words & set(known)), None)
    return kind, next((split for word, split in _SPLITS.items() if word in words), None)


Sides = dict[tuple[str, ...], dict[str, _Side]]
"""By what tells them from others, a split or nothing: the sides ``images`` and ``labels``."""


class _Collected:
    """Files by what their folders say, their kind, and the folder."""

    def __init__(self) -> None:
        self._files: dict[tuple[str, ...], dict[str, dict[Path, list[Path]]]] = {}

    def add(self, rest: tuple[str, ...], kind: str, folder: Path, path: Path) -> None:
        """Put a file where it belongs."""
        self._files.setdefault(rest, {}).setdefault(kind, {}).setdefault(folder, []).append(path)

    def sides(self) -> Sides:
        """Give the largest folder of each kind, deep before shallow, where there are both kinds."""

        def largest(folders: dict[Path, list[Path]]) -> _Side:
            return _Side(*max(folders.items(), key=lambda item: (len(item[1]), len(item[0].parts))))

        pairs = {rest: kinds for rest, kinds in self._files.items() if len(kinds) == 2}
        return {rest: {kind: largest(folders) for kind, folders in kinds.items()} for rest, kinds in pairs.items()}


def _by_folders(root: Path, files: Iterable[Path]) -> Sides:
    """Pair folders whose paths differ in the word for images or labels; without labels, nothing."""
    found = _Collected()
    for path in files:
        kind, rest, folder = _place(root, path)
        if kind != "others" and (kind != "labels" or path.suffix.lower() in LABEL_SUFFIXES):
            found.add(rest, kind or "images", folder, path)
    return found.sides()


def _place(root: Path, path: Path) -> tuple[str | None, tuple[str, ...], Path]:
    """Say of a file its kind, what else its folders say, and the last folder that says something."""
    parts = path.relative_to(root).parts[:-1]
    meant = [_meant(part) for part in parts]
    kinds = [number for number, (kind, _) in enumerate(meant) if kind]
    splits = [number for number, (_, split) in enumerate(meant) if split]
    last = max([*kinds[:1], *splits[:1]], default=-1)
    before = [part for number, part in enumerate(parts[: last + 1]) if meant[number] == (None, None)]
    rest = (*before, *(split for number in splits[:1] if (split := meant[number][1])))
    return (meant[kinds[0]][0] if kinds else None), rest, root.joinpath(*parts[: last + 1])


def _given(images: Path, labels: Path, files: Iterable[Path]) -> Sides:
    """Pair two folders that a person named, divided by the splits that both have."""
    marked, others = list_files(labels, LABEL_SUFFIXES)
    if not marked:
        raise InputError(labels, "holds no label files" + said_of(others), LABEL_SUFFIXES)
    seen = [path for path in files if not path.resolve().is_relative_to(labels.resolve())]
    if not seen:
        raise InputError(images, "holds no images beside the labels", SUFFIXES)
    divided, whole = _Collected(), _Collected()
    for kind, root, every in (("images", images, seen), ("labels", labels, marked)):
        for path in every:
            _, rest, folder = _place(root, path)
            divided.add(rest, kind, folder, path)
            whole.add((), kind, root, path)
    found = divided.sides()
    return found if found and all(len(rest) == 1 and rest[0] in _SPLITS.values() for rest in found) else whole.sides()


def _by_names(root: Path, files: Sequence[Path]) -> Sides:
    """Pair files of one folder: ``a.jpg`` with ``a_mask.png``, or with ``a.png``."""
    marked = {path for path in files if path.suffix.lower() in LABEL_SUFFIXES and _called_label(path.stem)}
    if not marked:
        lossy = {path.with_suffix("") for path in files if path.suffix.lower() not in LABEL_SUFFIXES}
        marked = {path for path in files if path.suffix.lower() in LABEL_SUFFIXES and path.with_suffix("") in lossy}
    found = _Collected()
    for path in files:
        _, rest, folder = _place(root, path)
        found.add(rest, "labels" if path in marked else "images", folder, path)
    return found.sides()


def _called_label(stem: str) -> bool:
    words = tokens(stem.lower())
    return len(words) > 1 and (words[-1] in _LABELS or words[0] in _LABELS)


def _one_kind_only(root: Path, files: Sequence[Path]) -> InputError:
    """Say that there are images only, or labels only."""
    marked = [path for path in files if _place(root, path)[0] == "labels"]
    if marked and len(marked) < len(files) and marked[0].suffix.lower() not in LABEL_SUFFIXES:
        return InputError(marked[0], "is a label in a format that may change its values", LABEL_SUFFIXES)
    if len(marked) == len(files) or all(map(_like_label, files[:8])):
        problem = f"holds {len(files):,} labels and no images"
        return InputError(root, problem, "the folder that holds both, or the two folders IMAGES LABELS")
    problem = f"holds {len(files):,} images and no labels that are recognised"
    allowed = "a folder of labels called labels, masks, annotations or gt; files such as a_mask.png; or IMAGES LABELS"
    return InputError(root, problem, allowed)


def _like_label(path: Path) -> bool:
    try:
        with opened(path) as image:
            if path.suffix.lower() not in LABEL_SUFFIXES or image.mode not in ("1", "L", "P"):
                return False
            return image.mode != "L" or len(image.getcolors(256) or range(256)) <= _MOST_IDS
    except InputError:
        return False


def _divided(root: Path, sides: Sides) -> Recognised:
    """Keep the splits that are learnt from and scored on; of folders without splits, read the lists of names."""
    strange = [rest for rest in sides if rest and rest[-1] not in _SPLITS.values()]
    named = {rest[-1]: rest for rest in sides if rest and rest[-1] in _SPLITS.values()}
    if len(named) + (() in sides) + len(strange) != len(sides) or (strange and len(sides) > 1):
        problem = "holds several folders of images and labels: " + ", ".join("/".join(rest) or "." for rest in sides)
        raise InputError(root, problem, "one of them, or the two folders IMAGES LABELS")
    wanted = [name for name in ("train", "val") if name in named]
    pool = next((rest for rest in ((), *strange) if rest in sides), None)
    if "train" not in named:
        wanted, rest = [], pool if pool is not None else next(iter(named.values()))
    else:
        rest = named["train"]
    notes = [f"{name} is left alone" for name in ("test",) if name in named and named[name] != rest]
    parts = {"train": _paired(sides[rest])}
    if "val" in wanted:
        parts["val"] = _paired(sides[named["val"]])
    else:
        parts = _by_lists(root, parts["train"]) or parts
    words = "images and labels" + (" in train and val" if "val" in wanted else "")
    return Recognised(layout=f"a folder with {words}", parts=parts, notes=tuple(notes))


def _paired(both: dict[str, _Side]) -> Found:
    """Find what the names of images and labels have in common, and write it as folders or as patterns."""
    images, labels = both["images"], both["labels"]
    seen, marked = ([path.relative_to(side.folder) for path in side.files] for side in (images, labels))
    ours, theirs = joint_affixes(seen, marked)
    if not (ours or theirs) and images.folder != labels.folder:
        wheres = images.folder, labels.folder
    else:
        wheres = _pattern(images.folder, seen, ours), _pattern(labels.folder, marked, theirs)
    return Found(images=wheres[0], labels=wheres[1], pairing=_pairs(*wheres))


def _pairs(images: Path, labels: Path, listed: Path | None = None) -> Pairing:
    return find_pairs(Path.cwd(), str(images), str(labels), None if listed is None else str(listed))


def _pattern(folder: Path, files: Sequence[Path], affixes: Affixes) -> Path:
    """Give the pattern of most of the files that have the affixes."""
    shapes = Counter((len(path.parts) - 1, path.suffix) for path in files if affixes.core(path) is not None)
    (depth, suffix), _ = shapes.most_common(1)[0]
    return folder.joinpath(*["*"] * depth, f"{affixes.before}*{affixes.after}{suffix}")


def _by_lists(root: Path, found: Found) -> dict[str, Found] | None:
    """Divide images by train.txt and val.txt, where these name them."""
    for place in _LISTS:
        lists = {name: root / place / f"{name}.txt" for name in ("train", "val")}
        if all(path.is_file() for path in lists.values()):
            try:
                return {name: _chosen(found, path) for name, path in lists.items()}
            except InputError:  # other files of these names
                continue
    return None


def _chosen(found: Found, listed: Path) -> Found:
    pairing = _pairs(found.images, found.labels, listed)
    return Found(images=found.images, labels=found.labels, pairing=pairing, listed=listed)
