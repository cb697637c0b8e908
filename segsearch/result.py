"""What becomes of one network in a trial; loads no torch, so that thousands of trials are shown at once."""

from typing import Literal, Self

from pydantic import Field

from segsearch.frozen import Frozen
from segsearch.measure.record import LatencyRecord
from segsearch.spec.network import NetworkSpec
from segsearch.training.scores import Scores


def costs_of(params: int | None, macs: int | None, latency: LatencyRecord | None) -> dict[str, float | None]:
    """Return what a network costs, by the names of `segsearch.study.budget.COSTS`; None of what is not known."""
    return {
        "latency_ms": None if latency is None else latency.median_ms,
        "params": params,
        "macs": macs,
        "memory_mib": None if latency is None else latency.memory_mib,
    }


class Decision(Frozen):
    """What the gate says of a network: train it, reject it, or measure it again later."""

    verdict: Literal["train", "reject", "wait"]
    reason: str | None = None
    """Why it is not trained, or not yet."""
    latency: LatencyRecord | None = None
    """The measurement to quote, of all that were taken."""
    unsure: bool = False
    """Trained although no measurement met the budget, as none was good enough to say that it misses it."""


class Rung(Frozen):
    """What the images that steer the search said on the way: of the weights that a training ending there would give."""

    steps: int = Field(ge=1)
    epochs: int | None = Field(default=None, ge=1)
    """The rung of the study that it is; None in records older than this field."""
    miou: float = Field(ge=0, le=1)


State = Literal["passed", "paused", "complete", "rejected", "failed", "waiting", "stopped"]


class TrialResult(Frozen):
    """What became of one network, or what a stage of its trial makes of it.

    It ends ``complete`` (trained, scored), ``rejected`` by the gate, ``failed`` on the way, or ``stopped`` at a rung.
    ``passed``: measured, and the gate lets it be trained. ``waiting``: the gate wants it measured again later.
    ``paused``: trained up to a rung; its score there is no final one. What the next stage needs lies in the trial's
    folder.
    """

    state: State
    reason: str | None = None
    spec_id: str
    spec: NetworkSpec
    params: int | None = None
    macs: int | None = None
    latency: LatencyRecord | None = None
    """The best of its measurements; all of them are in the trial's folder."""
    measurements: int | None = None
    """How many were taken; None in records older than this field, and where none was."""
    unsure: bool = False
    """Trained although it is not known to meet the budget: it was measured on a busy or throttled machine alone."""
    scores: Scores | None = None
    """On the images that steer the search, in float32."""
    shipped_scores: Scores | None = None
    """On the same images, of the masks that the study's backend makes in its precision; None where that is float32,
    and of a network whose mIoU was told."""
    rungs: tuple[Rung, ...] = ()
    """Scores at the study's rungs, as far as the training came; in float32."""
    report_scores: Scores | None = None
    """On images that the search never sees, if the data set has any; in the precision that is shipped."""
    pretrained: str | None = None
    """File and checksum of the encoder's first weights; None where they were fresh, as no published ones fit."""
    notes: tuple[str, ...] = ()
    """What a person should know of how the trial went."""
    trained_iterations: int = 0
    final_loss: float | None = None
    seconds: dict[str, float]
    """Per stage: build, measure, train, evaluate; of a resumed training, all of its time."""

    @property
    def costs(self) -> dict[str, float | None]:
        """What the network costs, see `costs_of`; as the search measured it."""
        return costs_of(self.params, self.macs, self.latency)

    @property
    def counted(self) -> Scores | None:
        """The scores that networks are compared by: in the precision that is shipped."""
        return self.shipped_scores or self.scores

    @property
    def reached(self) -> int:
        """The highest of the study's rungs that it was scored at, in epochs; 0 where there is none."""
        return max((rung.epochs or 0 for rung in self.rungs), default=0)

    def after(self, earlier: "TrialResult | None") -> Self:
        """Return this result of a later stage with what the stages before it found out."""
        if earlier is None:
            return self
        missing = {
            name: getattr(earlier, name)
            for name in ("params", "macs", "latency", "measurements", "pretrained")
            if getattr(self, name) is None
        }
        return self.model_copy(
            update=missing
            | {
                "unsure": self.unsure or earlier.unsure,
                "rungs": self.rungs or earlier.rungs,
                "notes": tuple(dict.fromkeys((*earlier.notes, *self.notes))),
                "trained_iterations": self.trained_iterations or earlier.trained_iterations,
                "seconds": earlier.seconds | self.seconds,
            }
        )
