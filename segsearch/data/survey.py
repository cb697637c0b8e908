"""What a data set holds, found by reading it: broken files, classes, sizes; and what of it would spoil a study."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from segsearch.data.dataset import IGNORE, Dataset, Splits
from segsearch.data.filedataset import FileDataset, Look, apart, in_threads
from segsearch.data.labels import IdLabels, Tally
from segsearch.data.pairs import refuse
from segsearch.errors import InputError
from segsearch.progress import Report, silent

SAMPLE = 500
"""Most labels of a split that are read before a study begins."""


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What was found in one split.

    Attributes:
        part: ``train``, ``val`` or ``report``; place: what errors name.
        classes: names, by index.
        files: images of the split; looked: how many of them were read.
        pixels, images: by class index: pixels of the class, and labels that show it.
        ignored, unknown: pixels by label value as it is written: of those to ignore, and of those that mean nothing.
        sizes: how many labels have a size (H, W).
        problems: one for each file that cannot be used; skipped: files that are neither images nor labels.
        allowed: which label values mean something; ids: the one of each class, where a person may choose it.
    """

    part: str
    place: str
    classes: tuple[str, ...]
    files: int
    looked: int
    pixels: tuple[int, ...]
    images: tuple[int, ...]
    ignored: dict[str, int]
    unknown: dict[str, int]
    sizes: dict[tuple[int, int], int]
    problems: tuple[InputError, ...]
    skipped: tuple[str, ...]
    allowed: str
    ids: tuple[int, ...] | None

    @property
    def absent(self) -> tuple[str, ...]:
        """Names of the classes that no label shows."""
        return tuple(name for name, pixels in zip(self.classes, self.pixels, strict=True) if not pixels)

    @property
    def void(self) -> bool:
        """Whether labels were read and no pixel of them shows a class."""
        return bool(self.sizes) and not any(self.pixels)

    @property
    def labels(self) -> str:
        """Which labels were read, in words: ``6 labels``, or ``500 labels (a sample of 20,000)``."""
        return f"{self.looked:,} labels" + ("" if self.looked == self.files else f" (a sample of {self.files:,})")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a survey means for a study.

    Attributes:
        refused: why a study does not begin.
        spoiled: why its figures would mean nothing, a sentence each.
        warned: what else to know, a sentence each.
    """

    refused: tuple[InputError, ...]
    spoiled: tuple[str, ...]
    warned: tuple[str, ...]


def survey(splits: Splits, report: Report = silent) -> tuple[Survey, ...]:
    """Read every image and label of a data set, whatever is wrong with some of them."""
    return tuple(_survey(part, data, range(len(data)), _looks(data), report) for part, data in splits.parts())


def check_labels(splits: Splits, report: Report = silent) -> tuple[str, ...]:
    """Check labels before a study begins: all of a small split, a sample of a large one, always the same.

    Drawn data is not checked, as its labels are known.

    Returns:
        What a person should know, a sentence each; which labels were read, if not all.

    Raises:
        InputError: a label cannot be used, or no pixel of a split shows a class.
    """
    surveys = [_sampled(part, data, report) for part, data in splits.parts() if isinstance(data, FileDataset)]
    refuse([problem for found in surveys for problem in found.problems], "; `segsearch data check` lists all")
    verdict = judge(surveys)
    refuse(verdict.refused)
    sampled = tuple(f"{found.place}: {found.labels} were read" for found in surveys if found.looked < found.files)
    return verdict.spoiled + verdict.warned + sampled + tuple(_learnt(splits))


def _learnt(splits: Splits) -> Iterator[str]:
    """Say that images which validate are learnt from, as CamVid's ``split: trainval`` does."""
    if isinstance(splits.train, FileDataset) and isinstance(splits.val, FileDataset):
        twice = len(apart(splits.train, splits.val))
        if twice:
            yield f"{splits.val.place}: {twice:,} of its images are learnt from, so its scores tell nothing of new ones"


def _sampled(part: str, data: FileDataset, report: Report) -> Survey:
    order = np.random.default_rng(0).permutation(len(data)).tolist()
    found = _survey(part, data, sorted(order[:SAMPLE]), data.look_at_label, report)
    if not found.void or found.looked == len(data):
        return found
    return _survey(part, data, range(len(data)), data.look_at_label, report)  # a sample does not prove all void


def _looks(data: Dataset) -> Callable[[int], Look]:
    if isinstance(data, FileDataset):
        return data.look

    def look(index: int) -> Look:
        label = data[index][1]
        counts = np.bincount(label.ravel(), minlength=IGNORE + 1).tolist()
        classes = {k: counts[k] for k in range(len(data.classes)) if counts[k]}
        ignored = {str(IGNORE): counts[IGNORE]} if counts[IGNORE] else {}
        size = (label.shape[0], label.shape[1])
        return Look(tally=Tally(size_hw=size, classes=classes, ignored=ignored, unknown={}), problems=())

    return look


