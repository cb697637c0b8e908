"""The sampler in Optuna studies of its own, and the tree that it reads off trials."""

import itertools
import random
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import TrialState

from segsearch.samplers.pareto_sampler import ParetoSampler
from segsearch.samplers.pareto_sampler.tree import Given, learn

optuna.logging.set_verbosity(optuna.logging.WARNING)
Ask = Callable[[optuna.Trial], dict[str, Any]]


def branching(trial: optuna.Trial) -> dict[str, Any]:
    """A space as people write one: encoders with choices of their own, and one choice inside another."""
    encoder = trial.suggest_categorical("encoder", ["resnet", "df", "fpe"])
    depth = trial.suggest_int(f"encoder.{encoder}.depth", 1, 4)
    if encoder == "df" and trial.suggest_categorical("encoder.df.wide", [True, False]):
        trial.suggest_int("encoder.df.wide.factor", 2, 5)
    trial.suggest_categorical("act", ["relu", "gelu"])
    return {"encoder": encoder, "depth": depth} | trial.params


def worth(params: Mapping[str, Any]) -> tuple[float, float]:
    """Quality and cost of a point of that space."""
    depth = params[f"encoder.{params['encoder']}.depth"]
    base = {"resnet": 0.5, "df": 0.3, "fpe": 0.1}[params["encoder"]]
    bonus = 0.05 * params.get("encoder.df.wide.factor", 0) + 0.02 * (params["act"] == "gelu")
    return base + 0.2 * depth**0.5 + bonus, 1 + 4 * base + depth + params.get("encoder.df.wide.factor", 0)


def known_cost(params: Mapping[str, Any]) -> tuple[float] | None:
    """Cost of a complete point."""
    try:
        return (worth(params)[1],)
    except KeyError:
        return None


def study_of(sampler: optuna.samplers.BaseSampler, objectives: int = 2) -> optuna.Study:
    directions = [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE, StudyDirection.MINIMIZE]
    return optuna.create_study(directions=directions[:objectives], sampler=sampler)


def run(study: optuna.Study, count: int, ask: Ask = branching) -> list[dict[str, Any]]:
    for _ in range(count):
        trial = study.ask()
        ask(trial)
        study.tell(trial, worth(trial.params)[: len(study.directions)])
    return [trial.params for trial in study.get_trials()]


def given(ask: Ask, count: int) -> list[Given]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(count):
        trial = study.ask()
        ask(trial)
        study.tell(trial, 0.0)
    return [(t.params, t.distributions) for t in study.get_trials()]


def test_the_tree_is_read_off_the_trials() -> None:
    tree = learn(given(branching, 40))
    conditions = {p.name: p.condition and (p.condition.parent, p.condition.values) for p in tree.parameters}
    assert conditions == {
        "encoder": None,
        "encoder.resnet.depth": ("encoder", {"resnet"}),
        "encoder.df.depth": ("encoder", {"df"}),
        "encoder.fpe.depth": ("encoder", {"fpe"}),
        "encoder.df.wide": ("encoder", {"df"}),
        "encoder.df.wide.factor": ("encoder.df.wide", {True}),
        "act": None,
    }
    assert {p.stem for p in tree.parameters if p.name.endswith("depth")} == {"encoder depth"}


def test_a_number_may_open_a_branch_even_where_no_trial_had_it() -> None:
    def layers(trial: optuna.Trial) -> dict[str, Any]:
        for layer in range(trial.suggest_int("layers", 1, 9)):
            trial.suggest_categorical(f"kind{layer}", ["a", "b"])
        return trial.params

    trials = [(p, d) for p, d in given(layers, 30) if p["layers"] != 5]
    tree = learn(trials)
    conditions = {p.name: p.condition for p in tree.parameters}
    assert conditions["kind0"] is None
    assert conditions["kind2"] is not None and conditions["kind2"].values == frozenset(range(3, 10))


def test_points_and_their_neighbours_are_what_the_study_would_ask() -> None:
    tree, rng = learn(given(branching, 40)), random.Random(0)
    point = tree.complete({}, rng)
    for _ in range(50):
        found = list(tree.neighbours(point, rng))
        assert point not in found
        point = rng.choice(found)
        asked = optuna.trial.FixedTrial(point)
        branching(asked)  # type: ignore[arg-type]
        assert asked.params == point


