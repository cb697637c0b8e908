"""All forms of one point: choices, spec, id, cost per part, and a paper's figures beside ours."""

from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch

from segsearch.count.conventions import CONVENTIONS, Tally, tally
from segsearch.count.cost import Cost, PartCost, count
from segsearch.deployment.card import JSON_NAME, read_card
from segsearch.errors import InputError, meant
from segsearch.frozen import Frozen
from segsearch.models.auxiliary import Auxiliary
from segsearch.models.network import Network, build
from segsearch.models.timm_encoder import word_of
from segsearch.progress import Report, silent
from segsearch.space.families.timm import expand_point
from segsearch.space.load import load_space
from segsearch.space.lower import lower
from segsearch.space.nodes import Point, Scalar
from segsearch.space.points import Expected, NamedPoint, Published, named_point, named_points, points_of
from segsearch.space.walk import check
from segsearch.spec.network import NetworkSpec, check_size, collapsed_levels
from segsearch.study_files import RESULT, RUN, STUDY, find_trial, read_json, split_trial, trial_folders
from segsearch.yaml12 import load_json, load_yaml

CLASSES, DEFAULT_SIZE_HW = 19, (1024, 2048)
"""Of Cityscapes, on which most papers count."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One published figure, and ours counted the same way; None where it is not a matter of counting."""

    row: Published
    ours: int | None

    @property
    def residual(self) -> float | None:
        """Ours over the printed value, minus one."""
        return None if self.ours is None else self.ours / self.row.value - 1

    @property
    def same_digits(self) -> bool | None:
        """Whether ours prints as the paper does."""
        return None if self.ours is None else self.row.prints(self.ours)

    def as_json(self) -> dict[str, Any]:
        """Plain data: the published row, ours, residual, and whether ours prints the same."""
        row = self.row.model_dump(mode="json", exclude_none=True)
        return {**row, "ours": self.ours, "residual": self.residual, "same_digits": self.same_digits}


@dataclass(frozen=True, kw_only=True)
class Description:
    """One point, lowered and counted at one size (H, W) for so many classes."""

    name: str
    point: Point
    size_hw: tuple[int, int]
    classes: int
    named: NamedPoint | None

    @cached_property
    def spec(self) -> NetworkSpec:
        """What the point lowers to."""
        return lower(self.point)

    @cached_property
    def network(self) -> Network:
        """What the spec builds, with fresh weights."""
        return build(self.spec, self.classes)

    @cached_property
    def cost(self) -> Cost:
        """Parameters and multiply-adds, in total and per part."""
        return count(self.network, self.size_hw)

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """The papers' figures beside ours."""
        return tuple(compare(self.named, row) for row in self.named.published) if self.named else ()

    @property
    def collapsed(self) -> tuple[int, ...]:
        """Levels that add nothing at this size; see `spec.network.collapsed_levels`."""
        return collapsed_levels(self.spec, self.size_hw)

    def as_json(self) -> dict[str, Any]:
        """Plain data: name, point, id, params, macs, size, classes, parts, published, and the spec itself."""
        return {
            "name": self.name,
            "point": self.point,
            "id": self.spec.id,
            "params": self.cost.params,
            "macs": self.cost.macs,
            "size": list(self.size_hw),
            "classes": self.classes,
            "parts": [part.model_dump(mode="json") for part in self.cost.parts],
            "published": [
                c.as_json() for c in self.comparisons
            ],
            "deviations": list(self.named.deviations) if self.named else [],
            "spec": self.spec.model_dump(mode="json"),
        }  # fmt: skip


