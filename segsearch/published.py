"""The papers' figures beside ours, counted as each paper counted."""

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import torch

from segsearch.count.conventions import CONVENTIONS, Tally, tally
from segsearch.count.cost import count
from segsearch.models.auxiliary import Auxiliary
from segsearch.models.network import Network, build
from segsearch.progress import Report, silent
from segsearch.space.points import Expected, NamedPoint, Published, named_point, points_of
from segsearch.spec.network import NetworkSpec

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
