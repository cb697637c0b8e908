"""What becomes of one network in a trial; loads no torch, so that thousands of trials are shown at once."""

from typing import Literal

from segsearch.frozen import Frozen
from segsearch.measure.record import LatencyRecord
from segsearch.spec.network import NetworkSpec
from segsearch.train.scores import Scores


class TrialResult(Frozen):
    """What became of one network: ``complete`` (trained, scored), ``rejected`` by the gate, ``failed`` on the way."""

    state: Literal["complete", "rejected", "failed"]
    reason: str | None = None
    spec_id: str
    spec: NetworkSpec
    params: int | None = None
    macs: int | None = None
    latency: LatencyRecord | None = None
    scores: Scores | None = None
    """On the images that steer the search."""
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
