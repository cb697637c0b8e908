"""Two studies beside each other: what differs in what they search, whose front is better, and where."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from segsearch.frozen import differing
from segsearch.study.budget import USUAL, Budget, ObjectiveName
from segsearch.study.identity import StudyFile, decisions
from segsearch.study.overview import Overview
from segsearch.study.pareto import figures, hypervolume, losses_of
from segsearch.study.record import TrialRecord

DECIDED = {"name", "space", "data", "recipe", "device", "backend", "precision", "remote", "threads", "timer"}
"""Fields of a study file that `segsearch.study.identity.decisions` has; all others steer what is tried, no figure."""
FIGURES = ("data", "device", "threads", "backend", "precision")
"""Decisions that make mIoU or latency of two studies figures of different things."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two studies, ``left`` and ``right``."""

    left: Overview
    right: Overview
    differences: dict[str, tuple[object, object]]
    """What the two decide differently; nothing where they are one study twice."""
    apart: tuple[str, ...]
    """Which of the differences make the figures of different things: then no front beats another."""
    objectives: tuple[str, ...]
    """What both fronts are compared by: what both studies name; mIoU and latency where that is no more than mIoU."""
    reference: tuple[float, ...] | None
    """Lowest mIoU and highest costs of the trained networks of both: where the areas end."""
    areas: tuple[float, float] | None
    """Hypervolume of each front up to the reference, in mIoU times the costs, such as milliseconds."""
    beaten: tuple[tuple[int, ...], tuple[int, ...]]
    """Trials of each front that a network of the other one beats: better in one figure, not worse in another."""
    both: tuple[tuple[TrialRecord, TrialRecord], ...]
    """Networks that both have trained."""

    def as_plain(self) -> dict[str, Any]:
        """Plain data, for programs."""
        return {
            "studies": [self.left.as_plain(), self.right.as_plain()],
            "fronts": [[_plain(record) for record in each.front] for each in (self.left, self.right)],
            "differences": {key: list(pair) for key, pair in self.differences.items()},
            "apart": list(self.apart),
            "reference": self.reference and dict(zip(self.objectives, self.reference, strict=True)),
            "hypervolume": None if self.areas is None else list(self.areas),
            "beaten": [list(numbers) for numbers in self.beaten],
            "both": [[_plain(one), _plain(other)] for one, other in self.both],
        }


def _plain(record: TrialRecord) -> dict[str, object]:
    return {
        "trial": record.number,
        "name": record.name,
        "spec_id": record.spec_id,
        "miou": record.miou,
        "latency_ms": record.latency_ms,
    }


def compare(left: Overview, right: Overview) -> Comparison:
    """Set two studies side by side, each front within its own budget."""
    found, aims = differences(left.file, right.file), Budget().towards(_shared(left, right))
    apart = different_things(found)
    trained = [record for record in (*left.records, *right.records) if record.trained]
    reference = areas = None
    beaten: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    if not apart and trained:
        lowest, *worst = zip(*(figures(record, aims) for record in trained), strict=True)
        reference = (min(lowest), *map(max, worst))
        fronts = [[figures(record, aims) for record in study.front] for study in (left, right)]
        areas = (hypervolume(fronts[0], reference), hypervolume(fronts[1], reference))
        beaten = (_beaten(left.front, right.front, aims), _beaten(right.front, left.front, aims))
    others = {record.spec_id: record for record in right.records if record.trained}
    both = tuple((r, others[r.spec_id]) for r in left.records if r.trained and r.spec_id in others)
    return Comparison(
        left=left,
        right=right,
        differences=found,
        apart=apart,
        objectives=aims.objectives,
        reference=reference,
        areas=areas,
        beaten=beaten,
        both=both,
    )


def different_things(found: Iterable[str]) -> tuple[str, ...]:
    """Return those of the names from `differences` that make two studies' figures figures of different things."""
    return tuple(key for key in found if key.partition(".")[0] in FIGURES or key.startswith("content "))


def differences(one: StudyFile, other: StudyFile) -> dict[str, tuple[object, object]]:
    """Return what two studies decide differently, by name; ``content X`` is of what the files of the data hold."""
    return differing(_all(one), _all(other))


def _all(file: StudyFile) -> dict[str, object]:
    settings = file.config.model_dump(mode="json", exclude=DECIDED)
    settings["from"] = settings.pop("warm")  # as it is written
    content = {f"content {name}": held for name, held in (file.content or {}).items()}
    return decisions(file) | content | settings


def _shared(left: Overview, right: Overview) -> tuple[ObjectiveName, ...]:
    names = right.file.config.objectives
    found = tuple(name for name in left.file.config.objectives if name in names)
    return found if len(found) > 1 else USUAL


def _beaten(records: Sequence[TrialRecord], others: Sequence[TrialRecord], aims: Budget) -> tuple[int, ...]:
    return tuple(record.number for record in records if any(_beats(other, record, aims) for other in others))


def _beats(other: TrialRecord, record: TrialRecord, aims: Budget) -> bool:
    pairs = list(zip(losses_of(other, aims), losses_of(record, aims), strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)
