"""A warm start: what the trials of earlier studies teach a new one (``from: runs/old`` in its file).

Their records teach the sampler where the figures are of the same things, and the best points of their fronts are tried
first; none of them counts as a trial of the new study. What was taken over is kept in the study's own folder, as
``warm.json``: earlier studies may grow, move or go, and the same proposals follow.
"""

from collections.abc import Sequence
from pathlib import Path

from segsearch.errors import InputError
from segsearch.files import expanded, write_atomic
from segsearch.frozen import Frozen
from segsearch.samplers.proposals import GivenPoint, Proposer
from segsearch.space.lower import lower
from segsearch.space.nodes import Point, Space
from segsearch.space.walk import contains
from segsearch.study.compare import differences, different_things
from segsearch.study.config import StudyConfig
from segsearch.study.final import spread
from segsearch.study.identity import StudyFile
from segsearch.study.pareto import front
from segsearch.study.record import TrialRecord
from segsearch.study.store import StudyFolder
from segsearch.study_files import read_json

WARM = "warm.json"
MOST_SHARE, USUAL = 0.5, 5
"""Points of earlier fronts are at most so large a share of the trials wanted; so many where none are named. Points near
one front alone make a search end early and low, so others must be left."""


class FirstPoint(Frozen):
    """A point of an earlier front that is tried first."""

    name: str
    point: Point


class Warm(Frozen):
    """All that was taken over from earlier studies."""

    studies: tuple[str, ...] = ()
    """Their folders, as the study's file names them."""
    first: tuple[FirstPoint, ...] = ()
    records: tuple[TrialRecord, ...] = ()
    """Those that teach the sampler, by negative numbers: they are no trials of this study."""
    notes: tuple[str, ...] = ()
    """What a person should know of it, a sentence for each study."""

    @property
    def points(self) -> tuple[GivenPoint, ...]:
        """What is tried first."""
        return tuple(GivenPoint(name=f.name, choices=f.point, spec=lower(f.point)) for f in self.first)

    def teach(self, proposer: Proposer) -> None:
        """Let a proposer learn from the records; it may still propose their networks."""
        for record in self.records:
            proposer.taught(record)

    def keep(self, folder: Path) -> None:
        """Write it into the folder of the new study. Raises InputError where that cannot be."""
        if self.studies:
            write_atomic(folder / WARM, self.lines())


def kept_warm(config: StudyConfig, folder: Path | None) -> Warm | None:
    """Return what was taken over when a study began; None where it begins now, or is to begin from other studies.

    Raises:
        InputError: the file is damaged.
    """
    path = None if folder is None else folder / WARM
    if path is None or not path.exists():
        return None
    kept = Warm.parse(read_json(path), path)
    return kept if kept.studies == config.warm else None


def warmed(config: StudyConfig, file: StudyFile, space: Space, folder: Path | None) -> Warm:
    """Take over what the studies in ``config.warm`` have to teach.

    Args:
        config: the new study.
        file: what decides its figures.
        space: its narrowed space.
        folder: where it lies, or will.

    Raises:
        InputError: one of them is no study, is this very one, or has no trial that could teach anything.
    """
    records, first, notes = list[TrialRecord](), list[FirstPoint](), list[str]()
    for written in config.warm:
        place = expanded(written)
        if folder is not None and place.resolve() == folder.resolve():
            raise InputError("from", f"{written} is this study itself", "another study's folder")
        old, found = StudyFolder(place).read_study(), StudyFolder(place).records()
        best = front([record for record in found if record.trained], config.budget)
        if not any(record.trained for record in found):
            raise InputError("from", f"{written} has no trained network", "a study with trained networks")
        apart = different_things(differences(old, file))
        learnt = [] if apart else [slim(r) for r in found if _teaches(r, config) and contains(space, r.point)]
        records += learnt
        first += [FirstPoint(name=record.name, point=record.point) for record in _spread(best, config)]
        notes.append(_told(written, old, file, learnt, best, apart))
    numbered = [r.model_copy(update={"number": n - len(records)}) for n, r in enumerate(records)]
    return Warm(studies=config.warm, first=tuple(first), records=tuple(numbered), notes=tuple(notes))


def _spread(best: Sequence[TrialRecord], config: StudyConfig) -> list[TrialRecord]:
    most = USUAL if config.trials is None else max(1, int(MOST_SHARE * config.trials / len(config.warm)))
    return spread(best, config.budget.aims, min(most, len(best))) if best else []


def _teaches(record: TrialRecord, config: StudyConfig) -> bool:
    """Whether the new study would have had the same kind of figure: of a whole training, or of its own first rung."""
    if record.state == "failed":
        return False
    rungs = tuple(rung.epochs for rung in record.rungs)
    if not record.trained and record.state != "stopped":
        return True
    return rungs[:1] == config.rungs[:1] if config.rungs else record.trained


def slim(record: TrialRecord) -> TrialRecord:
    """Leave out what nobody learns from: single samples, and the counts behind a score."""
    changes: dict[str, object] = {}
    if record.latency is not None:
        samples = {"samples_ms": (record.latency.median_ms,), "reference_samples_ms": ()}
        changes["latency"] = record.latency.model_copy(update=samples)
    for name in ("scores", "shipped_scores", "report_scores"):
        if (scores := getattr(record, name)) is not None:
            changes[name] = scores.model_copy(update={"confusion": ()})
    return record.model_copy(update=changes)


def _told(
    written: str,
    old: StudyFile,
    new: StudyFile,
    learnt: Sequence[TrialRecord],
    best: Sequence[TrialRecord],
    apart: Sequence[str],
) -> str:
    tried = f"{len(best)} points on its front" if best else "no point of it meets the budget"
    if apart:
        return f"from {written}: {tried}; its figures are of other things ({', '.join(apart)}) and teach nothing"
    recipe = [key for key in differences(old, new) if key.startswith("recipe.")]
    other = f"; its recipe differs ({', '.join(recipe)}), so its mIoU is on another scale" if recipe else ""
    return f"from {written}: {len(learnt)} trials teach the sampler, {tried}{other}"