def _survey(part: str, data: Dataset, indices: Sequence[int], look: Callable[[int], Look], report: Report) -> Survey:
    pixels, images = Counter[int](), Counter[int]()
    ignored, unknown, sizes = Counter[str](), Counter[str](), Counter[tuple[int, int]]()
    files = data if isinstance(data, FileDataset) else None
    problems = list(files.problems) if files else []
    for done, found in enumerate(in_threads(look, indices), start=1):
        problems += found.problems
        if found.tally is not None:
            pixels.update(found.tally.classes)
            images.update(found.tally.classes.keys())
            ignored.update(found.tally.ignored)
            unknown.update(found.tally.unknown)
            sizes[found.tally.size_hw] += 1
        report(part, done, len(indices))
    return Survey(
        part=part,
        place=files.place if files else data.name,
        classes=data.classes,
        files=len(data),
        looked=len(indices),
        pixels=tuple(pixels[k] for k in range(len(data.classes))),
        images=tuple(images[k] for k in range(len(data.classes))),
        ignored=dict(ignored),
        unknown=dict(unknown),
        sizes=dict(sizes.most_common()),
        problems=tuple(problems),
        skipped=tuple(map(str, files.skipped)) if files else (),
        allowed=files.read_label.allowed() if files else "",
        ids=_open_ids(files) if files else None,
    )


def _open_ids(files: FileDataset) -> tuple[int, ...] | None:
    """Give the id of each class where a person may write others, in the data set's YAML file."""
    reader = files.read_label
    if not isinstance(reader, IdLabels) or reader.fixed:
        return None
    return tuple(ids for ids in reader.ids if isinstance(ids, int))


def judge(surveys: Sequence[Survey]) -> Verdict:
    """Say what the surveys of a data set's splits mean for a study."""
    refused = [
        InputError(found.place, f"no pixel of its {found.labels} shows a class, {_held(found)}", found.allowed)
        for found in surveys
        if found.void
    ]
    searched = [found for found in surveys if found.part in ("train", "val") and any(found.pixels)]
    spoiled = [
        f"{found.place}: its {found.labels} show one class only, "
        + next(name for name in found.classes if name not in found.absent)
        for found in searched
        if len(found.absent) == len(found.classes) - 1
    ]
    warned = [
        f"{found.place}: none of its {found.labels} shows {_listed(found.absent)}, "
        + ("which cannot be learnt" if found.part == "train" else "so that nothing tells how well it is found")
        for found in searched
        if 0 < len(found.absent) < len(found.classes) - 1
    ]
    return Verdict(refused=tuple(refused), spoiled=tuple(spoiled), warned=(*_mistaken(surveys), *warned))


def _held(found: Survey) -> str:
    return f"they hold {_listed({**found.ignored, **found.unknown})} only"


def _listed(names: Iterable[str], most: int = 12) -> str:
    every = list(names)
    return ", ".join(every[:most]) + (f" and {len(every) - most} more" if len(every) > most else "")


def _mistaken(surveys: Sequence[Survey]) -> Iterator[str]:
    """Guess which values that stand for no class are meant as classes that no label shows: 255, where 0 and 255 are."""
    if not surveys or surveys[0].ids is None:
        return
    classes, ids = surveys[0].classes, surveys[0].ids
    absent = [k for k, name in enumerate(classes) if all(name in found.absent for found in surveys)]
    unknown = {int(value) for found in surveys for value in found.unknown}
    ignored = {int(value) for found in surveys for value in found.ignored}
    for values in (unknown, unknown | ignored):
        if values and len(values) == len(absent):
            meant = dict(zip(absent, sorted(values), strict=True))
            pairs = _listed(f"{value} is meant as {classes[k]}" for k, value in meant.items())
            written = ", ".join(str(meant.get(k, own)) for k, own in enumerate(ids))
            yield (
                f"{_share(surveys, values)} of all pixels have label values that stand for no class: "
                f"if {pairs}, write `ids: [{written}]` into the data set's YAML file"
            )
            return


def _share(surveys: Sequence[Survey], values: set[int]) -> str:
    """Share of all pixels that have one of the values."""
    every = [found.ignored | found.unknown for found in surveys]
    chosen = sum(pixels for counts in every for value, pixels in counts.items() if int(value) in values)
    total = sum(sum(found.pixels) for found in surveys) + sum(sum(counts.values()) for counts in every)
    return f"{100 * chosen / total:.1f} %"
