import io
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from segsearch.engine.driver import run_study
from segsearch.engine.plan import StudyPlan, plan
from segsearch.errors import InputError
from segsearch.report.plan import plan_table
from tests.engine.studies import Staged, gated, made_up, points, quick, study


def test_a_plan_names_what_the_study_then_tries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = study(trials=3, startup=5, budget={"params": 50_000})
    planned = plan(config, first=3)
    assert not list(tmp_path.iterdir()), "a dry run wrote something"
    run_study(config, tmp_path / "s", work=made_up)
    assert {p.proposal.number: p.proposal.spec_id for p in planned.first} == points(tmp_path / "s")
    assert planned.images == {"train": 8, "val": 3} and planned.space_size > 10**6
    assert (
        planned.steps == 4
        and planned.seconds == pytest.approx(3 * planned.seconds_per_training)
        and planned.seconds > 0
    )
    assert [p.refusal is not None for p in planned.first] == [p.params > 50_000 for p in planned.first]


def test_a_plan_of_a_small_space_ends_with_it() -> None:
    planned = plan(quick(), first=50)
    assert len(planned.first) <= planned.space_size == 16


def test_a_plan_finds_data_that_cannot_be_opened() -> None:
    with pytest.raises(InputError):
        plan(study(data={"name": "camvid", "root": "/nowhere"}))


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def planned(settings: Any, folder: Path) -> tuple[StudyPlan, str]:
    """A plan of a begun study, and its words; see that it changes nothing."""
    before = contents(folder)
    found = plan(settings, folder, first=4)
    assert contents(folder) == before, "a dry run wrote something"
    text = io.StringIO()
    Console(file=text, width=300).print(plan_table(found))
    return found, text.getvalue()


def test_a_plan_of_a_begun_study_tells_of_the_rest(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"sampler": "random", "budget": {"latency_ms": 16.0}}
    run_study(study(trials=3, **settings), tmp_path / "s", work=gated(16.0))
    (tmp_path / "s/trials/0002/result.json").unlink()  # as if it had been stopped there
    begun = len(points(tmp_path / "s")) + 1
    found, text = planned(study(trials=6, **settings), tmp_path / "s")
    assert [p.proposal.number for p in found.first] == [2, *range(begun + 1, begun + 4)]
    assert found.seconds == pytest.approx(found.trainings * found.seconds_per_training) and 3 <= found.trainings <= 4
    assert "would be tried next" in text and f"{found.trainings:g} more trained networks" in text
    run_study(study(trials=6, **settings), tmp_path / "s", work=gated(16.0))
    known = points(tmp_path / "s")
    assert {p.proposal.number: p.proposal.spec_id for p in found.first if p.proposal.number in known}.items() <= (
        known.items()
    )
    done, text = planned(study(trials=6, **settings), tmp_path / "s")
    assert (done.first, done.trainings, done.seconds) == (
        (),
        0,
        0,
    ) and "nothing is left to do: finished (6 of 6" in text


def test_a_plan_counts_what_was_trained_up_to_a_rung_and_the_time_taken(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"sampler": "random", "recipe": {"epochs": 9, "batch_size": 2}, "rungs": [1, 3]}
    run_study(study(trials=2, **settings), tmp_path, work=Staged(rungs=(1, 3)))
    found, text = planned(study(trials=4, **settings), tmp_path)
    assert 2 <= found.trainings < 3 and "more whole trainings" in text
    (tmp_path / "spent.json").write_text('{"seconds": 3600}')
    over, text = planned(study(trials=4, minutes=60, **settings), tmp_path)
    assert over.trainings == 0 and "its 60 minutes are over" in text


def test_a_plan_by_a_looser_budget_begins_with_what_was_rejected(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"sampler": "random", "trials": 2}
    outcome = run_study(study(budget={"latency_ms": 8.0}, **settings), tmp_path, work=Staged(limit_ms=8.0))
    again = [r.number for r in outcome.records if r.state == "rejected"]
    found, text = planned(study(budget={"latency_ms": 99.0}, **settings), tmp_path)
    assert [p.proposal.number for p in found.first] == again[:4] and again
    assert f"{len(again)} rejected networks may meet the budget after all and are tried again" in text


def test_a_plan_knows_what_an_earlier_study_taught_and_refuses_another_study(tmp_path: Path) -> None:
    run_study(quick(trials=2, seed=7), tmp_path / "old", work=made_up)
    settings = quick(trials=3, **{"from": str(tmp_path / "old")})
    with pytest.raises(SystemExit):
        run_study(settings, tmp_path / "s", work=Staged(die_at=1))
    shutil.rmtree(tmp_path / "old")
    assert planned(settings, tmp_path / "s")[0].first[0].proposal.origin == "given"
    with pytest.raises(InputError, match="holds a study with recipe"):
        plan(quick(trials=3, recipe={"iterations": 5, "batch_size": 2}), tmp_path / "s")
