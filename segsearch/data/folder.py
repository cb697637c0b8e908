"""Your own images and labels, described by one YAML file.

::

    classes: [road, pavement, car]
    train: {images: images/train, labels: labels/train}     # folders, or patterns: img/*/*_left.png
    val: {images: images/val, labels: labels/val}           # or: {fraction: 0.2, seed: 0}, a share of train
    report: {images: images/extra, labels: labels/extra}    # optional: scored, never searched by
    ignore: [255]                                           # ids that stand for no class
    ids: [7, 8, 26]                                         # optional: the id of each class, else 0, 1, 2, ...
    encoding: ids                                           # or: colours
    colours: [[128, 64, 128], [244, 35, 232], [0, 0, 142]]  # optional with ids: one per class
    ignore_colours: [[0, 0, 0]]                             # or: others

With ``list: train.txt`` beside ``images`` and ``labels``, a split takes only the images that this text file names, one
on each line. Paths are relative to the YAML file's own folder. Without ``colours``, those in the palette of the first
label are taken for pictures, if it has one.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from segsearch.data.config import FolderData
from segsearch.data.dataset import IGNORE, Splits
from segsearch.data.decode import read_palette
from segsearch.data.filedataset import FileDataset, apart
from segsearch.data.labels import ColourLabels, IdLabels, LabelReader
from segsearch.data.pairs import Pairing, find_pairs
from segsearch.data.palette import Colour, distinct
from segsearch.errors import InputError
from segsearch.files import expanded, no_file
from segsearch.frozen import Frozen, ShownName
from segsearch.yaml12 import load_yaml

Byte = Annotated[int, Field(ge=0, le=255)]
Rgb = tuple[Byte, Byte, Byte]
Where = Annotated[str, Field(min_length=1)]


def _listed(value: object) -> object:
    """Read one id where a list of ids may stand."""
    if isinstance(value, list):
        return tuple(value)
    return (value,) if isinstance(value, int) and not isinstance(value, bool) else value


def _colours(value: object) -> object:
    """Refuse what is neither the word nor a list of colours, in words of the file rather than of its types."""
    if value == "others":
        return value
    if not isinstance(value, (list, tuple)) or not all(isinstance(colour, (list, tuple)) for colour in value):
        raise ValueError("must be others, or a list of colours such as [[0, 0, 0]]")
    return tuple(map(tuple, value))


class Part(Frozen):
    """Where the images and labels of one split lie."""

    images: Where
    labels: Where
    list: Where | None = None


class ValPart(Frozen):
    """As `Part`, or a share of the training images instead."""

    images: Where | None = None
    labels: Where | None = None
    list: Where | None = None
    fraction: Annotated[float, Field(gt=0, lt=1)] | None = None
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _one_way(self) -> "ValPart":
        paths = [name for name in ("images", "labels", "list") if getattr(self, name) is not None]
        if self.fraction is None and not {"images", "labels"} <= set(paths):
            raise ValueError("needs images and labels, or the fraction of train to hold out")
        if self.fraction is not None and paths:
            raise ValueError(f"has both {paths[0]} and fraction; needs images and labels, or fraction")
        if self.fraction is None and "seed" in self.model_fields_set:
            raise ValueError("has a seed, which is only for fraction")
        return self


class FolderFile(Frozen):
    """The YAML file's content."""

    classes: Annotated[tuple[ShownName, ...], Field(min_length=2, max_length=IGNORE)]
    train: Part
    val: ValPart
    report: Part | None = None
    name: ShownName | None = None
    encoding: Literal["ids", "colours"] = "ids"
    ids: tuple[Byte, ...] | None = None
    ignore: Annotated[tuple[Byte, ...] | None, BeforeValidator(_listed)] = None
    colours: tuple[Rgb, ...] | None = None
    ignore_colours: Annotated[tuple[Rgb, ...] | Literal["others"], BeforeValidator(_colours)] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> "FolderFile":
        _require_distinct("classes", self.classes)
        for name, values in (("ids", self.ids), ("colours", self.colours)):
            if values is not None:
                _require_distinct(name, values)
                if len(values) != len(self.classes):
                    raise ValueError(f"{name} must be one per class: {len(self.classes)}, but got {len(values)}")
        if self.encoding == "colours" and self.colours is None:
            raise ValueError("encoding: colours needs the list colours")
        both = set(self.class_ids) & set(self.ignored_ids)
        if self.encoding == "ids" and both:
            raise ValueError(f"id {min(both)} stands for a class and in ignore")
        if self.colours and not isinstance(self.ignore_colours, str) and set(self.colours) & set(self.ignore_colours):
            raise ValueError(
                f"{min(set(self.colours) & set(self.ignore_colours))} stands in colours and ignore_colours"
            )
        return self

    @property
    def class_ids(self) -> tuple[int, ...]:
        """The id of each class in label files."""
        return self.ids if self.ids is not None else tuple(range(len(self.classes)))

    @property
    def ignored_ids(self) -> tuple[int, ...]:
        """Ids that stand for no class: 255, where it is not written otherwise and no class has it."""
        if self.ignore is not None:
            return self.ignore
        return () if IGNORE in self.class_ids else (IGNORE,)

    def reader(self) -> LabelReader:
        """Give what reads this data set's label files."""
        if self.encoding == "ids":
            return IdLabels(ids=self.class_ids, ignore=self.ignored_ids)
        assert self.colours is not None
        return ColourLabels(colours=self.colours, ignore=self.ignore_colours)


def _require_distinct(name: str, values: tuple[object, ...]) -> None:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{name} must differ, but {value} stands twice")


def open_folder(config: FolderData, cache: Path | None = None) -> Splits:
    """Open the data set that a YAML file describes.

    Raises:
        InputError: the YAML does not hold, a folder is missing, or a list names what is not there.
    """
    path = expanded(config.root)
    if not path.is_file():
        raise InputError(path, no_file(path), "a YAML file that describes the data set")
    file = FolderFile.parse(load_yaml(path), path)
    root = path.resolve().parent
    found = {"train": _find(root, file.train)}
    if file.val.fraction is not None:
        found["train"], found["val"] = found["train"].divided(file.val.fraction, file.val.seed)
    else:
        found["val"] = _find(root, file.val)
    if file.report is not None:
        found["report"] = _find(root, file.report)
    colours = file.colours or _palette(found["train"], file) or distinct(len(file.classes))
    made = {
        split: FileDataset(
            name=f"{file.name or path.stem}/{split}",
            place=f"{path}.{split}",
            classes=file.classes,
            colours=colours,
            pairing=pairing,
            size_hw=config.size,
            read_label=file.reader(),
            fit=config.fit,
        )
        for split, pairing in found.items()
    }
    for scored in (made[split] for split in made if split != "train"):
        scored.problems += apart(made["train"], scored)
    return Splits(train=made["train"], val=made["val"], report=made.get("report"))


def _find(root: Path, part: Part | ValPart) -> Pairing:
    assert part.images is not None and part.labels is not None, "checked when the file was read"
    return find_pairs(root, part.images, part.labels, part.list)


def _palette(pairing: Pairing, file: FolderFile) -> tuple[Colour, ...] | None:
    """Take the colours that the first label file brings, if they tell the classes apart."""
    if file.encoding != "ids" or not pairing.pairs:
        return None
    try:
        palette = read_palette(pairing.pairs[0].label)
    except InputError:
        return None  # whoever reads the label says so
    colours = [palette[k] for k in file.class_ids if k in palette]
    grey = all(red == green == blue for red, green, blue in colours)  # a ramp, which shows nothing
    return None if grey or len(set(colours)) < len(file.classes) else tuple(colours)
