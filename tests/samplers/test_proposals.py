from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segsearch.samplers.proposals import Proposer, too_small
from segsearch.space.families.timm import MODEL
from segsearch.space.load import narrow
from segsearch.space.lower import lower
from segsearch.space.nodes import Point, Space
from segsearch.space.points import named_points
from segsearch.space.walk import contains
from segsearch.study.budget import Budget
from segsearch.study.record import Proposal, TrialRecord
from tests.engine.builders import record, small, some_point, unified

SIZE = (64, 96)


def proposer(space: Space | None = None, names: tuple[str, ...] = (), **settings: Any) -> Proposer:
    points = [named_points()[name] for name in names]
    return Proposer(space or unified(), points, **{"budget": Budget(), "size_hw": SIZE, "seed": 0, **settings})


def made_up(number: int, point: Point) -> TrialRecord:
    return record(number, point, miou=(number % 5) / 10, latency_ms=1.0 + number % 3)


def run(chooser: Proposer, count: int) -> list[Proposal]:
    """Propose, and tell a made-up result at once."""
    proposals = []
    for number in range(1, count + 1):
        proposal = chooser.next(number)
        if proposal is None:
            break
        proposals.append(proposal)
        chooser.began(proposal)
        chooser.ended(made_up(number, proposal.point))
    return proposals


def test_named_points_come_first_and_once() -> None:
    names = tuple(named_points())[:3]
    proposals = run(proposer(names=(*names, names[0])), 5)
    assert [p.origin for p in proposals[:3]] == [f"named:{name}" for name in names]
    assert [p.name for p in proposals[:3]] == list(names)
    assert not any(p.origin.startswith("named") for p in proposals[3:])


def test_a_named_point_outside_of_the_space_is_still_tried() -> None:
    name = next(name for name, point in named_points().items() if not contains(small(), point.choices))
    assert run(proposer(small(), names=(name,)), 1)[0].origin == f"named:{name}"


def test_a_named_point_too_small_for_the_images_is_left_out_by_name() -> None:
    points = list(named_points().values())
    assert too_small([p for p in points if p.lead], SIZE) == []
    assert too_small(points, (16, 16)) == [p.name for p in points]


@settings(max_examples=2)
@given(st.integers(0, 2**31))
def test_equal_seeds_propose_equally_and_others_do_not(seed: int) -> None:
    proposed = run(proposer(seed=seed), 14)
    assert proposed == run(proposer(seed=seed), 14)
    assert proposed != run(proposer(seed=seed + 1), 14)


def test_one_that_is_built_anew_proposes_as_the_one_that_went_on() -> None:
    went_on = proposer(seed=3)
    proposals = run(went_on, 12)
    anew = proposer(seed=3)
    for p in proposals:
        anew.began(p)
        anew.ended(made_up(p.number, p.point))
    assert anew.next(13) == went_on.next(13)


@settings(max_examples=3)
@given(order=st.permutations(range(1, 13)), under_way=st.integers(0, 4))
def test_the_order_of_results_decides_nothing(order: list[int], under_way: int) -> None:
    """Twelve trials that all began; the last ones to end are still under way, as they are when read from disk."""
    proposals = run(proposer(seed=3, startup=4), 12)
    finished = order[: 12 - under_way]
    parallel, read = proposer(seed=3, startup=4), proposer(seed=3, startup=4)
    for p in proposals:
        parallel.began(p)
        read.began(p)
        if p.number in finished:
            read.ended(made_up(p.number, p.point))
    for number in finished:
        parallel.next(20 + number)  # a question in between changes no later answer
        parallel.ended(made_up(number, proposals[number - 1].point))
    assert parallel.next(13) == read.next(13)
    assert parallel.next(13).origin == "sampler"


def test_trials_under_way_change_what_is_proposed() -> None:
    proposals = run(proposer(seed=3, startup=4), 12)
    answers = set()
    for under_way in (0, 4, 8):
        chooser = proposer(seed=3, startup=4)
        for p in proposals:
            chooser.began(p)
            if p.number > under_way:
                chooser.ended(made_up(p.number, p.point))
        answers.add(chooser.next(13).spec_id)
    assert len(answers) == 3


def test_nothing_is_proposed_twice_and_a_small_space_is_exhausted() -> None:
    proposals = run(proposer(small()), 100)
    distinct = {lower(some_point(seed, small())).id for seed in range(300)}
    assert {p.spec_id for p in proposals} == distinct
    assert len(proposals) == len(distinct) < 100
    assert all(lower(p.point).id == p.spec_id for p in proposals)


def test_what_is_under_way_is_not_proposed_again() -> None:
    chooser = proposer(seed=5, sampler="random")
    first = chooser.next(1)
    assert first is not None
    chooser.began(first)
    again = chooser.next(1)
    assert again is not None and again.spec_id != first.spec_id and again.attempt > 0


def test_the_sampler_begins_after_the_startup() -> None:
    origins = [p.origin for p in run(proposer(startup=4, sampler="tpe"), 7)]
    assert origins == ["random"] * 4 + ["sampler"] * 3
    assert {p.origin for p in run(proposer(startup=4, sampler="random"), 7)} == {"random"}
    assert {p.origin for p in run(proposer(startup=4, sampler="pareto"), 7)} == {"sampler"}


@pytest.mark.parametrize("sampler", ["nsga2", pytest.param("gp", marks=pytest.mark.nightly)])
def test_optunas_other_samplers_propose_new_networks_by_what_is_known(sampler: str) -> None:
    budget = Budget(latency_ms=2.5)
    first, again = (run(proposer(small(), startup=4, sampler=sampler, budget=budget), 7) for _ in range(2))
    assert first == again
    assert len({p.spec_id for p in first}) == 7
    assert [p.origin for p in first][:4] == ["random"] * 4
    assert "sampler" in [p.origin for p in first][4:]


def test_networks_too_small_for_the_images_are_not_proposed() -> None:
    proposals = run(proposer(size_hw=(32, 32)), 12)
    assert {p.point["input_scale"] for p in proposals} == {1.0}


def test_a_space_without_choices_has_one_proposal() -> None:
    one = narrow(small(), {name: [value] for name, value in some_point(1, small()).items()})
    assert one.size == 1
    assert len(run(proposer(one), 5)) == 1


def test_choices_that_do_not_go_together_are_passed_over() -> None:
    """An encoder that begins at P2 in a space that asks for P1 too: such points are seldom, and end no study."""
    wanted: dict[str, list[Any]] = {
        "encoder": ["timm"],
        MODEL: ["repvit_m0_9@P2:48,96,192,384"],
        "fusion": ["fpn"],
        "finest": ["P1", "P2"],
    }
    proposals = run(proposer(narrow(unified(), wanted), sampler="random"), 8)
    assert len(proposals) == 8 and {proposal.point["finest"] for proposal in proposals} == {"P2"}
    assert any(proposal.attempt for proposal in proposals)