def describe(written: str, size_hw: tuple[int, int], classes: int) -> Description:
    """Describe a POINT, as `read_point` reads it.

    Raises:
        InputError: no such point, a bad choice, or a size too small for the network.
    """
    name, point = read_point(written)
    named = named_points().get(name)
    description = Description(name=name, point=point, size_hw=size_hw, classes=classes, named=named)
    check_size(description.spec, size_hw)
    return description


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Two points side by side; None stands where one of them has no such choice or part."""

    left: Description
    right: Description

    @property
    def choices(self) -> dict[str, tuple[Scalar | None, Scalar | None]]:
        """Choices in which they differ, in the space's order."""
        names = dict.fromkeys((*self.left.point, *self.right.point))
        both = {name: (self.left.point.get(name), self.right.point.get(name)) for name in names}
        return {name: values for name, values in both.items() if values[0] != values[1]}

    @property
    def parts(self) -> dict[str, tuple[PartCost | None, PartCost | None]]:
        """Cost of every part of either."""
        left, right = ({part.name: part for part in d.cost.parts} for d in (self.left, self.right))
        return {name: (left.get(name), right.get(name)) for name in dict.fromkeys((*left, *right))}

    @property
    def same_network(self) -> bool:
        """Whether the two lower to one spec, whatever their choices."""
        return self.left.spec == self.right.spec

    def as_json(self) -> dict[str, Any]:
        """Plain data: both names, ids and totals, the choices that differ, and the cost of every part."""
        sides = (self.left, self.right)
        return {
            "names": [d.name for d in sides],
            "ids": [d.spec.id for d in sides],
            "same_network": self.same_network,
            "size": list(self.left.size_hw),
            "classes": self.left.classes,
            "choices": {name: list(values) for name, values in self.choices.items()},
            "params": [d.cost.params for d in sides],
            "macs": [d.cost.macs for d in sides],
            "parts": {
                name: {"params": [p.params if p else 0 for p in both], "macs": [p.macs if p else 0 for p in both]}
                for name, both in self.parts.items()
            },
        }


def differ(left: str, right: str, size_hw: tuple[int, int], classes: int) -> Difference:
    """Set two POINTs side by side. Raises as `describe`."""
    return Difference(left=describe(left, size_hw, classes), right=describe(right, size_hw, classes))


def read_point(written: str, place: object = "point") -> tuple[str, Point]:
    """Return the name and choices of a POINT, in whichever of its forms it is written.

    Args:
        written: a named point; a YAML or JSON file of choices; the folder of an exported model or of a run; or a trial
            of a study, ``runs/my_study#12``, by its number, its network's printed name, or the first digits of its id.
        place: opens the message where it is none of these.

    Raises:
        InputError: no such point, or a choice that cannot be.
    """
    if written in named_points():
        return written, named_points()[written].choices
    path = Path(written)
    if path.is_file():
        choices = _choices(path)
        taken = path.stem in named_points() and named_points()[path.stem].choices != choices
        return path.name if taken else path.stem, choices
    if (path / JSON_NAME).is_file():
        card = read_card(path)
        return card.name, _as_recorded(card.point, card.spec, path / JSON_NAME)
    if (path / RUN).is_file():
        run = _Ran.parse(read_json(path / RUN), path / RUN)
        return run.name, _as_recorded(run.point, run.spec.id, path / RUN)
    if (trial := split_trial(written)) is not None:
        return _of_study(*trial)
    raise _no_point(written, path, place)


def _choices(path: Path) -> Point:
    """Read a file of choices: bare, below ``choices``, or below ``point`` as `segsearch show --json` writes them."""
    data = load_json(path) if path.suffix == ".json" else load_yaml(path)
    choices = next((data[key] for key in ("choices", "point") if key in data), data)
    if not isinstance(choices, dict):
        raise InputError(path, "must be a mapping of choices to values")
    return check(load_space("unified"), expand_point(choices, word_of), path)


class _Tried(Frozen, extra="ignore"):
    """What a trial's result says of its network; the point may be one of a space of the user's own."""

    number: int
    name: str
    spec_id: str
    point: Point


class _Ran(Frozen, extra="ignore"):
    """What a run's file says of its network."""

    name: str
    point: Point
    spec: NetworkSpec


def _of_study(folder: Path, key: str) -> tuple[str, Point]:
    trial, _ = _find_tried(folder, key)
    return trial.name, _as_recorded(trial.point, trial.spec_id, f"{folder}#{key}")


def number_of_trial(study: Path, key: str) -> int:
    """Return the number of a finished trial; its key is as in `read_point`. Raises InputError where there is none."""
    return _find_tried(study, key)[0].number


def folder_of_trial(study: Path, key: str) -> Path:
    """Return the folder of a finished trial; its key is as in `read_point`. Raises InputError where there is none."""
    return _find_tried(study, key)[1]


def _find_tried(folder: Path, key: str) -> tuple[_Tried, Path]:
    paths = [path / RESULT for path in trial_folders(folder) if (path / RESULT).is_file()]
    direct = [path for path in paths if key.isdecimal() and int(path.parent.name) == int(key)]
    tried = {path.parent: _Tried.parse(read_json(path), path) for path in direct or paths}
    trial = find_trial(tried.values(), key)
    if trial is None:
        numbers = f"1 to {int(paths[-1].parent.name)}" if paths else "none is finished yet"
        raise InputError(
            f"{folder}#{key}", "is not a finished trial of this study", f"a number, a name or an id; numbers: {numbers}"
        )
    return trial, next(path for path, found in tried.items() if found is trial)


