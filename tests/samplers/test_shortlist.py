"""Networks that are measured before one is chosen, by a clock that is made up."""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from segsearch.engine.driver import run_study
from segsearch.engine.executors.base import Task
from segsearch.engine.watch import Silent
from segsearch.errors import MachineError
from segsearch.measure.record import LatencyRecord
from segsearch.progress import Report
from segsearch.result import Rung, TrialResult
from segsearch.samplers.proposals import GivenPoint, Proposer
from segsearch.samplers.shortlist import SHORTLIST, SHORTLISTED, Shortlist
from segsearch.samplers.surrogate import Surrogate
from segsearch.space.lower import lower
from segsearch.space.nodes import Point, Space
from segsearch.space.walk import every_point
from segsearch.spec.network import NetworkSpec
from segsearch.study.budget import Budget
from segsearch.study.record import Proposal, TrialRecord
from segsearch.study.store import StudyFolder
from segsearch.study_files import LATENCY, TRIALS
from segsearch.trial import read_measurements
from tests.engine.builders import latency, record, result, small, unified
from tests.engine.studies import quick, study
from tests.engine.test_driver import Killed, run_killed

SIZE = (64, 96)
RUNG = Rung(steps=5, epochs=2, miou=0.1)


def takes_ms(point: Point) -> float:
    """Latency of a network: mostly its width and its input."""
    noise = int(hashlib.sha256(lower(point).id.encode()).hexdigest()[:4], 16) / 0xFFFF
    return 2 + 8 * float(point["encoder_width"]) * float(point["input_scale"]) + 0.3 * noise


def quality(point: Point) -> float:
    return min(0.9, 0.2 + 0.05 * takes_ms(point) + 0.1 * (point["context"] != "none"))


def told(number: int, point: Point, train_seconds: float = 600.0) -> TrialRecord:
    found = record(number, point, miou=quality(point), latency_ms=takes_ms(point))
    return found.model_copy(update={"seconds": {"measure": 3.0, "train": train_seconds}})


class Clock:
    """Measures in no time, and remembers what."""

    def __init__(self) -> None:
        self.measured: list[tuple[int, str]] = []

    def __call__(self, proposal: Proposal, spec: NetworkSpec, folder: Path) -> TrialResult:
        assert folder.is_dir() and spec.id == proposal.spec_id
        self.measured.append((proposal.number, spec.id))
        return result(proposal.point, latency_ms=takes_ms(proposal.point))


def proposer(folder: Path, clock: Any, notes: list[str] | None = None, size: int = 4, **settings: Any) -> Proposer:
    note, space = (notes if notes is not None else []).append, settings.pop("space", unified())
    shortlist = Shortlist(size, clock, folder, note)
    named = settings.pop("named", [])
    given: dict[str, Any] = {
        "budget": Budget(),
        "size_hw": SIZE,
        "seed": 0,
        "startup": 8,
        "shortlist": shortlist,
    } | settings
    return Proposer(space, named, **given)


def run(chooser: Proposer, numbers: Sequence[int], **facts: Any) -> list[Proposal]:
    found = []
    for number in numbers:
        proposal = chooser.next(number)
        assert proposal is not None
        chooser.began(proposal)
        chooser.ended(told(number, proposal.point, **facts))
        found.append(proposal)
    return found


def test_where_several_trainings_wait_fewer_are_measured(tmp_path: Path) -> None:
    def worth(trainings: int) -> int:
        shortlist = Shortlist(8, Clock(), tmp_path, lambda note: None, lambda: trainings)
        shortlist.trained(1, training=80.0, measuring=2.5)
        return shortlist.worth(2)

    assert [worth(trainings) for trainings in (1, 2, 4, 8)] == [8, 4, 2, 0]


def test_several_are_measured_and_one_of_them_is_proposed(tmp_path: Path) -> None:
    clock = Clock()
    chooser = proposer(tmp_path, clock)
    proposals = run(chooser, range(1, 12))
    for number in (10, 11):
        measured = [spec_id for n, spec_id in clock.measured if n == number]
        assert len(set(measured)) == 4
        assert proposals[number - 1].spec_id in measured
    latency = chooser.latency(proposals[-1])
    assert latency is not None and latency.median_ms == takes_ms(proposals[-1].point)


