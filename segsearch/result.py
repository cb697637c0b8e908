"""What becomes of one network in a trial; loads no torch, so that thousands of trials are shown at once."""

from typing import Literal

from pydantic import Field

from segsearch.frozen import Frozen
from segsearch.measure.record import LatencyRecord
from segsearch.spec.network import NetworkSpec
from segsearch.train.scores import Scores


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
    miou: float = Field(ge=0, le=1)


class TrialResult(Frozen):
    """What became of one network: ``complete`` (trained, scored), ``rejected`` by the gate, ``failed`` on the way.

    ``waiting``: the gate wants it measured again later. What was measured lies in the trial's folder.
    """

    state: Literal["complete", "rejected", "failed", "waiting"]
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
    """On the images that steer the search."""
    rungs: tuple[Rung, ...] = ()
    """Where the study asks for them, scores after parts of the training."""
    report_scores: Scores | None = None
    """On images that the search never sees, if the data set has any."""
    pretrained: str | None = None
    """File and checksum of the encoder's first weights; None where they were fresh, as no published ones fit."""
    notes: tuple[str, ...] = ()
    """What a person should know of how the trial went."""
    trained_iterations: int = 0
    final_loss: float | None = None
    seconds: dict[str, float]
    """Per stage: build, measure, train, evaluate; of a resumed training, all of its time."""
