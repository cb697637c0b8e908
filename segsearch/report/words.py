"""Records in words and short numbers, for tables and lines."""

from segsearch.deployment.markdown import percent as percent
from segsearch.study.budget import USUAL, Budget
from segsearch.study.record import TrialRecord


def outcome(record: TrialRecord) -> str:
    """Write a trial's result in one line: ``fpenet: mIoU 51.2 %, 12.30 ms (81.3 FPS), 34 s``."""
    speed = f"{record.latency_ms:.2f} ms ({record.fps:.1f} FPS)" if record.latency is not None else "not measured"
    if record.trained:
        return f"{record.name}: mIoU {percent(record.miou)}, {speed}, {duration(sum(record.seconds.values()))}"
    return f"{record.name}: {record.state}, {record.reason}"


def duration(seconds: float) -> str:
    """Write a time for people: ``4.2 s``, ``34 s``, ``12 min``, ``3.5 h``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def count_of(number: int, word: str) -> str:
    """Write how many there are of what a word names: ``1 seed``, ``3 seeds``."""
    return f"{number} {word}" + ("" if number == 1 else "s")


def aims(budget: Budget | None) -> str:
    """Name the objectives of a study where they are not mIoU and latency: `` by miou, latency_ms, params``."""
    return "" if budget is None or budget.objectives == USUAL else f" by {', '.join(budget.objectives)}"