def test_a_study_taken_up_again_measures_nothing_twice_and_proposes_the_same(tmp_path: Path) -> None:
    clock = Clock()
    proposals = run(proposer(tmp_path, clock), range(1, 12))
    before = list(clock.measured)
    again = proposer(tmp_path, clock)
    for number, proposal in enumerate(proposals[:-1], start=1):
        again.began(proposal)
        again.ended(told(number, proposal.point))
    assert again.next(11) == proposals[-1]
    assert clock.measured == before
    text = (tmp_path / SHORTLIST).read_bytes()
    (tmp_path / SHORTLIST).write_bytes(text[:-40])  # stopped in the middle of a line
    torn = proposer(tmp_path, clock)
    for number, proposal in enumerate(proposals[:-1], start=1):
        torn.began(proposal)
        torn.ended(told(number, proposal.point))
    assert torn.next(11) == proposals[-1]
    assert len(clock.measured) == len(before) + 1


def test_what_is_measured_over_the_budget_is_left_to_those_within(tmp_path: Path) -> None:
    budget = Budget(latency_ms=5.0)
    proposals = run(proposer(tmp_path, Clock(), budget=budget), range(1, 12))
    assert all(takes_ms(p.point) <= 5.0 for p in proposals[8:])


def test_measuring_takes_little_beside_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    clock = Clock()
    monkeypatch.setattr("segsearch.samplers.shortlist.time.perf_counter", iter(range(0, 10_000, 3)).__next__)
    run(proposer(tmp_path, clock, notes, size=8), range(1, 11), train_seconds=40.0)
    # a quarter of 40 seconds is enough for three of 3 seconds
    assert {number: [n for n, _ in clock.measured].count(number) for number in range(1, 11)} == {1: 0} | {
        number: 3 for number in range(2, 11)
    }
    assert notes.count("3 networks are measured before a training, not 8: trainings are too short for more") == 1
    assert re.match(
        r"trial 10 was chosen of 3 networks that were measured; their latency was predicted within \d+ %", notes[-1]
    )


def test_times_that_are_told_again_count_once(tmp_path: Path) -> None:
    """As where rejected networks are taken up again, and the sampler begins anew with all that is known."""
    told_once, clock = proposer(tmp_path / "once", Clock(), size=8), Clock()
    first = proposer(tmp_path / "again", clock, size=8)
    assert first._shortlist is not None and told_once._shortlist is not None
    second = proposer(tmp_path / "again", clock, shortlist=first._shortlist)
    for chooser, numbers in ((told_once, (1, 2, 3)), (first, (1,)), (second, (1, 2, 3))):
        for number in numbers:
            known = told(number, record(number).point, train_seconds=12.0 if number == 1 else 40.0)
            chooser.began(known)
            chooser.ended(known)
    assert first._shortlist.worth(4) == told_once._shortlist.worth(4) == 3


def test_before_a_training_has_ended_nothing_is_measured(tmp_path: Path) -> None:
    clock = Clock()
    assert proposer(tmp_path, clock).next(1) is not None
    assert clock.measured == []


def test_a_network_that_cannot_be_measured_is_not_chosen(tmp_path: Path) -> None:
    broken: list[str] = []

    def measure(proposal: Proposal, spec: NetworkSpec, folder: Path) -> TrialResult:
        found = result(proposal.point, latency_ms=takes_ms(proposal.point))
        if len(broken) % 2 == 0:
            found = found.model_copy(update={"latency": None, "state": "failed"})
        broken.append(spec.id)
        return found

    proposals = run(proposer(tmp_path, measure), range(1, 12))
    failed = set(broken[::2])
    assert failed and not failed & {p.spec_id for p in proposals[1:]}


def heavy(point: Point) -> int:
    """Parameters of a network, made up."""
    return 1000 + int(lower(point).id[:4], 16)


def counted(limit: int) -> Any:
    """Measures as a trial does: what has too many parameters is rejected before it is timed."""

    def measure(proposal: Proposal, spec: NetworkSpec, folder: Path) -> TrialResult:
        params = heavy(proposal.point)
        took = takes_ms(proposal.point) if params <= limit else None
        return result(proposal.point, latency_ms=took, params=params)

    return measure


LIMIT = 1000 + 0x8000
"""Half of the networks are below."""


