"""Images and labels that a script gives: any sequence of pairs, such as a `torch.utils.data.Dataset`."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from segsearch.data.classes import check_names
from segsearch.data.config import OwnData
from segsearch.data.dataset import IGNORE, Memory, Pair, Splits
from segsearch.data.palette import Colour, distinct
from segsearch.deployment.images import Fit, resize_image, resize_label
from segsearch.errors import InputError

HASHED = 64
"""Most pairs of a split, evenly spread, that are compared with those of an earlier process: reading all takes long."""
MOST_CLASSES = IGNORE


class Items(Protocol):
    """What a map-style `torch.utils.data.Dataset` is: ``items[i]`` gives ``(image, label)``, and perhaps more."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


def own_data(
    name: str,
    train: Items,
    val: Items,
    *,
    classes: Sequence[str],
    size: tuple[int, int] | str,
    report: Items | None = None,
    ignore: Sequence[int] = (-1, IGNORE),
    colours: Sequence[Colour] | None = None,
    fit: Fit = "stretch",
    replace: bool = False,
) -> OwnData:
    """Make a script's own images and labels known under a name, and return their description.

    The description stands wherever one of a data set does: in `segsearch.train`, `segsearch.evaluate`, a study. It
    holds in this process alone, so a run or study on it goes on only in a script that calls this first. Pairs are kept
    once they are read, as far as memory allows: random changes of images belong into a recipe.

    Args:
        name: for people, and for the folders of runs. Within a process it stands for the same pairs and classes, so
            that what an earlier call returned never means others.
        train: pairs to learn from: an image, as (H, W, 3) or (3, H, W), of bytes or of floats from 0 to 1, not
            normalised, or as a picture of Pillow; and its label (H, W) of whole numbers. Arrays and tensors will do.
        val: pairs that steer the search and are scored, their labels at their own size.
        classes: names of the K classes, by their numbers in the labels, 0 .. K-1.
        size: height and width in pixels that images are brought to, ``(512, 1024)`` or ``"512x1024"``: what a network
            sees when it is deployed.
        report: pairs that are only reported on.
        ignore: numbers in labels that are neither learnt nor scored.
        colours: RGB of each class; default: colours that differ well.
        fit: ``stretch`` or ``pad``, how images of another shape are brought to ``size``.
        replace: let the name stand for other pairs than before, also where what was returned for it is still used.

    Raises:
        InputError: no images, a first pair that is none, no or too many classes, one of them twice, other than one
            colour per class, or a name that stands for other pairs.
    """
    sides = size if isinstance(size, str) else [*size]
    description = OwnData.parse({"name": "own", "label": name, "size": sides, "fit": fit}, "own_data")
    if isinstance(classes, str):
        raise InputError("classes", f"{classes!r} is one text", "a list of names, by number")
    if not 2 <= len(classes) <= MOST_CLASSES:
        raise InputError("classes", f"are {len(classes)}", f"2 to {MOST_CLASSES}")
    check_names(classes, "classes")
    shown = distinct(len(classes)) if colours is None else tuple(colours)
    if len(shown) != len(classes):
        raise InputError("colours", f"are {len(shown)} for {len(classes)} classes", "one for each")

    given = {"train": train, "val": val} | ({} if report is None else {"report": report})
    for split, items in given.items():
        if not (hasattr(items, "__len__") and hasattr(items, "__getitem__")):
            problem = f"is a {type(items).__name__}, whose pairs cannot be asked for by number"
            raise InputError(f"{name}/{split}", problem, "a Dataset, or a list of (image, label)")
        if len(items) == 0:
            raise InputError(f"{name}/{split}", "holds no images")

    def opened(config: OwnData) -> Splits:
        return Splits(
            **{
                split: OwnDataset(items, config, split, tuple(classes), shown, frozenset(ignore))
                for split, items in given.items()
            }
        )

    splits, before = opened(description), None if replace else _KNOWN.get(name)
    for _, part in splits.parts():
        part[0]
    if before is not None and _content(before(description)) != _content(splits):
        cure = "another name; replace=True lets this one stand for these from now on"
        raise InputError(f"own_data {name!r}", "stands for other pairs, classes or colours in this process", cure)
    _KNOWN[name] = opened
    return description


def _content(splits: Splits) -> dict[str, object]:
    return {split: (part.content(), part.colours) for split, part in splits.parts()}


def open_own(config: OwnData) -> Splits:
    """Open what `own_data` was given. Raises InputError where this process has not called it."""
    if config.label not in _KNOWN:
        cure = f"run the script that calls segsearch.own_data({config.label!r}, ...) with it"
        raise InputError(f"data {config.label}", f"is given by a script, and not here; {cure}")
    return _KNOWN[config.label](config)


