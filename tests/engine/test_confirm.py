from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segsearch.engine.confirm import MOST, NEAR, confirm, near_front
from segsearch.engine.driver import run_study
from segsearch.engine.watch import Silent
from segsearch.errors import DeviceError, InputError
from segsearch.measure.record import LatencyRecord
from segsearch.study.budget import Budget
from segsearch.study.pareto import front
from segsearch.study.record import TrialRecord
from segsearch.study.store import StudyFolder
from tests.engine.builders import latency, record
from tests.engine.studies import made_up, quick, study

GRID = st.integers(0, 8)
PAIRS = st.lists(st.tuples(GRID, st.integers(8, 24)), max_size=16)


def scored(number: int, miou: float, latency_ms: float, error: float | None = None) -> TrialRecord:
    made = record(number, miou=miou, latency_ms=latency_ms)
    assert made.scores is not None
    return made.model_copy(update={"scores": made.scores.model_copy(update={"standard_error": error})})


def unsteady(latency_ms: float) -> LatencyRecord:
    return latency(latency_ms).model_copy(update={"steady": False, "unsteady": "busy"})


class Clock:
    """Times by a script: so much longer or shorter than the search did, steady or not, or an error."""

    def __init__(self, *script: float | Exception | type[KeyboardInterrupt]) -> None:
        self.timed, self._script = list[int](), script

    def __call__(self, made: TrialRecord) -> LatencyRecord:
        factor = self._script[len(self.timed) % len(self._script)]
        self.timed.append(made.number)
        if not isinstance(factor, float):
            raise factor
        assert made.latency is not None
        return latency(factor * made.latency.median_ms)


class Heard(Silent):
    def __init__(self) -> None:
        self.lines, self.stages = list[str](), list[tuple[int, int, int]]()

    def note(self, line: str) -> None:
        self.lines.append(line)

    def stage(self, number: int, what: str, done: int, total: int) -> None:
        if what.startswith("time again"):
            self.stages.append((number, done, total))


@given(PAIRS, st.none() | st.floats(0.01, 0.2))
def test_near_the_front_is_what_a_little_less_latency_or_luck_would_put_there(
    pairs: list[tuple[int, int]], error: float | None
) -> None:
    records = [scored(i, m / 10, float(ms), error) for i, (m, ms) in enumerate(pairs)]
    found = near_front([*records, record(99, latency_ms=0.5)], Budget(fps=50))
    best = front(records, Budget(fps=50))
    assert found[: len(best)] == best and len(found) <= max(len(best), MOST)

    def near(r: TrialRecord) -> bool:
        quicker = r.model_copy(update={"latency": latency((1 - NEAR) * r.latency_ms - 1e-9)})
        luckier = scored(r.number, r.miou + (error or 0.0) + 1e-9, r.latency_ms)
        others = [other for other in records if other is not r]
        return any(changed in front([changed, *others]) for changed in (quicker, *([luckier] if error else [])))

    inside = [r for r in records if r.fps >= 50 and r not in best]
    wanted = {
        r.number for r in inside if near(r) or any((r.miou, r.latency_ms) == (b.miou, b.latency_ms) for b in best)
    }
    chosen = {r.number for r in found[len(best) :]}
    assert chosen <= wanted and (chosen == wanted or len(found) == MOST)


def test_figures_are_on_disk_and_used_and_not_taken_twice(tmp_path: Path) -> None:
    config, clock, heard = study(trials=6, sampler="random", confirm=1), Clock(0.5), Heard()
    outcome = run_study(config, tmp_path, work=made_up, time=clock, progress=heard)
    again = {r.number: r for r in outcome.records if r.confirmed}
    assert sorted(clock.timed) == sorted(again) and {r.number for r in front(outcome.records)} <= set(again)
    assert any(f"timing {len(again)} networks" in line for line in heard.lines)
    assert [done for _, done, _ in heard.stages] == list(range(len(again)))
    for r in again.values():
        assert r.latency is not None and r.confirmed is not None and r.latency_ms == 0.5 * r.latency.median_ms
    assert StudyFolder(tmp_path).records() == list(outcome.records)
    assert run_study(config, tmp_path, work=made_up, time=clock).records == outcome.records
    assert len(clock.timed) == len(again)
    more = run_study(study(trials=9, sampler="random", confirm=1), tmp_path, work=made_up, time=clock)
    assert sorted(clock.timed) == sorted(r.number for r in more.records if r.confirmed), "only the new ones"


def test_an_unsteady_figure_is_taken_once_more_after_the_others(tmp_path: Path) -> None:
    class Busy(Clock):
        def __call__(self, made: TrialRecord) -> LatencyRecord:
            found = super().__call__(made)
            return unsteady(2 * found.median_ms) if self.timed.count(made.number) == 1 else found

    clock = Busy(1.0)
    outcome = run_study(study(trials=5, confirm=1), tmp_path, work=made_up, time=clock)
    again = [r.number for r in outcome.records if r.confirmed]
    count = len(again)
    assert clock.timed[:count] == clock.timed[count:] and sorted(clock.timed[:count]) == again
    assert all(r.doubt == "steady" for r in outcome.records if r.confirmed)


@pytest.mark.parametrize("at", [0, 1])
def test_ctrl_c_keeps_what_was_timed(at: int, tmp_path: Path) -> None:
    config = study(trials=5, confirm=1)
    script: list[Any] = [1.0] * at + [KeyboardInterrupt]
    stopped = run_study(config, tmp_path, work=made_up, time=Clock(*script))
    assert stopped.end == "interrupted" and stopped.exit_code == 130
    kept = [r.number for r in StudyFolder(tmp_path).records() if r.confirmed]
    assert len(kept) == at
    clock = Clock(1.0)
    assert run_study(config, tmp_path, work=made_up, time=clock).end == "finished"
    assert clock.timed and not set(clock.timed) & set(kept)


