from pathlib import Path

import pytest

from segsearch.engine.driver import run_study
from segsearch.engine.plan import plan
from segsearch.errors import InputError
from tests.engine.studies import made_up, points, quick, study


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
