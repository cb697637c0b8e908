"""Networks of the papers, and found ones, as points: choices, published figures, our figures, notes on differences."""

from functools import cache
from typing import Any, Literal

from segsearch.errors import InputError, meant
from segsearch.frozen import Frozen
from segsearch.resources import shipped
from segsearch.space.load import load_space
from segsearch.space.lower import lower
from segsearch.space.nodes import OneOf, Point, Space
from segsearch.space.walk import check
from segsearch.spec.network import NetworkSpec
from segsearch.yaml12 import load_yaml

_FACTOR = {"K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9}


class Published(Frozen):
    """One figure as its source prints it, mostly a paper, with all that is needed to compare it."""

    metric: Literal["params", "flops", "miou", "pixel_accuracy", "fps"]
    printed: str
    where: str
    size: tuple[int, int] | None = None
    """Input (H, W) in pixels."""
    classes: int | None = None
    convention: Literal["macs", "ptflops", "sfnet", "tfprof"] | None = None
    """How the paper counted, for ``flops``: a row of `segsearch.count.conventions`."""
    auxiliary: Literal["none", "encoder"] = "none"
    """Auxiliary head that the paper counted among the parameters."""
    rounding: Literal["nearest", "down"] = "nearest"
    network: str | None = None
    """Name of the point whose network the paper counted, where it is not this one."""
    dataset: str | None = None
    split: str | None = None
    device: str | None = None
    note: str | None = None

    @property
    def value(self) -> float:
        """The printed figure as a number: ``"5.7G"`` is 5.7e9."""
        number = self.printed.rstrip("KMGB")
        return float(number) * _FACTOR.get(self.printed[len(number) :], 1)

    def prints(self, ours: float) -> bool:
        """Whether ``ours``, rounded as the paper rounds, gives the printed digits."""
        number = self.printed.rstrip("KMGB")
        digits = len(number.partition(".")[2])
        scaled = ours / _FACTOR.get(self.printed[len(number) :], 1) * 10**digits
        rounded = int(scaled) if self.rounding == "down" else round(scaled)
        return bool(round(float(number) * 10**digits) == rounded)


class Expected(Frozen):
    """Our own figures, pinned by tests: 19 classes, no auxiliary head, MACs at ``size``."""

    spec_id: str
    params: int
    macs: int
    size: tuple[int, int]


class NamedPoint(Frozen):
    """A paper's network, or one that a search has found, as a point of the unified space."""

    name: str
    paper: str
    """Short name of the paper, or ``found``."""
    title: str
    choices: Point
    source: str
    lead: bool = False
    """Whether this is the main network of its paper; studies that name no points try these first."""
    published: tuple[Published, ...] = ()
    expected: Expected | None = None
    deviations: tuple[str, ...] = ()

    @property
    def spec(self) -> NetworkSpec:
        """The network this point stands for."""
        return lower(self.choices)


@cache
def named_points() -> dict[str, NamedPoint]:
    """Read every shipped point, checked against the unified space.

    Raises:
        InputError: a file of points is invalid.

    """
    space = load_space("unified")
    points: dict[str, NamedPoint] = {}
    for path in sorted(shipped("spaces/points").glob("*.yaml")):
        points |= _read(load_yaml(path), space, f"points/{path.name}")
    return points


def points_of(paper: str | None, place: object = "paper") -> dict[str, NamedPoint]:
    """Return the points of one paper, such as ``sgcpnet``, or all.

    Raises:
        InputError: no point is of that paper; names the known ones.

    """
    chosen = {name: point for name, point in named_points().items() if paper in (None, point.paper)}
    if not chosen:
        papers = sorted({point.paper for point in named_points().values()})
        raise InputError(place, f"'{paper}' has no named points{meant(paper, papers)}", papers)
    return chosen


def named_point(name: str, place: object = "point") -> NamedPoint:
    """Return one point by name.

    Raises:
        InputError: no such point; names the nearest.

    """
    points = named_points()
    if name not in points:
        raise InputError(place, f"'{name}' is not a named point{meant(name, points)}", "what `segsearch points` lists")
    return points[name]


def _read(data: dict[str, Any], space: Space, place: str) -> dict[str, NamedPoint]:
    points: dict[str, NamedPoint] = {}
    for name, entry in data["points"].items():
        entry = dict(entry)
        choices = entry.pop("choices", {})
        if base := entry.pop("base", None):
            choices = override(space, points[base].choices, choices)
        point = check(space, choices, f"{place}:{name}")
        fields = {"name": name, "paper": data["paper"], "title": data["title"], "choices": point, **entry}
        points[name] = NamedPoint.parse(fields, f"{place}:{name}")
    return points


def override(space: Space, point: Point, changes: Point) -> Point:
    """Return ``point`` with some choices changed; choices inside an arm that is no longer taken are dropped."""
    left = tuple(f"{name}." for name, node in space.nodes() if isinstance(node, OneOf) and name in changes)
    return {name: value for name, value in point.items() if not left or not name.startswith(left)} | changes