def test_what_cannot_be_timed_costs_the_study_nothing(tmp_path: Path) -> None:
    heard = Heard()
    clock = Clock(DeviceError("device: it went away"))
    outcome = run_study(study(trials=4, confirm=1), tmp_path, work=made_up, time=clock, progress=heard)
    assert outcome.end == "finished" and outcome.exit_code == 0 and not any(r.confirmed for r in outcome.records)
    assert any("keeps the latency that it has: device: it went away" in line for line in heard.lines)


def test_nothing_is_timed_again_where_nobody_wants_it_or_the_study_was_stopped(tmp_path: Path) -> None:
    clock = Clock(1.0)
    run_study(study(trials=3, confirm=0), tmp_path / "none", work=made_up, time=clock)

    def stopped(*anything: object) -> Any:
        raise KeyboardInterrupt

    run_study(study(trials=3, confirm=1), tmp_path / "stopped", work=stopped, time=clock)
    assert not clock.timed


def test_a_torn_figure_is_taken_again_and_a_wrong_one_is_named(tmp_path: Path) -> None:
    config, clock = study(trials=3, confirm=1), Clock(1.0)
    run_study(config, tmp_path, work=made_up, time=clock)
    path, count = next(tmp_path.glob("trials/*/confirmed.json")), len(clock.timed)
    path.write_text(path.read_text()[:40])
    run_study(config, tmp_path, work=made_up, time=clock)
    assert len(clock.timed) == count + 1
    path.write_text('{"median_ms": -3}')
    with pytest.raises(InputError, match=r"confirmed\.json"):
        run_study(config, tmp_path, work=made_up, time=clock)


def test_a_network_that_is_trained_anew_loses_its_figure(tmp_path: Path) -> None:
    config, clock = study(trials=3, confirm=1), Clock(1.0)
    first = run_study(config, tmp_path, work=made_up, time=clock)
    number = next(r.number for r in first.records if r.confirmed)
    (StudyFolder(tmp_path).trial(number) / "result.json").unlink()
    run_study(config, tmp_path, work=made_up, time=clock)
    assert clock.timed.count(number) == 2


@pytest.mark.nightly
def test_networks_are_really_timed_in_new_processes(tmp_path: Path) -> None:
    recipe = {"iterations": 1, "batch_size": 2}
    outcome = run_study(quick(trials=1, recipe=recipe, confirm=1, backend="onnxruntime"), tmp_path)
    (made,) = outcome.records
    assert made.confirmed is not None and made.latency is not None
    assert len(made.confirmed.process_medians_ms) == 1 and not made.latency.process_medians_ms
    kept = ("spec_id", "backend", "threads", "size_hw", "device")
    assert all(getattr(made.confirmed, name) == getattr(made.latency, name) for name in kept)


CONFIRMED: dict[str, tuple[Callable[[float], LatencyRecord] | None, float, float, bool]] = {
    "within": (latency, 8.0, 9.0, True),
    "over, as the steady figure of the end says": (latency, 11.0, 9.0, False),
    "over, but others were busy": (unsteady, 11.0, 9.0, True),
    "far over, when others were busy": (unsteady, 30.0, 9.0, True),
    "far over both times": (unsteady, 30.0, 30.0, False),
    "not timed again": (None, 0.0, 11.0, False),
}


@pytest.mark.parametrize(("make", "again_ms", "search_ms", "meets"), CONFIRMED.values(), ids=CONFIRMED)
def test_a_budget_is_met_by_what_is_known(
    make: Callable[[float], LatencyRecord] | None, again_ms: float, search_ms: float, meets: bool
) -> None:
    made = record(1, miou=0.5, latency_ms=search_ms)
    made = made.model_copy(update={"confirmed": make(again_ms) if make else None})
    assert made.meets(Budget(latency_ms=10.0)) == meets


def test_a_host_that_was_slow_at_the_end_does_not_empty_the_front() -> None:
    made = record(1, miou=0.5, latency_ms=5.0)
    seen = [latency(ms).model_copy(update={"reference_ms": ref}) for ms, ref in ((5.0, 0.87), (12.0, 2.1))]
    slow = made.model_copy(update={"latency": seen[0], "confirmed": seen[1]})
    assert slow.meets(Budget(latency_ms=6.67)) and front([slow], Budget(latency_ms=6.67)) == [slow]


def test_one_word_says_how_far_a_latency_is_to_be_trusted() -> None:
    made = record(1, miou=0.5)
    assert made.doubt == "steady" and record(1, latency_ms=None, state="failed", reason="x").doubt is None
    assert made.model_copy(update={"latency": unsteady(5.0)}).doubt == "unsteady"
    unsure = made.model_copy(update={"unsure": True})
    assert unsure.doubt == "unsure" and unsure.model_copy(update={"confirmed": latency(5.0)}).doubt == "steady"
    assert unsure.model_copy(update={"confirmed": unsteady(5.0)}).doubt == "unsure"


def test_confirm_alone_keeps_the_other_records(tmp_path: Path) -> None:
    records = [scored(1, 0.5, 10.0), scored(2, 0.4, 20.0), record(3, latency_ms=50.0)]
    found = confirm(records, Budget(), StudyFolder(tmp_path), Silent(), Clock(2.0))
    assert [r.number for r in found] == [1, 2, 3] and [r.confirmed is not None for r in found] == [True, False, False]
