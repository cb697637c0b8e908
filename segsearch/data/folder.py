"""Your own images and labels, described by one YAML file.

::

    classes: [road, pavement, car]
    train: {images: images/train, labels: labels/train}     # folders, or patterns: img/*/*_left.png
    val: {images: images/val, labels: labels/val}
    report: {images: images/extra, labels: labels/extra}    # optional: scored, never searched by
    ignore: [255]                                           # ids that stand for no class
    ids: [7, 8, 26]                                         # optional: the id of each class, else 0, 1, 2, ...
    encoding: ids                                           # or: colours
    colours: [[128, 64, 128], [244, 35, 232], [0, 0, 142]]  # optional with ids: one per class
    ignore_colours: [[0, 0, 0]]                             # or: others

Paths are relative to the YAML file's own folder.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from segsearch.data.config import FolderData
from segsearch.data.dataset import IGNORE, Splits
from segsearch.data.filedataset import FileDataset, check_apart
from segsearch.data.labels import ColourLabels, IdLabels, LabelReader
from segsearch.data.pairs import find_pairs
from segsearch.data.palette import distinct
from segsearch.errors import InputError
from segsearch.files import expanded
from segsearch.frozen import Frozen
from segsearch.yaml12 import load_yaml

Byte = Annotated[int, Field(ge=0, le=255)]
Rgb = tuple[Byte, Byte, Byte]


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

    images: Annotated[str, Field(min_length=1)]
    labels: Annotated[str, Field(min_length=1)]


class FolderFile(Frozen):
    """The YAML file's content."""

    classes: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=2, max_length=IGNORE)]
    train: Part
    val: Part
    report: Part | None = None
    name: str | None = None
    encoding: Literal["ids", "colours"] = "ids"
    ids: tuple[Byte, ...] | None = None
    ignore: Annotated[tuple[Byte, ...], BeforeValidator(_listed)] = (IGNORE,)
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
        both = set(self.class_ids) & set(self.ignore)
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

    def reader(self) -> LabelReader:
        """Give what reads this data set's label files."""
        if self.encoding == "ids":
            return IdLabels(ids=self.class_ids, ignore=self.ignore)
        assert self.colours is not None
        return ColourLabels(colours=self.colours, ignore=self.ignore_colours)


def _require_distinct(name: str, values: tuple[object, ...]) -> None:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{name} must differ, but {value} stands twice")


def open_folder(config: FolderData, cache: Path | None = None) -> Splits:
    """Open the data set that a YAML file describes.

    Raises:
        InputError: the YAML does not hold, a folder is missing, a partner is missing, sizes differ, or an image
            is both learnt and scored.
    """
    path = expanded(config.root)
    if not path.is_file():
        raise InputError(path, "no such file", "a YAML file that describes the data set")
    file = FolderFile.parse(load_yaml(path), path)
    train, val = _dataset("train", file.train, file, path, config), _dataset("val", file.val, file, path, config)
    report = None if file.report is None else _dataset("report", file.report, file, path, config)
    for scored in (val, report):
        if scored is not None:
            check_apart(train, scored)
    return Splits(train=train, val=val, report=report)


def _dataset(split: str, part: Part, file: FolderFile, path: Path, config: FolderData) -> FileDataset:
    return FileDataset(
        name=f"{file.name or path.stem}/{split}",
        classes=file.classes,
        colours=file.colours or distinct(len(file.classes)),
        pairs=find_pairs(path.resolve().parent, part.images, part.labels),
        size_hw=config.size,
        read_label=file.reader(),
    )