_KNOWN: dict[str, Callable[[OwnData], Splits]] = {}


class OwnDataset:
    """A script's pairs as a `Dataset`."""

    def __init__(
        self,
        items: Items,
        description: OwnData,
        split: str,
        classes: tuple[str, ...],
        colours: tuple[Colour, ...],
        ignore: frozenset[int],
    ) -> None:
        self.name, self.classes, self.colours = f"{description.label}/{split}", classes, colours
        self._items, self._ignore = items, ignore
        self._size_hw, self.fit, self._native = description.size, description.fit, split != "train"
        self._memory = Memory()

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Pair:
        """Give image (H, W, 3) and label, both uint8; the label is (H, W), or of its own size where it is scored.

        Raises:
            InputError: a pair is none, its image or label has another form, or the label holds an unknown number.
            IndexError: outside 0 .. len-1.
        """
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._memory.get(index) or self._memory.put(index, self._load(index))

    def content(self) -> dict[str, str]:
        """See `Dataset`; hashes some pairs as they are given."""
        count, digest = len(self), hashlib.sha256()
        for index in sorted({round(step * (count - 1) / max(1, HASHED - 1)) for step in range(HASHED)}):
            for array in self._pair(index):
                digest.update(repr(array.shape).encode() + array.tobytes())
        size = "{}x{}".format(*self._size_hw)
        return {
            "classes": ", ".join(self.classes),
            "ignore": ", ".join(map(str, sorted(self._ignore))),
            "size": size if self.fit == "stretch" else f"{size}, {self.fit}",
            "given": f"{count} pairs, {digest.hexdigest()[:16]}",
        }

    def _load(self, index: int) -> Pair:
        image, label = self._pair(index)
        seen = resize_image(image, self._size_hw, self.fit)
        return seen, label if self._native else resize_label(label, self._size_hw, self.fit, IGNORE)

    def _pair(self, index: int) -> Pair:
        """Read a pair at its own size."""
        place, given = f"{self.name}[{index}]", self._items[index]
        if not isinstance(given, tuple | list) or len(given) < 2:
            raise InputError(place, f"is {type(given).__name__}, not a pair", "(image, label)")
        image, label = _image(given[0], place), self._label(given[1], place)
        if image.shape[:2] != label.shape:
            sizes = "{}x{} beside a label of {}x{}".format(*image.shape[:2], *label.shape)
            raise InputError(place, f"is an image of {sizes}", "one size for both")
        return image, label

    def _label(self, given: object, place: str) -> NDArray[np.uint8]:
        label = _array(given)
        if label.ndim != 2 or label.dtype.kind not in "iub":
            raise InputError(place, f"has a label of {_form(label)}", "whole numbers (H, W)")
        void = np.isin(label, list(self._ignore))
        unknown = label[~void & ((label < 0) | (label >= len(self.classes)))]
        if unknown.size:
            known = f"0 to {len(self.classes) - 1}, or one of ignore: {sorted(self._ignore)}"
            raise InputError(place, f"has the number {int(unknown[0])} in its label", known)
        return np.where(void, IGNORE, label).astype(np.uint8)


def _array(given: Any) -> NDArray[Any]:
    """Bring what a script gives to an array: a tensor may have a gradient, or lie on a GPU."""
    return np.asarray(given.detach().cpu() if hasattr(given, "detach") else given)


def _image(given: object, place: str) -> NDArray[np.uint8]:
    """Bring an image to bytes (H, W, 3)."""
    image = _array(given)
    if image.ndim == 3 and image.shape[2] != 3 and image.shape[0] == 3:
        image = image.transpose(1, 2, 0)
    if image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8:
        return np.array(image, order="C")  # a copy: what is kept must not change with the script's own array
    if image.ndim == 3 and image.shape[2] == 3 and image.dtype.kind == "f" and 0 <= image.min() <= image.max() <= 1:
        return np.ascontiguousarray((255 * image).round().astype(np.uint8))
    allowed = "bytes, or floats from 0 to 1 that are not normalised, of the form (H, W, 3) or (3, H, W)"
    raise InputError(place, f"has an image of {_form(image)}", allowed)


def _form(array: NDArray[Any]) -> str:
    span = f" from {array.min():.3g} to {array.max():.3g}" if array.size and array.dtype.kind in "fiu" else ""
    return f"{array.dtype} {tuple(array.shape)}{span}"