def rejected(folder: Path) -> set[str]:
    """Networks of a study's shortlists that were over the limit."""
    run(proposer(folder, counted(LIMIT), budget=Budget(params=LIMIT), space=small()), range(1, 9))
    lines = [json.loads(line) for line in (folder / SHORTLIST).read_text().splitlines()]
    found = {line["spec_id"] for line in lines if line["latency"] is None}
    assert found
    return found


def fresh(chooser: Proposer) -> set[str]:
    """All networks that may be proposed next, no trial being known."""
    chooser._hear(12)
    return {proposal.spec_id for proposal in chooser._fresh(12)}


def test_what_was_over_a_limit_of_parameters_comes_back_with_a_higher_limit(tmp_path: Path) -> None:
    over = rejected(tmp_path)
    assert over & fresh(proposer(tmp_path, Clock(), budget=Budget(params=LIMIT), space=small())) == set()
    assert over <= fresh(proposer(tmp_path, Clock(), budget=Budget(params=10**6), space=small()))
    assert over <= fresh(proposer(tmp_path, Clock(), space=small()))


def test_lines_of_before_tell_no_reason_and_keep_no_network_away(tmp_path: Path) -> None:
    over = rejected(tmp_path)
    lines = [json.loads(line) for line in (tmp_path / SHORTLIST).read_text().splitlines()]
    old = [{k: line[k] for k in ("number", "point", "spec_id", "latency", "seconds")} for line in lines]
    (tmp_path / SHORTLIST).write_text("".join(json.dumps(line) + "\n" for line in old))
    assert over <= fresh(proposer(tmp_path, Clock(), budget=Budget(params=LIMIT), space=small()))


def test_a_network_that_a_person_asks_for_is_tried_although_a_shortlist_passed_it_over(tmp_path: Path) -> None:
    over = rejected(tmp_path)
    lines = [json.loads(line) for line in (tmp_path / SHORTLIST).read_text().splitlines()]
    point = next(line["point"] for line in lines if line["spec_id"] in over)
    given = GivenPoint(name="mine", choices=point, spec=lower(point))
    chooser = proposer(tmp_path, Clock(), budget=Budget(params=LIMIT), space=small(), named=[given])
    chooser._hear(12)
    asked = chooser.next(12)
    assert asked is not None and asked.name == "mine"


def test_latencies_are_predicted_from_those_known_and_the_error_is_told() -> None:
    model = Surrogate(unified(), Budget(), seed=0, startup=4)
    assert model.error is None
    for number in range(1, 41):
        known = told(number, record(number).point)
        model.began(number, known.point)
        model.ended(known)
    assert model.error is not None and model.error < 0.2
    assert model.learnt == 40


def test_going_on_is_worth_most_to_the_best_at_a_rung() -> None:
    model = Surrogate(unified(), Budget(), seed=0, startup=4, rungs=[1])
    for number in range(1, 13):
        point = record(number).point
        rung = Rung(steps=5, epochs=1, miou=0.05 * (number % 6) + 0.1)
        model.began(number, point)
        if number <= 6:
            known = record(number, point, miou=2 * rung.miou, latency_ms=5.0 + number / 100)
            model.ended(known.model_copy(update={"rungs": (rung,)}))
        else:
            paused = result(point, latency_ms=5.0, state="paused", rungs=(rung,), reason=None)
            model.scored(number, paused)
    merits = model.merits(range(7, 13))
    assert max(merits, key=merits.__getitem__) == 11


def scored_at(epochs: Sequence[int]) -> Surrogate:
    """A model of a study with a rung at epoch 2 that has trained eight networks with other rungs."""
    model = Surrogate(unified(), Budget(), seed=0, startup=4, rungs=[2])
    for number in range(1, 9):
        known = told(number, record(number).point)
        rungs = tuple(Rung(steps=epoch, epochs=epoch, miou=known.miou / 4) for epoch in epochs)
        model.began(number, known.point)
        model.ended(known.model_copy(update={"rungs": rungs}))
    return model


