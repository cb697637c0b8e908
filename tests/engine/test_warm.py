"""A study that begins with what earlier ones have found: ``from: runs/old``."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from segsearch.engine.driver import run_study
from segsearch.engine.prepare import prepare
from segsearch.engine.warm import WARM, Warm
from segsearch.engine.watch import Silent
from segsearch.errors import InputError
from segsearch.samplers.proposals import SAMPLER_ATTEMPTS
from segsearch.study.budget import Budget
from segsearch.study.config import StudyConfig, load_study, parse_study
from segsearch.study.final import spread
from segsearch.study.record import Proposal, TrialRecord
from segsearch.study.store import StudyFolder
from tests.engine.builders import SMALL, record
from tests.engine.studies import gated, made_up, points, quick
from tests.engine.studies import study as a_study


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six trained networks and some that were rejected."""
    folder = tmp_path_factory.mktemp("warm") / "old"
    run_study(quick(name="old", trials=6, seed=3), folder, work=gated(16))
    return folder


def new(old: Path, **changes: Any) -> StudyConfig:
    return quick(**{"name": "new", "from": str(old), "sampler": "tpe", "trials": 6, "seed": 1} | changes)


class Told(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.proposals: list[Proposal] = []

    def note(self, line: str) -> None:
        self.notes.append(line)

    def started(self, proposal: Proposal) -> None:
        self.proposals.append(proposal)


def best(old: Path) -> list[TrialRecord]:
    return spread(StudyFolder(old).records(), Budget(), None)


def test_the_best_of_the_old_front_is_tried_first_and_the_sampler_knows_the_rest(old: Path, tmp_path: Path) -> None:
    told = Told()
    run_study(new(old, startup=6), tmp_path / "s", work=made_up, progress=told)
    wanted = [r.spec_id for r in best(old)][:3]
    assert [p.spec_id for p in told.proposals[: len(wanted)]] == wanted, "at most half of the trials wanted"
    assert all(p.origin == "given" for p in told.proposals[: len(wanted)])
    next_one = told.proposals[len(wanted)]
    assert next_one.origin == "sampler" or next_one.attempt >= SAMPLER_ATTEMPTS, "it has learnt enough to be asked"
    records = StudyFolder(tmp_path / "s").records()
    assert [r.number for r in records] == [1, 2, 3, 4, 5, 6] and all(r.trained for r in records), (
        "none counts as its own"
    )
    trained = sum(r.trained for r in StudyFolder(old).records())
    assert any(f"from {old}: " in n and "trials teach the sampler, " in n for n in told.notes) and trained == 6


def test_networks_of_the_old_study_may_be_tried_again(old: Path, tmp_path: Path) -> None:
    run_study(new(old, trials=20), tmp_path / "s", work=made_up)
    assert len(points(tmp_path / "s")) == 12, "all that there are"


def test_it_goes_on_with_the_same_proposals_whatever_becomes_of_the_old_study(old: Path, tmp_path: Path) -> None:
    shutil.copytree(old, tmp_path / "old")
    run_study(new(tmp_path / "old"), tmp_path / "whole", work=made_up)
    run_study(new(tmp_path / "old", trials=4), tmp_path / "parts", work=made_up)
    shutil.rmtree(tmp_path / "old")
    run_study(new(tmp_path / "old", trials=6), tmp_path / "parts", work=made_up)
    # the number of trials wanted changes how many points of the front are tried: that was settled when it began
    again = Warm.parse(json.loads((tmp_path / "parts" / WARM).read_text()), "warm")
    assert len(again.first) == 2 and len(points(tmp_path / "parts")) == 6
    run_study(new(tmp_path / "old", trials=7), tmp_path / "parts", work=made_up)
    assert {n: s for n, s in points(tmp_path / "parts").items() if n <= 2} == {
        n: s for n, s in points(tmp_path / "whole").items() if n <= 2
    }


@pytest.mark.parametrize("sampler", ["tpe", "pareto"])
def test_killed_it_proposes_as_it_would_have(sampler: str, old: Path, tmp_path: Path) -> None:
    config = new(old, sampler=sampler, shortlist=1)
    run_study(config, tmp_path / "whole", work=made_up)
    shutil.copytree(tmp_path / "whole", tmp_path / "again")
    for number in (5, 6):
        shutil.rmtree(StudyFolder(tmp_path / "again").trial(number))
    run_study(config, tmp_path / "again", work=made_up)
    assert points(tmp_path / "again") == points(tmp_path / "whole")


def test_another_recipe_is_said_and_teaches_all_the_same(old: Path) -> None:
    study = prepare(new(old, recipe={"iterations": 8, "batch_size": 2}))
    (note,) = study.warm.notes
    assert study.warm.records and note.endswith(
        "its recipe differs (recipe.iterations), so its mIoU is on another scale"
    )


@pytest.mark.parametrize(
    ("changes", "what"),
    [({"threads": 2}, "threads"), ({"data": {"name": "streets", "size": [64, 96], "train": 8, "val": 3}}, "data.size")],
)
def test_figures_of_other_things_teach_nothing_and_their_points_are_tried(changes, what: str, old: Path) -> None:
    study = prepare(new(old, **changes))
    assert study.warm.records == () and len(study.warm.first) == 3
    assert f"its figures are of other things ({what}" in study.warm.notes[0]


def test_only_points_of_the_new_space_teach(old: Path) -> None:
    narrow = {k: v for k, v in SMALL.items() if not k.startswith("fusion.fpn")} | {"fusion": ["up"]}
    study = prepare(a_study(**{"from": str(old)}, narrow=narrow))
    assert study.warm.records and all(r.point["fusion"] == "up" for r in study.warm.records)


def test_several_studies_teach_together_by_numbers_of_their_own(old: Path, tmp_path: Path) -> None:
    run_study(quick(name="other", trials=3, seed=9), tmp_path / "other", work=made_up)
    study = prepare(new(old, **{"from": [str(old), str(tmp_path / "other")]}))
    numbers = [r.number for r in study.warm.records]
    assert numbers == list(range(-len(numbers), 0)) and len(study.warm.notes) == 2


def test_a_budget_cuts_the_old_front(old: Path) -> None:
    limit = sorted(r.latency_ms for r in best(old))[0] + 0.01
    study = prepare(new(old, budget={"latency_ms": limit}))
    assert len(study.warm.first) == 1


def test_the_file_may_name_one_or_several_relative_to_itself(old: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    text = "data: {name: streets, size: [32, 48], train: 8, val: 3}\nrecipe: {iterations: 4}\ntrials: 5\nfrom: "
    for written in ("runs/old", "[runs/old]"):
        path.write_text(text + written)
        config = load_study(path)
        assert config.warm == (str(tmp_path / "runs/old"),)
    assert parse_study(config.model_dump(mode="json"), "study.json") == config, "as it is read back"


def test_what_cannot_teach_is_one_line(old: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: is not the folder of a study: it has no study\.json"):
        prepare(new(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"from: .*old is this study itself \(allowed: another study's folder\)"):
        run_study(new(old), old, work=made_up)
    store = StudyFolder(tmp_path / "empty")
    store.begin(StudyFolder(old).read_study())
    store.finish(record(1))
    with pytest.raises(InputError, match=r"from: .*empty has no trained network"):
        prepare(new(tmp_path / "empty"))


def test_what_is_planned_begins_with_the_best_of_the_old_front(old: Path) -> None:
    proposal = prepare(new(old)).proposer().next(1)
    assert proposal is not None and (proposal.name, proposal.origin) == (best(old)[0].name, "given")
