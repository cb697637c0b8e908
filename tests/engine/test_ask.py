"""Networks trained by code of one's own: asked for and told, or by an objective."""

import errno
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

import segsearch
from segsearch.engine.ask import AskedStudy, open_study
from segsearch.engine.driver import run_study
from segsearch.engine.own_training import NOTE, OwnTrial
from segsearch.engine.watch import Silent
from segsearch.errors import InputError, MachineError
from segsearch.measure.record import LatencyRecord
from segsearch.samplers.shortlist import SHORTLIST
from segsearch.samplers.surrogate import Surrogate
from segsearch.study.budget import Budget
from segsearch.study.config import StudyConfig
from segsearch.study.promotion import Scores, in_order
from segsearch.study.record import TrialRecord
from segsearch.study.store import StudyFolder
from segsearch.study_files import ERROR, LATENCY, RESULT, WEIGHTS
from segsearch.winner.export import export_winner
from tests.engine.builders import latency, small
from tests.engine.studies import TIMER, luck, quick


def config(**changes: Any) -> StudyConfig:
    return quick(sampler="random", timer={**TIMER, "blocks": 1, "retakes": 0}, **changes)


def train_all(study: AskedStudy) -> list[OwnTrial]:
    trials = []
    while (trial := study.ask()) is not None:
        study.tell(trial, miou=luck(trial.spec.id))
        trials.append(trial)
    return trials


def test_a_study_is_asked_and_told_until_it_has_its_trials(tmp_path: Path) -> None:
    with segsearch.open_study(config(trials=2), tmp_path) as study:
        trials = train_all(study)
        assert study.end == "finished" and [trial.number for trial in trials] == [1, 2]
        assert study.front and {r.number for r in study.front} <= {1, 2}
    for trial, record in zip(trials, StudyFolder(tmp_path).records(), strict=True):
        assert record.state == "complete" and record.miou == luck(trial.spec.id) and NOTE in record.notes
        assert record.latency is not None and record.latency.median_ms == trial.latency.median_ms > 0
        assert trial.network.training and trial.point == record.point


def test_what_was_given_out_and_not_told_is_given_again(tmp_path: Path) -> None:
    with open_study(config(trials=2), tmp_path) as study:
        first, second = study.ask(), study.ask()
        assert first is not None and second is not None and (first.number, second.number) == (1, 2)
        study.tell(second, miou=0.5)
        with pytest.raises(InputError, match="is running this study"):
            open_study(config(), tmp_path)
    measured = (tmp_path / "trials/0001" / LATENCY).read_bytes()
    with open_study(config(trials=2), tmp_path) as study:
        assert [trial.number for trial in train_all(study)] == [1]
    assert (tmp_path / "trials/0001" / LATENCY).read_bytes() == measured


def by_luck(network: torch.nn.Module, trial: OwnTrial) -> float:
    trial.report(1, 0.25)
    trial.report(2, 0.5)
    return luck(trial.spec.id)


def test_nothing_over_the_budget_is_given_out(tmp_path: Path) -> None:
    with open_study(config(trials=2, budget={"params": 1}, proposals=5), tmp_path) as study:
        assert study.ask() is None and study.end == "proposals"
        assert {record.state for record in study.records} == {"rejected"} and len(study.records) == 5


def test_a_trial_that_failed_is_told_as_such(tmp_path: Path) -> None:
    with open_study(config(trials=1), tmp_path) as study:
        for told in ({"error": "out of patience"}, {"miou": math.nan}):
            trial = study.ask()
            assert trial is not None
            assert study.tell(trial, **told).state == "failed"
        assert [record.reason for record in study.records] == ["out of patience", "its mIoU is not a number"]
        assert [trial.number for trial in train_all(study)] == [3]