def test_a_branch_entered_anew_keeps_what_it_shares_with_the_old() -> None:
    tree = learn(given(branching, 40))
    point = {"encoder": "resnet", "encoder.resnet.depth": 4, "act": "relu"}
    found = [n for n in tree.neighbours(point, random.Random(0)) if n["encoder"] == "fpe"]
    assert found == [{"encoder": "fpe", "encoder.fpe.depth": 4, "act": "relu"}]


@pytest.mark.parametrize("cost", [known_cost, None])
@pytest.mark.parametrize("objectives", [1, 2])
def test_no_point_is_proposed_twice(cost: Any, objectives: int) -> None:
    seen = run(study_of(ParetoSampler(seed=0, cost=cost, startup=4), objectives), 24)
    assert len({tuple(sorted(p.items())) for p in seen}) == 24


def test_a_space_without_a_new_point_is_said_to_be_at_its_end() -> None:
    def two(trial: optuna.Trial) -> dict[str, Any]:
        return {"x": trial.suggest_int("x", 0, 3)}

    study = study_of(ParetoSampler(seed=0, startup=2), 1)
    with pytest.warns(UserWarning, match="no new point"):
        for _ in range(6):
            trial = study.ask()
            study.tell(trial, two(trial)["x"])
    assert {t.params["x"] for t in study.get_trials()[:4]} == {0, 1, 2, 3}


def test_a_point_without_a_cost_is_not_proposed_once_the_space_is_known() -> None:
    def cheap(params: Mapping[str, Any]) -> tuple[float] | None:
        found = known_cost(params)
        return found if found is not None and found[0] <= 6 else None

    study = study_of(ParetoSampler(seed=1, cost=cheap, startup=4))
    proposed = run(study, 18)
    assert all(worth(p)[1] <= 6 for p in proposed[8:])


def test_every_branch_is_looked_into_although_its_cost_is_not_known_before() -> None:
    proposed = run(study_of(ParetoSampler(seed=0, cost=known_cost, startup=8)), 8)
    assert {p["encoder"] for p in proposed} == {"resnet", "df", "fpe"}


def test_the_start_is_spread_over_the_costs() -> None:
    tree = learn(given(branching, 40))
    proposed = run(study_of(ParetoSampler(seed=0, cost=known_cost, startup=6, space=tree)), 6)
    costs = sorted(worth(p)[1] for p in proposed)
    rng = random.Random(0)
    drawn = sorted(worth(tree.complete({}, rng))[1] for _ in range(600))
    places = [sum(d < cost for d in drawn) / 600 for cost in costs]
    assert places[0] < 0.3 and places[-1] > 0.7
    assert max(b - a for a, b in itertools.pairwise(places)) < 0.4


def test_the_next_point_depends_on_trials_and_seed_not_on_the_order_of_results() -> None:
    """As in parallel: both trials run, and end in either order; then in a new process."""

    def after(first: int, second: int) -> tuple[optuna.Study, dict[str, Any]]:
        study = study_of(ParetoSampler(seed=3, cost=known_cost, startup=4))
        run(study, 8)
        trials = [study.ask(), study.ask()]
        for trial in trials:
            branching(trial)
        for place in (first, second):
            study.tell(trials[place], worth(trials[place].params))
        trial = study.ask()
        branching(trial)
        return study, trial.params

    study, asked = after(0, 1)
    assert after(1, 0)[1] == asked
    anew = study_of(ParetoSampler(seed=3, cost=known_cost, startup=4))
    anew.add_trials(study.get_trials()[:-1])
    trial = anew.ask()
    branching(trial)
    assert trial.params == asked
    other = study_of(ParetoSampler(seed=4, cost=known_cost, startup=4))
    other.add_trials(study.get_trials()[:-1])
    assert [run(other, 1)[-1] for _ in range(2)] != [asked, asked]


def test_trials_under_way_are_counted_with() -> None:
    study = study_of(ParetoSampler(seed=0, cost=known_cost, startup=4))
    run(study, 10)
    asked = []
    for _ in range(4):
        trial = study.ask()
        branching(trial)
        asked.append(tuple(sorted(trial.params.items())))
    assert len(set(asked)) == 4