@pytest.mark.parametrize("epochs", [[], [1, 3]])
def test_trials_that_were_not_scored_at_the_study_s_rungs_still_teach_the_end(epochs: list[int]) -> None:
    model = scored_at(epochs)
    points = [record(number).point for number in range(20, 60)]
    costs: list[dict[str, float | None]] = [{"latency_ms": 5.0}] * len(points)
    best = points[model.best(10, points, costs)]
    assert quality(best) > sorted(map(quality, points))[len(points) // 2]
    assert len(model.ask(9, 3)) == 3
    paused = record(9).point
    model.began(9, paused)
    model.scored(9, result(paused, latency_ms=5.0, state="paused", reason=None, rungs=(RUNG,)))
    assert set(model.merits([9])) == {9}
    assert len(model.ask(10, 3)) == 3


def test_a_score_counts_for_the_epoch_that_it_is_of() -> None:
    """Trials of other rungs say what trials without any say: their early scores are no scores of epoch 2."""
    assert scored_at([1, 3]).ask(9, 3) == scored_at([]).ask(9, 3)
    assert scored_at([1, 2, 3]).ask(9, 3) == scored_at([2]).ask(9, 3)


def test_where_no_new_network_is_left_or_fits_no_merit_is_told() -> None:
    """Every point of a narrow space is a trial, or a budget is below all that is predicted."""

    def merits(space: Space, budget: Budget) -> dict[int, float]:
        model = Surrogate(space, budget, seed=0, startup=4, rungs=[2])
        points = every_point(space) if space is small() else (record(number).point for number in range(16))
        for number, point in enumerate(points, 1):
            model.began(number, point)
            if number < 9:
                rung = RUNG.model_copy(update={"miou": quality(point) / 4})
                known = record(number, point, miou=quality(point), latency_ms=takes_ms(point), rungs=(rung,))
                model.ended(known)
            else:
                model.scored(number, result(point, latency_ms=5.0, state="paused", reason=None, rungs=(RUNG,)))
        return model.merits([9, 10])

    assert merits(small(), Budget()) == {}
    assert merits(unified(), Budget(latency_ms=0.5)) == {}
    assert set(merits(unified(), Budget())) == {9, 10}


def test_a_study_measures_a_shortlist_and_its_trial_is_not_measured_again(tmp_path: Path) -> None:
    def work(task: Task, report: Report) -> TrialResult:
        if task.stage == "train":
            return result(
                task.proposal.point, miou=quality(task.proposal.point), latency_ms=None, seconds={"train": 1e6}
            )
        taken = read_measurements(task.folder / LATENCY) or [latency(takes_ms(task.proposal.point), task.spec.id)]
        return result(task.proposal.point, state="passed", reason=None, latency_ms=taken[0].median_ms)

    config = study(trials=6, sampler="pareto", shortlist=3, startup=4)
    outcome = run_study(config, tmp_path, work=work)
    assert outcome.end == "finished"
    lines = [json.loads(line) for line in (tmp_path / SHORTLIST).read_text().splitlines()]
    assert {line["number"] for line in lines} == set(range(2, 7))
    for trained in StudyFolder(tmp_path).records()[1:]:
        assert trained.spec_id in [line["spec_id"] for line in lines if line["number"] == trained.number]
        assert read_measurements(tmp_path / "trials" / f"{trained.number:04d}" / LATENCY)


def test_a_study_with_rungs_lets_those_go_on_that_the_model_expects_most_of(tmp_path: Path) -> None:
    """For real but for the training: mIoU grows with the epochs, alike for all networks."""
    asked: list[Sequence[int]] = []

    def work(task: Task, report: Report) -> TrialResult:
        point = task.proposal.point
        if task.stage == "measure":
            return result(point, state="passed", reason=None, latency_ms=takes_ms(point))
        rung = Rung(steps=1, epochs=1, miou=quality(point) / 2)
        if task.until is not None:
            return result(point, state="paused", reason=None, latency_ms=None, rungs=(rung,))
        return result(point, miou=quality(point), latency_ms=None, rungs=(rung,))

    merits = Proposer.merits
    recipe = {"epochs": 4, "batch_size": 8}
    config = study(trials=4, sampler="pareto", shortlist=1, startup=4, rungs=[1], recipe=recipe)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Proposer, "merits", lambda self, numbers: asked.append(numbers) or merits(self, numbers))
        outcome = run_study(config, tmp_path, work=work)
    records = StudyFolder(tmp_path).records()
    assert outcome.end == "finished" and asked
    assert 0 < sum(r.trained for r in records) < len(records)


