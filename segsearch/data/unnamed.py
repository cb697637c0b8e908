"""What pairs of files hold whose label values nobody has named: sizes, values, and which classes they would be."""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from segsearch.data.classes import check_names
from segsearch.data.dataset import IGNORE
from segsearch.data.decode import read_size
from segsearch.data.filedataset import in_threads
from segsearch.data.labels import ColourLabels, IdLabels, Tally
from segsearch.data.pairs import FilePair, entries
from segsearch.data.palette import Colour
from segsearch.errors import InputError
from segsearch.progress import Report, silent

SAMPLE = 300
"""Most pairs that are read."""
_PEEK = 8
"""Labels that are looked at to tell ids from colours."""
_STEP = 16
"""Values at least so far apart are shades that somebody drew, 255 among them; else 255 is no class."""
_MOST_COLOURS = 255
_NAMES = ("classes.txt", "class_names.txt", "labels.txt", "classes.names")
_COLOURS = ("class_dict.csv", "labelmap.txt")
_NAMED = re.compile(r"([^,:#]+)[,:]\s*(\d+),\s*(\d+),\s*(\d+)\b.*")
"""``Car,64,0,128`` as Kaggle's copy of CamVid has it, and ``Car:64,0,128::`` of CVAT."""

Value = int | Colour


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a sample of pairs holds.

    Attributes:
        pairs: of all, so many; looked: read of them.
        encoding: what values are: ids, or colours.
        pixels, images: by value: pixels that have it, and labels that show it.
        sizes: of images, as they are shown: how many have a size (H, W).
        problems: files that cannot be used.
    """

    pairs: int
    looked: int
    encoding: Literal["ids", "colours"]
    pixels: Counter[Value]
    images: Counter[Value]
    sizes: Counter[tuple[int, int]]
    problems: tuple[InputError, ...]

    def share(self, value: Value) -> float:
        """Share of all pixels that have a value."""
        return self.pixels[value] / self.pixels.total()


@dataclass(frozen=True, kw_only=True)
class Classes:
    """Which classes the values would be.

    Attributes:
        values: the id or colour of each class; names: of each, ``class_0`` where nothing tells it.
        ignore: values that stand for no class.
    """

    values: tuple[Value, ...]
    names: tuple[str, ...]
    ignore: tuple[int, ...]


def sampled(pairs: Sequence[FilePair], most: int = SAMPLE) -> list[FilePair]:
    """Give pairs spread over all of them."""
    count = min(most, len(pairs))
    return [pairs[k * len(pairs) // count] for k in range(count)]


def image_sizes(pairs: Sequence[FilePair]) -> Counter[tuple[int, int]]:
    """Count the sizes (H, W) of a sample of images, by their headers. Raises InputError as `read_size`."""
    return Counter(in_threads(read_size, (pair.image for pair in sampled(pairs))))


def look(pairs: Sequence[FilePair], report: Report = silent) -> Look:
    """Read a sample of labels, and the headers of their images.

    Raises:
        InputError: none of the labels can be read, or they hold more colours than anybody draws.
    """
    chosen = sampled(pairs)
    coloured = any(_is_coloured(pair.label) for pair in chosen[:: max(1, len(chosen) // _PEEK)])
    reader = ColourLabels(colours=(), ignore="others") if coloured else IdLabels(ids=tuple(range(256)), ignore=())
    pixels, images, sizes = Counter[Value](), Counter[Value](), Counter[tuple[int, int]]()
    problems = list[InputError]()

    def read(pair: FilePair) -> tuple[tuple[int, int], Tally] | InputError:
        try:
            size, tally = read_size(pair.image), reader.tally(pair.label)
        except InputError as error:
            return error
        if size != tally.size_hw:
            found, wanted = ("{}x{}".format(*each) for each in (tally.size_hw, size))
            return InputError(pair.label, f"is {found} but its image is {wanted} (height x width)")
        return size, tally

    for done, found in enumerate(in_threads(read, chosen), start=1):
        report("look at labels", done, len(chosen))
        if isinstance(found, InputError):
            problems.append(found)
            continue
        size, tally = found
        sizes[size] += 1
        counts = {_value(written): n for written, n in tally.ignored.items()}
        counts |= {value: n for value, n in tally.classes.items()}
        pixels.update(counts)
        images.update(counts.keys())
        if len(pixels) > _MOST_COLOURS + 1:
            problem = "and those before it hold more than 255 colours: pictures, or labels that lost their values"
            raise InputError(chosen[done - 1].label, problem, "labels with one colour or id per class, as PNG")
    if not pixels:
        raise problems[0]
    return Look(
        pairs=len(pairs),
        looked=len(chosen),
        encoding="colours" if coloured else "ids",
        pixels=pixels,
        images=images,
        sizes=sizes,
        problems=tuple(problems),
    )


def _is_coloured(path: Path) -> bool:
    """Whether a label that can be read holds colours."""
    try:
        IdLabels(ids=()).values(path)
    except InputError:
        try:
            ColourLabels(colours=()).values(path)
        except InputError:
            return False
        return True
    return False


def _value(written: str) -> Value:
    """Read what `LabelReader.written` writes: an id, or a colour."""
    numbers = [int(number) for number in written.strip("()").split(",")]
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1], numbers[2])


def classes_of(seen: Look, folders: Iterable[Path], place: Path) -> Classes:
    """Say which classes the values of labels would be; names come from a file beside them, where there is one.

    Of ids, 255 stands for no class, unless the values are shades far apart, such as 0 and 255. Where only a sample was
    read and most ids up to the highest occur, the others are taken to be classes as well.

    Raises:
        InputError: there is one value only, or too many; or a list of names has one that cannot be shown.
    """
    if seen.encoding == "colours":
        values: list[Value] = [colour for colour, _ in seen.pixels.most_common()]
        ignore: list[int] = []
    else:
        ids = sorted(value for value in seen.pixels if isinstance(value, int))
        shades = min((b - a for a, b in itertools.pairwise(ids)), default=0) >= _STEP and ids[0] == 0
        ignore = [] if shades else [value for value in ids if value == IGNORE]
        ids = [value for value in ids if value not in ignore]
        if seen.looked < seen.pairs and ids and len(ids) > ids[-1] / 2:
            ids = list(range(ids[-1] + 1))
        values = [*ids]
    if not 2 <= len(values) <= IGNORE:
        held = ", ".join(map(str, [*values, *ignore][:4]))
        raise InputError(place, f"its {seen.looked:,} labels show {len(values)} classes ({held})", "2 to 255 classes")
    return Classes(values=tuple(values), names=_names(values, folders), ignore=tuple(ignore))


def _names(values: Sequence[Value], folders: Iterable[Path]) -> tuple[str, ...]:
    """Take names from a list with a line for each class, or from a table of colours.

    Raises:
        InputError: a list or table that fits has a name that cannot be shown.
    """
    unnamed = [f"class_{k}" for k in range(len(values))]
    for folder in folders:
        there = entries(folder)
        for name in (name for name in _COLOURS if name in there and not isinstance(values[0], int)):
            table = {_rgb(match): match[1].strip() for line in _lines(folder / name) if (match := _NAMED.match(line))}
            found = [table.get(value, own) for value, own in zip(values, unnamed, strict=True)]  # type: ignore[arg-type]
            if len(set(found)) == len(found):
                check_names(found, folder / name)
                return tuple(found)
        for name in (name for name in _NAMES if name in there and isinstance(values[0], int)):
            lines = [line.strip() for line in _lines(folder / name) if line.strip()]
            if len(lines) == len(set(lines)) == len(values):
                check_names(lines, folder / name)
                return tuple(lines)
    return tuple(unnamed)


def _rgb(match: re.Match[str]) -> Colour:
    return int(match[2]), int(match[3]), int(match[4])


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):  # not meant as such a list
        return []