def test_what_cannot_be_told_is_refused_and_can_be_told_right(tmp_path: Path) -> None:
    with open_study(config(trials=1), tmp_path) as study:
        trial = study.ask()
        assert trial is not None
        other = torch.nn.Conv2d(3, 3, 1)
        for told, refusal in (
            ({"miou": 51.0}, "not in percent"),
            ({}, "miou, scores, or error"),
            ({"miou": 0.5, "error": "both"}, "miou, scores, or error"),
            ({"miou": 0.5, "weights": other}, "are not those of trial 1's network"),
        ):
            with pytest.raises(InputError, match=refusal):
                study.tell(trial, **told)
        with pytest.raises(InputError, match="1 or more"):
            trial.report(0, 0.5)
        study.tell(trial, miou=0.5)
        with pytest.raises(InputError, match="trial 1: is not one that was asked for"):
            study.tell(trial, miou=0.5)


@pytest.mark.nightly
def test_the_winner_of_told_weights_is_exported(tmp_path: Path) -> None:
    with open_study(config(trials=1), tmp_path / "s") as study:
        trial = study.ask()
        assert trial is not None
        study.tell(trial, miou=0.5, weights=trial.network.eval())
    card = export_winner(tmp_path / "s", out=tmp_path / "winner", formats=["onnx"])
    assert (
        card.images == 3
        and card.miou == pytest.approx(card.artefact_miou, abs=0.05)
        and (tmp_path / "winner/model.onnx").exists()
    )


def test_an_objective_takes_the_place_of_the_recipe(tmp_path: Path) -> None:
    outcome = run_study(config(trials=2), tmp_path, objective=by_luck)
    assert [(r.miou, [(rung.epochs, rung.miou) for rung in r.rungs]) for r in outcome.records] == [
        (luck(r.spec_id), [(1, 0.25), (2, 0.5)]) for r in outcome.records
    ]
    assert list(tmp_path.rglob(WEIGHTS))


def test_an_objective_that_raises_makes_a_failed_trial(tmp_path: Path) -> None:
    def once(network: torch.nn.Module, trial: OwnTrial) -> float:
        if trial.number == 1:
            raise ValueError("no such luck")
        return 0.5

    records = run_study(config(trials=1), tmp_path, objective=once).records
    assert [(record.state, record.reason) for record in records] == [
        ("failed", "ValueError: no such luck; its traceback is in trials/0001/error.txt"),
        ("complete", None),
    ]
    assert "no such luck" in (tmp_path / "trials/0001" / ERROR).read_text()


@pytest.mark.parametrize(
    ("told", "line"),
    [
        (None, "objective: returned None, and trial.should_stop was not true"),
        ("0.5", "miou: '0.5' is not possible"),
        (55.0, "miou: 55.0 is not possible .allowed: 0 to 1; not in percent"),
        (True, "miou: True is not possible"),
    ],
)
def test_an_objective_that_returns_no_miou_ends_the_study_at_once(told: object, line: str, tmp_path: Path) -> None:
    asked = []

    def wrong(network: torch.nn.Module, trial: OwnTrial) -> Any:
        asked.append(trial.number)
        return told

    with pytest.raises(InputError, match=line):
        run_study(config(trials=2), tmp_path, objective=wrong)
    assert asked == [1]


def test_the_package_offers_it_and_nothing_else() -> None:  # tests/test_imports.py sees that it loads nothing
    assert segsearch.open_study is open_study
    with pytest.raises(AttributeError, match="no attribute 'open_sesame'"):
        segsearch.open_sesame  # type: ignore[attr-defined]  # noqa: B018


def curve(trial: OwnTrial, epoch: int) -> float:
    """An mIoU that grows, and keeps the order of the networks."""
    return luck(trial.spec.id) * epoch / 9


def patient(network: torch.nn.Module, trial: OwnTrial) -> float | None:
    for epoch in range(1, 10):
        trial.report(epoch, curve(trial, epoch))
        if trial.should_stop:
            return None
    return luck(trial.spec.id)


def rungs_config(**changes: Any) -> StudyConfig:
    return config(rungs=[1, 3], recipe={"epochs": 9, "batch_size": 2}, **changes)


