"""All forms of one point: choices, spec, id, cost per part, and a paper's figures beside ours."""

from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch

from segsearch.errors import InputError
from segsearch.measure.conventions import CONVENTIONS, Tally, tally
from segsearch.measure.cost import Cost, PartCost, count
from segsearch.models.auxiliary import Auxiliary
from segsearch.models.build import build
from segsearch.models.network import Network
from segsearch.models.timm_encoder import word_of
from segsearch.space.families.timm import spelled_out
from segsearch.space.load import load_space
from segsearch.space.lower import lower
from segsearch.space.nodes import Point, Scalar
from segsearch.space.points import NamedPoint, Published, named_point, named_points, points_of
from segsearch.space.walk import check
from segsearch.spec.network import NetworkSpec, check_size, collapsed_levels
from segsearch.yaml12 import load_yaml


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
    """Describe a named point, or the point in a YAML file.

    Raises:
        InputError: no such point, a bad choice, or a size too small for the network.
    """
    name, point = read_point(written)
    description = Description(name=name, point=point, size_hw=size_hw, classes=classes, named=named_points().get(name))
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
    """Set two points, named or in YAML files, side by side. Raises as `describe`."""
    return Difference(left=describe(left, size_hw, classes), right=describe(right, size_hw, classes))


def read_point(written: str) -> tuple[str, Point]:
    """Return the name and choices of a named point, or of a YAML file that holds choices.

    Raises:
        InputError: as `describe`.
    """
    path = Path(written)
    if not path.is_file():
        if path.suffix in (".yaml", ".yml"):
            raise InputError(written, "no such file", "a YAML file of choices, or a named point")
        return written, named_point(written).choices
    data = load_yaml(path)
    choices = data.get("choices", data)
    if not isinstance(choices, dict):
        raise InputError(f"{path}.choices", "must be a mapping of choices to values")
    return path.stem, check(load_space("unified"), spelled_out(choices, word_of), path)


def compare(point: NamedPoint, row: Published) -> Comparison:
    """Count what the paper counted, in its convention, at its size."""
    if row.metric not in ("params", "flops"):
        return Comparison(row=row, ours=None)
    spec = named_point(row.network).spec if row.network else point.spec
    network = (spec, row.classes or 19, row.auxiliary)
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
