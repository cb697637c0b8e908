"""How a run of a study ended: one line for people, an exit code for the shell."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from segsearch.errors import BudgetError
from segsearch.study.config import StudyConfig
from segsearch.study.record import TrialRecord

FAILURES_IN_A_ROW = 5
"""So many failures, one after another, are not the networks' fault."""

End = Literal["finished", "time", "proposals", "exhausted", "failing", "interrupted"]
ENDED: tuple[End, ...] = ("finished", "time", "proposals", "exhausted")
"""A study that came to its end."""


@dataclass(frozen=True, kw_only=True)
class StudyOutcome:
    """How a run of a study ended: ``line`` says it for people."""

    folder: Path
    end: End
    line: str
    records: tuple[TrialRecord, ...]
    """All trials of the study, by number, earlier runs included."""

    @property
    def exit_code(self) -> int:
        """For the shell: 130 after Ctrl-C, 1 where something is wrong with all that were not rejected, else 0."""
        nothing = any(r.state == "failed" for r in self.records) and not any(r.trained for r in self.records)
        if nothing and self.end in ("proposals", "exhausted"):
            return 1
        return {"interrupted": 130, "failing": 1}.get(self.end, 0)


def conclude(config: StudyConfig, folder: Path, end: End, records: Sequence[TrialRecord]) -> StudyOutcome:
    """Say how a study ended."""
    return StudyOutcome(folder=folder, end=end, line=_line(config, end, records), records=tuple(records))


def check_budget(config: StudyConfig, end: End, records: Sequence[TrialRecord]) -> None:
    """Raise BudgetError where a study has come to its end and no network meets the budget."""
    blameless = all(r.state == "rejected" or r.trained for r in records)
    inside = any(r.trained and r.meets(config.budget) for r in records)
    if end in ENDED and records and blameless and not inside:
        cure = {"finished": "; raise `trials` to search on", "time": "; raise `minutes` to search on"}.get(end, "")
        nearest = _nearest(config, records)
        raise BudgetError(f"none of {len(records)} networks meets the budget of {config.budget}; {nearest}{cure}")


def _line(config: StudyConfig, end: End, records: Sequence[TrialRecord]) -> str:
    counts = Counter(record.state for record in records)
    last_failure = next((r.reason for r in reversed(records) if r.state == "failed"), None)
    reasons = {
        "finished": "finished",
        "time": f"its {config.minutes or 0:g} minutes are over (raise `minutes` to go on)",
        "proposals": f"stopped at the limit of {config.most_proposals} proposals (raise `proposals` to go on)",
        "exhausted": "stopped: space exhausted, every network found in it has been tried",
        "failing": f"stopped: {FAILURES_IN_A_ROW} failures in a row, the last: {last_failure}",
        "interrupted": "interrupted; the same command goes on from here",
    }
    over = sum(r.trained and not r.meets(config.budget) for r in records)
    unsure = sum(r.unsure for r in records)
    trained = f"{counts['complete']} trained" if config.rungs else of_wanted(counts["complete"], config.trials)
    trained += f", {over} of them over the budget" if over else ""
    trained += f", {unsure} of them unsure" if unsure else ""
    stopped = f"{counts['stopped']} stopped at a rung, " if counts["stopped"] else ""
    line = f"{reasons[end]} ({trained}, {stopped}{counts['rejected']} rejected, {counts['failed']} failed)"
    unexplained = end in ("proposals", "exhausted") and counts["failed"] and not counts["complete"]
    return f"{line}; the last failure: {last_failure}" if unexplained else line


def of_wanted(trained: int, wanted: int | None) -> str:
    """Count trained networks: ``3 of 5 trained``; there may be more than are wanted now: ``6 trained, 5 wanted``."""
    if not wanted:
        return f"{trained} trained"
    return f"{trained} of {wanted} trained" if trained <= wanted else f"{trained} trained, {wanted} wanted"


def _nearest(config: StudyConfig, records: Sequence[TrialRecord]) -> str:
    """Say which network is least over the budget, all limits together, and by how much."""

    def over(record: TrialRecord) -> float:
        return sum(max(0.0, share) for share in config.budget.excess(**record.quoted_costs).values())

    record = min(records, key=lambda r: (over(r), r.number))
    assert record.params is not None and record.macs is not None, "rejected and trained networks were counted"
    reason = config.budget.refusal(**record.quoted_costs) or record.reason
    return f"the nearest is {record.name} (spec {record.spec_id}): {reason}"
