"""All forms of one point: choices, spec, id, cost per part, and a paper's figures beside ours."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from segsearch.count.cost import Cost, PartCost, count
from segsearch.models.network import Network, build
from segsearch.named import read_point
from segsearch.published import Comparison, compare
from segsearch.space.lower import lower
from segsearch.space.nodes import Point, Scalar
from segsearch.space.points import NamedPoint, named_points
from segsearch.spec.network import NetworkSpec, check_size, collapsed_levels


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