def _as_recorded(point: Point, spec_id: str, place: object) -> Point:
    """Return a point of whatever space. Raises InputError where it is not of the network that its record names."""
    try:
        lowered = lower(point).id
    except (InputError, KeyError, TypeError, ValueError) as error:
        raise InputError(place, f"its point stands for no network: {error}") from error
    if lowered != spec_id:
        raise InputError(place, f"its point is of network {lowered}, its record of {spec_id}")
    return point


def _no_point(written: str, path: Path, place: object) -> InputError:
    """Say why ``written`` is no point, by what it looks like."""
    study, _, key = written.partition("#")
    if path.is_dir():
        cure = f"{written}#NUMBER, one of its trials" if (path / STUDY).is_file() else None
        return InputError(written, "is a folder, not a point", cure)
    if key:
        return InputError(written, f"'{study}' is not the folder of a study", f"FOLDER#{key} with a study in FOLDER")
    if path.suffix in (".yaml", ".yml", ".json") or len(path.parts) > 1:
        return InputError(written, "no such file", "a YAML or JSON file of choices, or a named point")
    kinds = "a name that `segsearch points` lists, a YAML or JSON file of choices, or STUDY#TRIAL"
    return InputError(place, f"'{written}' is not a named point{meant(written, named_points())}", kinds)


def compare(point: NamedPoint, row: Published) -> Comparison:
    """Count what the paper counted, in its convention, at its size."""
    if row.metric not in ("params", "flops"):
        return Comparison(row=row, ours=None)
    spec = named_point(row.network).spec if row.network else point.spec
    network = (spec, row.classes or CLASSES, row.auxiliary)
    if row.metric == "params":
        return Comparison(row=row, ours=_params(*network))
    assert row.size and row.convention, f"{point.name}: a row of FLOPs needs size and convention"
    return Comparison(row=row, ours=CONVENTIONS[row.convention](_tally(*network, row.size)))


Compared = tuple[tuple[NamedPoint, tuple[Comparison, ...]], ...]
"""Points, each with its published figures beside ours."""


def compare_all(paper: str | None = None) -> Compared:
    """Set every published figure of the named points, or of one paper's, beside ours. Takes seconds.

    Raises:
        InputError: no point is of that paper; names the known ones.
    """
    chosen = points_of(paper)
    return tuple((point, tuple(compare(point, row) for row in point.published)) for point in chosen.values())


@dataclass(frozen=True, kw_only=True)
class Miscount:
    """A named point whose file states other figures than we count."""

    name: str
    stated: Expected | None
    counted: Expected

    def as_json(self) -> dict[str, object]:
        """Plain data: name, and what its file states beside what was counted."""
        stated = self.stated and self.stated.model_dump(mode="json")
        return {"name": self.name, "stated": stated, "counted": self.counted.model_dump(mode="json")}

    def __str__(self) -> str:
        stated = f"its file states {self.stated.canonical()}" if self.stated else "its file states nothing"
        return f"{self.name}: {stated}, counted is {self.counted.canonical()}"


def recount(paper: str | None = None, report: Report = silent) -> tuple[Miscount, ...]:
    """Count the networks of all named points, or of one paper's, and return those whose files state something else.

    Takes about half a minute for all.

    Raises:
        InputError: no point is of that paper; names the known ones.
    """
    found, chosen = list[Miscount](), points_of(paper)
    for done, (name, point) in enumerate(chosen.items(), start=1):
        size_hw = point.expected.size if point.expected else DEFAULT_SIZE_HW
        cost = count(_ghost(point.spec, CLASSES, "none"), size_hw)
        counted = Expected(spec_id=point.spec.id, params=cost.params, macs=cost.macs, size=size_hw)
        if counted != point.expected:
            found.append(Miscount(name=name, stated=point.expected, counted=counted))
        report(name, done, len(chosen))
    return tuple(found)


@lru_cache(maxsize=1)
def _ghost(spec: NetworkSpec, classes: int, auxiliary: Auxiliary) -> Network:
    """Build a network of shapes alone, which is all that counting needs; rows of one table often share it."""
    with torch.device("meta"):
        return build(spec, classes, auxiliary)


@cache
def _params(spec: NetworkSpec, classes: int, auxiliary: Auxiliary) -> int:
    return sum(p.numel() for p in _ghost(spec, classes, auxiliary).parameters())


@cache
def _tally(spec: NetworkSpec, classes: int, auxiliary: Auxiliary, size_hw: tuple[int, int]) -> Tally:
    return tally(_ghost(spec, classes, auxiliary), size_hw)