def best_third(records: list[TrialRecord], rung: int) -> set[int]:
    """Numbers of those that were good enough at a rung when they came there."""
    found, on = list[TrialRecord](), set[int]()
    for record in records:
        if any(each.epochs == rung for each in record.rungs):
            found.append(record)
            scores = Scores.of([r.model_copy(update={"rungs": r.rungs[: (1, 3).index(rung) + 1]}) for r in found])
            order = [each.number for each in in_order(scores.of_rung(rung))]
            on |= {record.number} & set(order[: math.ceil(len(order) / 3)])
    return on


@pytest.mark.parametrize("asked", [True, False])
def test_trainings_that_others_beat_at_a_rung_are_stopped(asked: bool, tmp_path: Path) -> None:
    if asked:
        with open_study(rungs_config(trials=3), tmp_path) as study:
            while (trial := study.ask()) is not None:
                study.tell(trial, miou=patient(trial.network, trial))
    else:
        run_study(rungs_config(trials=3), tmp_path, objective=patient)
    records = StudyFolder(tmp_path).records()
    states = {r.number: r.state for r in records}
    assert set(states.values()) == {"complete", "stopped"}
    assert {r.number for r in records if len(r.rungs) > 1} == best_third(records, 1), states
    assert {r.number for r in records if r.trained} == best_third(records, 3), states
    stopped = [r for r in records if r.state == "stopped"]
    assert all((r.reason or "").endswith("others were better there") and NOTE in r.notes for r in stopped)
    assert 2 < sum(r.share for r in records) <= 3 <= len(records), "as many epochs as three trainings take"


@pytest.mark.nightly
def test_without_rungs_and_for_what_a_person_named_nothing_is_stopped(tmp_path: Path) -> None:
    outcome = run_study(config(trials=4), tmp_path / "plain", objective=patient)
    assert [len(r.rungs) for r in outcome.records] == [9] * 4 and all(r.trained for r in outcome.records)
    named = rungs_config(trials=2, points=["fpenet", "sgcpnet1"])
    outcome = run_study(named, tmp_path / "named", objective=patient)
    assert [(r.trained, [each.epochs for each in r.rungs]) for r in outcome.records] == [(True, [1, 3])] * 2


def test_a_trial_is_told_alone_only_where_it_is_to_stop(tmp_path: Path) -> None:
    with open_study(rungs_config(trials=2), tmp_path) as study:
        first = study.ask()
        assert first is not None
        first.report(1, 0.5)
        with pytest.raises(InputError, match="miou, scores, or error"):
            study.tell(first)
        second = study.ask()
        assert second is not None
        second.report(1, 0.0)
        assert second.should_stop and not first.should_stop
        record = study.tell(second)
        assert (record.state, record.reached, record.share) == ("stopped", 1, pytest.approx(1 / 9))


@pytest.mark.nightly
def test_the_sampler_learns_from_the_end_whatever_is_reported(tmp_path: Path) -> None:
    """Reports of a study without rungs are no scores that its model could compare."""
    records = run_study(config(trials=9), tmp_path, objective=patient).records
    model = Surrogate(small(), Budget(), seed=0, startup=4)
    for record in records:
        model.began(record.number, record.point)
        model.ended(record)
    told = {n: (seen.miou, seen.rungs) for n, seen in model._trials.items()}
    assert told == {r.number: (r.miou, ()) for r in records}


def test_long_trainings_have_networks_measured_before_one_is_given(tmp_path: Path) -> None:
    """By the default sampler, and with others under way."""
    settings = config(trials=5, startup=2).model_copy(update={"sampler": "pareto", "shortlist": 2})
    for wanted in (4, 5):  # the second opening has all times from the records
        with open_study(settings.model_copy(update={"trials": wanted}), tmp_path) as study:
            others = [study.ask()] if wanted == 4 else []
            while (trial := study.ask()) is not None:
                trial._begun -= 3600  # it takes an hour to train
                study.tell(trial, miou=luck(trial.spec.id))
            for other in filter(None, others):
                study.tell(other, miou=0.5)
            assert study.end == "finished"
    lines = [json.loads(line) for line in (tmp_path / SHORTLIST).read_text().splitlines()]
    assert {line["number"] for line in lines} == {3, 4, 5}
    for record in StudyFolder(tmp_path).records()[2:]:
        assert record.spec_id in [line["spec_id"] for line in lines if line["number"] == record.number]


