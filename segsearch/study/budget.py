"""What a network may cost and how far it is over, and which of its figures count when networks are compared."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from segsearch.frozen import Frozen

Limit = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]
CostName = Literal["latency_ms", "params", "macs", "memory_mib"]
COST_NAMES: tuple[CostName, ...] = get_args(CostName)
ObjectiveName = Literal["miou", CostName]


def _objectives(names: tuple[ObjectiveName, ...]) -> tuple[ObjectiveName, ...]:
    costs = tuple(name for name in names if name != "miou")
    if len(names) != len(set(names)) or len(costs) + 1 != len(names) or not costs:
        raise ValueError(f"{list(names)} must be miou and one or more of {', '.join(COST_NAMES)}, each once")
    return ("miou", *costs)


Objectives = Annotated[tuple[ObjectiveName, ...], AfterValidator(_objectives)]
"""``miou``, to be made large, and then the costs, to be made small."""
USUAL: tuple[ObjectiveName, ...] = ("miou", "latency_ms")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """How one kind of cost is written for people."""

    text: Callable[[float], str]
    noun: str = ""
    """Follows a value that stands in a sentence."""


def short(count: float) -> str:
    """Write a large number for people: ``378K``, ``12.4M``, ``5.70G``."""
    for factor, letter in ((10**9, "G"), (10**6, "M"), (10**3, "K")):
        if count >= factor:
            return f"{count / factor:.3g}{letter}"
    return str(count)


COSTS: dict[CostName, Cost] = {
    "latency_ms": Cost(text=lambda ms: f"{ms:.2f} ms ({1000 / ms:.1f} FPS)"),
    "params": Cost(text=short, noun=" parameters"),
    "macs": Cost(text=short, noun=" MACs"),
    "memory_mib": Cost(text=lambda mib: f"{mib:.4g} MiB", noun=" of memory"),
}
"""All that a study may limit or make small; `segsearch.result.costs_of` has the figures of a network."""


class Budget(Frozen):
    """Limits that a network must keep before it is trained; what is left out is not limited.

    It also knows the objectives of its study, as both together say which networks are on the front.
    """

    fps: Limit | None = Field(default=None, description="at least so many images per second, one after another")
    latency_ms: Limit | None = Field(
        default=None, description="at most so many milliseconds per image; beside fps, the tighter of the two holds"
    )
    enough_fps: Limit | None = Field(
        default=None,
        description="faster than that is worth nothing more: such networks are compared as if they were just as fast",
    )
    params: Count | None = Field(default=None, description="at most so many parameters")
    macs: Count | None = Field(default=None, description="at most so many multiply-adds at the data's size")
    memory_mib: Limit | None = Field(default=None, description="at most so many MiB of memory that inference takes")
    """Counted on the device by `segsearch.measure.memory`."""

    _objectives: tuple[ObjectiveName, ...] = PrivateAttr(USUAL)

    @model_validator(mode="after")
    def _enough_is_within(self) -> Self:
        limit_ms = self.limit_ms
        if self.enough_fps and limit_ms and 1000 / self.enough_fps >= limit_ms:
            raise ValueError(f"enough_fps {self.enough_fps:g} must be more than the {1000 / limit_ms:g} needed")
        return self

    @property
    def objectives(self) -> tuple[ObjectiveName, ...]:
        """What networks are compared by: ``miou`` first, then the costs; by default mIoU and latency."""
        return self._objectives

    @property
    def compared(self) -> tuple[CostName, ...]:
        """The costs among the objectives."""
        return tuple(name for name in self._objectives if name != "miou")

    def worth(self, name: CostName, cost: float) -> float:
        """Return what a cost counts as when networks are compared."""
        return max(cost, 1000 / self.enough_fps) if name == "latency_ms" and self.enough_fps else cost

    @property
    def aims(self) -> "Budget":
        """What networks are compared by, without limits."""
        return Budget(enough_fps=self.enough_fps).towards(self._objectives)

    @property
    def directions(self) -> list[Literal["maximize", "minimize"]]:
        """Of each objective, in Optuna's words."""
        return ["maximize" if name == "miou" else "minimize" for name in self._objectives]

    def towards(self, objectives: Sequence[ObjectiveName]) -> Self:
        """Return the same limits for a study with other objectives."""
        other = self.model_copy()
        other._objectives = tuple(objectives)
        return other

    def at_fps(self, fps: float) -> Self:
        """Return the same with a limit of images per second in place of all that was said of latency."""
        enough = None if self.enough_fps and self.enough_fps <= fps else self.enough_fps
        return self.model_copy(update={"fps": fps, "latency_ms": None, "enough_fps": enough})

    @property
    def limit_ms(self) -> float | None:
        """The latency that must not be passed, in milliseconds."""
        limits = [self.latency_ms, 1000 / self.fps if self.fps else None]
        return min((limit for limit in limits if limit is not None), default=None)

    @property
    def limits(self) -> dict[CostName, float]:
        """What each limited cost must not pass."""
        found: dict[CostName, float | None] = {
            "latency_ms": self.limit_ms,
            "params": self.params,
            "macs": self.macs,
            "memory_mib": self.memory_mib,
        }
        return {name: limit for name, limit in found.items() if limit is not None}

    def excess(
        self, params: float | None, macs: float | None, latency_ms: float | None, memory_mib: float | None = None
    ) -> dict[str, float]:
        """Return ``value / limit - 1`` for each limit that is set: above 0 is too much, and the unknown is 0."""
        known = dict(zip(COST_NAMES, (latency_ms, params, macs, memory_mib), strict=True))
        return {name: value / limit - 1 if (value := known[name]) else 0.0 for name, limit in self.limits.items()}

    def refusal(
        self, params: float | None, macs: float | None, latency_ms: float | None, memory_mib: float | None = None
    ) -> str | None:
        """Say which limits are passed and by how much; None where all known values keep theirs."""
        known = dict(zip(COST_NAMES, (latency_ms, params, macs, memory_mib), strict=True))
        over = [name for name, share in self.excess(params, macs, latency_ms, memory_mib).items() if share > 0]
        limits, sentences = self.limits, list[str]()
        for name, cost in COSTS.items():
            if name in over:
                sentences.append(f"{cost.text(known[name] or 0)}{cost.noun}, allowed {cost.text(limits[name])}")
        return "; ".join(sentences) or None

    def __str__(self) -> str:
        """Write for people: ``60 FPS (16.67 ms), 5M parameters``."""
        limits = self.limits
        limit_ms = limits.pop("latency_ms", None)
        parts = [f"{1000 / limit_ms:g} FPS ({limit_ms:.2f} ms)"] if limit_ms else []
        parts += [COSTS[name].text(limit) + COSTS[name].noun for name, limit in limits.items()]
        parts += [f"{self.enough_fps:g} FPS are enough"] if self.enough_fps else []
        return ", ".join(parts) or "no limit"