@pytest.mark.nightly
def test_no_trials_are_spent_on_what_is_faster_than_enough() -> None:
    """Twenty proposals after a start: how many are of the faster half, with and without a speed that is enough."""
    middle = sorted(takes_ms(record(number).point) for number in range(100))[50]

    def fast(budget: Budget) -> int:
        model, count = Surrogate(unified(), budget, seed=0, startup=6), 0
        for number in range(1, 33):
            point = record(number).point if number <= 12 else model.ask(number, 1)[0]
            count += number > 12 and takes_ms(point) < middle
            model.began(number, point)
            model.ended(told(number, point))
        return count

    assert fast(Budget(enough_fps=1000 / middle)) < fast(Budget()) / 2


def shortlisted(task: Task) -> bool:
    """Whether a network is measured that is no trial yet."""
    return task.folder.parent.name != TRIALS


class Deadly:
    """Kills the process whenever one network is measured: the third that a shortlist has."""

    def __init__(self) -> None:
        self.measured = list[str]()
        self.deadly: str | None = None

    def __call__(self, task: Task, report: Report) -> TrialResult:
        if task.stage == "train":
            return result(
                task.proposal.point, miou=quality(task.proposal.point), latency_ms=None, seconds={"train": 1e6}
            )
        if shortlisted(task):
            self.measured.append(task.spec.id)
            self.deadly = self.deadly or (task.spec.id if len(self.measured) == 3 else None)
        if task.spec.id == self.deadly:
            raise Killed
        return result(task.proposal.point, state="passed", reason=None, latency_ms=takes_ms(task.proposal.point))


CONFIG: dict[str, Any] = {"trials": 5, "sampler": "pareto", "shortlist": 3, "startup": 3}


def test_a_network_that_kills_its_process_while_it_is_measured_is_left_out_the_second_time(tmp_path: Path) -> None:
    work, folder, deaths = Deadly(), tmp_path / "s", 0
    while (outcome := run_killed(study(**CONFIG), folder, work)) is None:
        deaths += 1
        assert deaths < 5, "it kills the study for ever"
    assert deaths == 2 and outcome.end == "finished"
    lines = [json.loads(line) for line in (folder / SHORTLIST).read_text().splitlines()]
    assert [line["spec_id"] for line in lines if line["latency"] is None] == [work.deadly]
    assert work.deadly not in {r.spec_id for r in outcome.records}
    assert not (folder / SHORTLISTED).exists()


def test_a_stop_while_a_shortlist_is_measured_is_no_death(tmp_path: Path) -> None:
    work, stops = Deadly(), 0

    class Stopping(Silent):
        def stage(self, number: int, what: str, done: int, total: int) -> None:
            raise KeyboardInterrupt

    def stopped(task: Task, report: Report) -> TrialResult:
        if shortlisted(task) and stops < 4:
            report("measure", 0, 1)
        work.deadly = "none"
        return work(task, report)

    for _ in range(4):
        assert run_study(study(**CONFIG), tmp_path, work=stopped, progress=Stopping()).end == "interrupted"
        stops += 1
    assert run_study(study(**CONFIG), tmp_path, work=stopped).end == "finished"
    lines = [json.loads(line) for line in (tmp_path / SHORTLIST).read_text().splitlines()]
    assert all(line["latency"] for line in lines)


def test_a_network_that_is_short_of_memory_in_a_shortlist_is_left_out_the_second_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segsearch.samplers.shortlist.SHARE", 1e9)
    taken = 0

    def measure(subject: Any, *given: object, **more: object) -> LatencyRecord:
        nonlocal taken
        taken += 1
        if taken in (3, 4):
            raise MemoryError
        return latency(5.0, subject.spec.id)

    monkeypatch.setattr("segsearch.trial.latency_of", measure)
    recipe, data = {"iterations": 1, "batch_size": 2}, {"name": "streets", "size": [32, 48], "train": 2, "val": 1}
    settings = quick(**CONFIG | {"recipe": recipe, "data": data, "trials": 4})
    with pytest.raises(MachineError, match="memory"):
        run_study(settings, tmp_path)
    notes = list[str]()

    class Heard(Silent):
        def note(self, line: str) -> None:
            notes.append(line)

    assert run_study(settings, tmp_path, progress=Heard()).end == "finished"
    lines = [json.loads(line) for line in (tmp_path / SHORTLIST).read_text().splitlines()]
    (left,) = [line["spec_id"] for line in lines if line["latency"] is None]
    assert left not in {r.spec_id for r in StudyFolder(tmp_path).records()}
    assert any(left[:8] in note and "is left out" in note and "MemoryError" in note for note in notes)
