"""What a study keeps of each trial: the proposal, written first, and the record, written last."""

from typing import Literal, Self

from pydantic import Field, model_validator

from segsearch.errors import InputError
from segsearch.frozen import Frozen
from segsearch.measure.record import LatencyRecord
from segsearch.result import TrialResult, costs_of
from segsearch.space.lower import lower
from segsearch.space.nodes import Scalar
from segsearch.spec.network import NetworkSpec
from segsearch.study.budget import Budget
from segsearch.study.gate import least_reference_ms, optimistic_ms
from segsearch.training.recipe import Recipe


def chosen(origin: str) -> bool:
    """Whether a person asked for a network, by a paper's name or in the study's file: then it is trained whole."""
    return origin == "given" or origin.startswith("named:")


class Proposal(Frozen):
    """One network that a study is to try."""

    number: int
    origin: str
    """``named:NAME`` of a paper's point, ``given`` by the study's file, ``sampler`` or ``random``."""
    name: str
    """For people: ``fpenet``, or ``fpe-p3q9/meu#1a2b3c4d``."""
    point: dict[str, Scalar]
    spec_id: str
    attempt: int = 0
    """How many proposals before it, at this number, had been seen already."""
    seed: int | None = None
    """Of the initial weights, batches and augmentation; None in older studies, where it depends on the study's seed."""

    @property
    def chosen(self) -> bool:
        """See `chosen`."""
        return chosen(self.origin)


class TrialRecord(TrialResult):
    """One finished trial with all that is needed to believe or repeat it."""

    state: Literal["complete", "rejected", "failed", "stopped"]
    number: int
    origin: str
    name: str
    point: dict[str, Scalar]
    recipe_id: str
    recipe: Recipe
    seed: int
    """Of this trial's initial weights, batches and augmentation."""
    device: str
    """The device by its maker's name."""
    commit: str
    """Of segsearch's source, ``-dirty`` where files differ from it."""
    versions: dict[str, str]
    started_at: str
    """Time of day in UTC, ISO 8601; of the last start, if the trial was taken up again."""
    finished_at: str
    confirmed: LatencyRecord | None = Field(default=None, exclude=True)
    """Measured again in new processes when the trials were done; in a file of its own beside the record."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        """Refuse what cannot be one trial's: files are edited, copied, and mixed up."""
        if self.spec_id != self.spec.id:
            raise ValueError(f"spec_id {self.spec_id} is not that of its spec, which is {self.spec.id}")
        if self.latency is not None and self.latency.spec_id not in ("", self.spec_id):
            raise ValueError(f"latency is of spec {self.latency.spec_id}, not of {self.spec_id}")
        needed = {
            "complete": ("params", "macs", "latency", "scores"),
            "rejected": ("params", "macs", "reason"),
            "stopped": ("params", "macs", "latency", "reason"),
        }
        for name in needed.get(self.state, ("reason",)):
            if getattr(self, name) is None:
                raise ValueError(f"{name} is missing, but state is {self.state}")
        return self

    @property
    def trained(self) -> bool:
        """Whether the network was trained and scored."""
        return self.state == "complete"

    @property
    def share(self) -> float:
        """How much of its recipe it was trained by; what failed counts as nothing."""
        if self.trained or not self.rungs or self.state == "failed":
            return float(self.trained)
        last, recipe = self.rungs[-1], self.recipe
        return last.steps / recipe.iterations if recipe.iterations else self.reached / (recipe.epochs or self.reached)

    @property
    def least_ms(self) -> float | None:
        """What a limit of latency is held against, in milliseconds: no load on the machine explains more than that.

        None where none is known: then no limit is known to be passed. As for the gate, see `optimistic_ms`.
        """
        if self.quoted is None or (self.unsure and self.confirmed is None):
            return None
        seen = [record for record in (self.latency, self.confirmed) if record is not None]
        return optimistic_ms(self.quoted, least_reference_ms(seen))

    def meets(self, budget: Budget) -> bool:
        """Whether no limit is known to be passed; the budget may be a later one than its own."""
        excess = budget.excess(**self.quoted_costs | {"latency_ms": self.least_ms})
        return all(over <= 0 for over in excess.values())

    @property
    def miou(self) -> float:
        """Mean IoU on the search's validation images, 0..1, in the precision that is shipped; of trained ones only."""
        assert self.counted is not None, f"trial {self.number} is {self.state}"
        return self.counted.miou

    @property
    def quoted(self) -> LatencyRecord | None:
        """The latency that counts: measured again at the end, or else by the search; None where none was measured.

        An unsteady figure of the end does not replace a lower one: load only slows down.
        """
        again, before = self.confirmed, self.latency
        if again is None or (before is not None and not again.steady and again.median_ms > before.median_ms):
            return before
        return again

    @property
    def quoted_costs(self) -> dict[str, float | None]:
        """What the network costs, its latency as it is quoted; its memory as the search measured it."""
        return costs_of(self.params, self.macs, self.quoted) | {"memory_mib": self.costs["memory_mib"]}

    @property
    def latency_ms(self) -> float:
        """Median of the quoted latency in milliseconds; of measured ones only."""
        assert self.quoted is not None, f"trial {self.number} was not measured"
        return self.quoted.median_ms

    @property
    def doubt(self) -> Literal["steady", "unsteady", "unsure"] | None:
        """How far the quoted latency is to be trusted, in one word; None where none was measured."""
        if self.quoted is None:
            return None
        if self.quoted.steady and (self.confirmed is not None or not self.unsure):
            return "steady"
        return "unsure" if self.unsure else "unsteady"

    @property
    def fps(self) -> float:
        """Images per second, one after another; of measured ones only."""
        return 1000 / self.latency_ms

    @property
    def weights(self) -> str:
        """Where the trained weights come from, in words."""
        return "trained by the study" + (f", the encoder from `{self.pretrained}`" if self.pretrained else "")

    @property
    def chosen(self) -> bool:
        """See `chosen`."""
        return chosen(self.origin)

    @property
    def named(self) -> str | None:
        """Name of the paper's point, where it is one."""
        return self.origin.removeprefix("named:") if self.origin.startswith("named:") else None

    @property
    def proposal(self) -> Proposal:
        """What the trial began with."""
        return Proposal.model_validate(
            {name: getattr(self, name) for name in Proposal.model_fields if name != "attempt"}
        )

    @property
    def result(self) -> TrialResult:
        """What its stages gave."""
        return TrialResult.model_construct(**{name: getattr(self, name) for name in TrialResult.model_fields})

    @classmethod
    def of(cls, proposal: Proposal, result: TrialResult, **facts: object) -> Self:
        """Join a proposal, its result, and the circumstances."""
        known = proposal.model_dump(exclude={"spec_id", "attempt", "seed"}) | {
            name: getattr(result, name) for name in TrialResult.model_fields
        }
        return cls.model_validate(known | facts)


def network_of(trial: Proposal | TrialRecord, place: object, cure: str = "") -> NetworkSpec:
    """Return the network of a stored point. Raises InputError where it is none, or not the one that was stored."""
    told = f"; {cure}" if cure else ""
    try:
        spec = lower(trial.point)
    except InputError as error:
        raise InputError(place, f"its point stands for no network: {error}{told}") from error
    if spec.id != trial.spec_id:
        raise InputError(place, f"spec_id is {trial.spec_id}, but the network of its point is {spec.id}{told}")
    return spec