def test_points_given_to_a_study_come_first_and_count() -> None:
    study = study_of(ParetoSampler(seed=0, cost=known_cost, startup=4))
    study.enqueue_trial({"encoder": "df", "encoder.df.depth": 2, "encoder.df.wide": False, "act": "gelu"})
    study.enqueue_trial({"act": "gelu"})
    proposed = run(study, 6)
    assert proposed[0] == {"encoder": "df", "encoder.df.depth": 2, "encoder.df.wide": False, "act": "gelu"}
    assert proposed[1]["act"] == "gelu"
    assert len({tuple(sorted(p.items())) for p in proposed}) == 6


def test_failed_and_pruned_trials_teach_nothing_and_are_not_repeated() -> None:
    study = study_of(ParetoSampler(seed=0, cost=known_cost, startup=3))
    states = [TrialState.FAIL, TrialState.PRUNED, TrialState.COMPLETE, TrialState.COMPLETE]
    for number in range(16):
        trial = study.ask()
        branching(trial)
        state = states[number % 4]
        study.tell(trial, worth(trial.params) if state == TrialState.COMPLETE else None, state=state)
    assert len({tuple(sorted(t.params.items())) for t in study.get_trials()}) == 16


def test_numbers_of_every_kind_and_three_objectives() -> None:
    def ask(trial: optuna.Trial) -> dict[str, Any]:
        rate = trial.suggest_float("rate", 1e-4, 1e-1, log=True)
        width = trial.suggest_int("width", 8, 512, log=True)
        trial.suggest_float("drop", 0.0, 0.5, step=0.1)
        trial.suggest_float("free", -1.0, 1.0)
        return {"rate": rate, "width": width}

    def cost(params: Mapping[str, Any]) -> tuple[float, float]:
        return params["width"] * (1 + params["drop"]), params["width"] ** 2

    study = study_of(ParetoSampler(seed=0, cost=cost, startup=5), 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(10):
            trial = study.ask()
            asked = ask(trial)
            study.tell(trial, (1 - abs(asked["rate"] - 0.01) + asked["width"] / 512, *cost(trial.params)))
    assert len({t.params["width"] for t in study.get_trials()}) > 4


def test_it_beats_random_draws_where_there_is_something_to_learn() -> None:
    def ask(trial: optuna.Trial) -> float:
        return sum((trial.suggest_categorical(f"x{i}", "abcd") == "abcd"[i % 4]) * (1 + i) for i in range(6))

    def best(sampler: optuna.samplers.BaseSampler) -> float:
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.optimize(ask, n_trials=30)
        return study.best_value

    assert best(ParetoSampler(seed=0, startup=6)) == 21
    assert best(optuna.samplers.RandomSampler(seed=0)) < 20


def test_a_start_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="startup is 0"):
        ParetoSampler(seed=0, startup=0)


def test_distributions_that_agree_share_nothing_but_their_stem() -> None:
    trials: list[Given] = [
        ({"e": "a", "e.a.n": 1}, {"e": CategoricalDistribution("ab"), "e.a.n": IntDistribution(0, 3)}),
        ({"e": "b", "e.b.n": 9}, {"e": CategoricalDistribution("ab"), "e.b.n": IntDistribution(0, 9)}),
    ]
    tree = learn(trials)
    found = {n.get("e.a.n") for n in tree.neighbours({"e": "b", "e.b.n": 9}, random.Random(0)) if n["e"] == "a"}
    assert len(found) == 1 and found <= {0, 1, 2, 3}


def test_results_of_points_over_the_budget_alone_are_no_end_of_the_start() -> None:
    def cheap(params: Mapping[str, Any]) -> tuple[float] | None:
        found = known_cost(params)
        return found if found is not None and found[0] <= 6 else None

    study = study_of(ParetoSampler(seed=1, cost=cheap, startup=2, space=learn(given(branching, 40))))
    rng = random.Random(0)
    over = [p for p in (learn(given(branching, 40)).complete({}, rng) for _ in range(200)) if worth(p)[1] > 6][:6]
    for point in over:
        study.enqueue_trial(point)
    assert all(worth(p)[1] <= 6 for p in run(study, 8)[6:])


def test_trials_under_way_of_equal_cost_are_no_end_of_the_start() -> None:
    study = study_of(ParetoSampler(seed=0, cost=lambda params: (1.0,), startup=4, space=learn(given(branching, 40))))
    found = set[tuple[Any, ...]]()
    for _ in range(6):
        trial = study.ask()
        branching(trial)
        found.add(tuple(sorted(trial.params.items())))
    assert len(found) == 6