def test_a_result_that_could_not_be_written_can_be_told_again(tmp_path: Path) -> None:
    with open_study(config(trials=2), tmp_path) as study:
        trial = study.ask()
        assert trial is not None
        (tmp_path / "trials/0001" / RESULT).mkdir()  # as a full disk, nothing can be written there
        with pytest.raises(InputError, match="cannot be written"):
            study.tell(trial, miou=0.5)
        second = study.ask()
        assert second is not None and second.number == 2, "the first is still out"
        (tmp_path / "trials/0001" / RESULT).rmdir()
        assert study.tell(trial, miou=0.5).miou == 0.5 and study.tell(second, miou=0.25).trained
        assert study.ask() is None and study.end == "finished"


def test_after_an_error_in_a_measurement_a_study_can_be_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = iter([OSError(errno.EMFILE, "Too many open files"), KeyboardInterrupt(), KeyboardInterrupt()])

    def measure(subject: Any, *given: object, **more: object) -> LatencyRecord:
        for error in errors:
            raise error
        return latency(5.0, subject.spec.id)

    monkeypatch.setattr("segsearch.trial.latency_of", measure)
    with open_study(config(trials=1), tmp_path) as study:
        for raised in (MachineError, KeyboardInterrupt, KeyboardInterrupt):
            with pytest.raises(raised):
                study.ask()
        assert [trial.number for trial in train_all(study)] == [1] and study.end == "finished"


class Heard(Silent):
    def __init__(self) -> None:
        self.said = list[str]()

    def opened(self, name: str, wanted: int, records: list[TrialRecord]) -> None:
        self.said.append(f"opened {name} {wanted}")

    def stage(self, number: int, what: str, done: int, total: int) -> None:
        self.said.append(f"{number} {what} {done}")

    def note(self, line: str) -> None:
        self.said.append(line)

    def closed(self, line: str) -> None:
        self.said.append("closed")


def test_a_listener_is_told_of_everything(tmp_path: Path) -> None:
    heard = Heard()
    with open_study(config(trials=1, points=["sgcpnet2"]), tmp_path, progress=heard) as study:
        trial = study.ask()
        assert trial is not None
        trial.report(1, 0.5)
        study.tell(trial, miou=0.5)
    assert heard.said[0].startswith("sgcpnet2 is left out")
    stages = [said for said in dict.fromkeys(heard.said[1:]) if not said.startswith("trial 1 ")]
    assert stages == [
        "opened tiny 1",
        "1 build 0",
        "1 measure 0",
        "1 train 1",
        "closed",
    ]


def test_what_earlier_studies_teach_is_kept(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    with open_study(config(trials=2, seed=7), old) as study:
        train_all(study)
    settings = config(trials=3, **{"from": str(old)})
    heard = Heard()
    with open_study(settings, new, progress=heard) as study:
        first = study.ask()
        assert first is not None and first.task.proposal.origin == "given"
    assert any(line.startswith(f"from {old}: ") for line in heard.said)
    old.rename(tmp_path / "elsewhere")
    with open_study(settings, new) as study:
        assert [trial.number for trial in train_all(study)] == [1, 2, 3]
    with pytest.raises(InputError, match="is this study itself"):
        open_study(config(trials=3, **{"from": str(new)}), new)


def test_the_time_taken_is_kept_even_if_the_process_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segsearch.engine.pace.WRITE_EVERY", 0.0)
    settings, store = config(trials=1, minutes=600), StudyFolder(tmp_path)
    study = open_study(settings, tmp_path)
    trial = study.ask()
    assert trial is not None
    asked = store.spent()
    trial.report(1, 0.5)
    assert 0 < asked < store.spent()
    study.close()
    store.spend(600 * 60)
    with open_study(settings, tmp_path) as study:
        assert study.ask() is None and study.end == "time"
    with pytest.raises(ZeroDivisionError), open_study(settings, tmp_path) as study:
        store.spend(1.0)
        raise ZeroDivisionError
    assert store.spent() > 600 * 60, "an error in the block loses no time"
