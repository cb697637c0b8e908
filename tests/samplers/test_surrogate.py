"""What the sampler believes and expects, against brute force."""

import random
from typing import Any

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from segsearch.samplers.pareto_sampler.candidates import Prices, free_strata
from segsearch.samplers.pareto_sampler.chooser import Chooser
from segsearch.samplers.pareto_sampler.encoding import Array, Encoding
from segsearch.samplers.pareto_sampler.fidelity import Ladder
from segsearch.samplers.pareto_sampler.gaussian import Process, _Posterior
from segsearch.samplers.pareto_sampler.improvement import expected_improvement, front_of
from segsearch.samplers.pareto_sampler.model import Model, Trial
from segsearch.samplers.pareto_sampler.tree import Condition, Parameter, Tree


def volume(values: Array, reference: Array, grid: Array) -> float:
    """Share of the grid's points above the reference that some value dominates."""
    inside = (grid > reference).all(1)
    reached = (values[:, None, :] >= grid[None, :, :]).all(2).any(0)
    return float((reached & inside).mean())


@pytest.mark.parametrize(("objectives", "known"), [(1, 0), (2, 0), (2, 1), (3, 2), (3, 0)])
def test_the_expected_improvement_is_that_of_draws(objectives: int, known: int) -> None:
    rng = np.random.default_rng(objectives + known)
    values, reference = rng.random((4, objectives)), np.full(objectives, 0.1)
    grid = rng.random((4_000, objectives)) * 1.5
    means, spreads = rng.random((3, objectives)), np.full((3, objectives), 0.15)
    spreads[:, objectives - known :] = 0.0
    found = expected_improvement(list(means.T), list(spreads.T), values, reference)
    before = volume(values, reference, grid)
    for candidate in range(3):
        draws = means[candidate] + spreads[candidate] * rng.standard_normal((80, objectives))
        after = [volume(np.vstack([values, draw]), reference, grid) for draw in draws]
        expected = (np.mean(after) - before) * 1.5**objectives
        assert found[candidate] == pytest.approx(expected, rel=0.25, abs=0.02)


def test_a_point_below_the_front_improves_nothing_if_it_is_known() -> None:
    values = np.array([[1.0, 1.0], [2.0, 0.5]])
    found = expected_improvement([np.array([0.9, 1.0, 1.5])], [np.zeros(3)], values[:, :1], np.array([0.0]))
    assert found.tolist() == [0.0, 0.0, 0.0]
    both = [np.array([0.9, 1.5, 3.0]), np.array([0.9, 0.7, 2.0])]
    found = expected_improvement(both, [np.zeros(3)] * 2, values, np.zeros(2))
    assert found == pytest.approx([0.0, 0.5 * 0.2, 6.0 - (1.0 + 0.5)])


def test_before_anything_is_known_the_whole_volume_counts() -> None:
    found = expected_improvement([np.array([2.0]), np.array([3.0])], [np.zeros(1)] * 2, np.zeros((0, 2)), np.ones(2))
    assert found == pytest.approx([2.0])


def test_the_front_has_no_repeats_and_nothing_that_is_dominated() -> None:
    values = np.array([[1.0, 1.0], [1.0, 1.0], [0.5, 1.0], [2.0, 0.0]])
    assert front_of(values).tolist() == [[1.0, 1.0], [2.0, 0.0]]


def test_a_process_learns_which_columns_matter() -> None:
    names = CategoricalDistribution(["a", "b", "c", "d"])
    tree = Tree(tuple(Parameter(name, names, stem=name) for name in ("dull", "keen")), {})
    worth = {"a": 0.0, "b": 3.0, "c": 1.0, "d": 7.0}
    rng = random.Random(0)
    points = [tree.complete({}, rng) for _ in range(14)]
    encoding = Encoding(tree)
    process = Process(encoding.embed(points), encoding.widths, np.array([worth[p["keen"]] for p in points]))
    dull, keen = process.hyper.weights
    assert keen > 5 * dull
    asked = [{"dull": "a", "keen": letter} for letter in "abcd"]
    mean, spread = process.predict(encoding.embed(asked))
    assert mean == pytest.approx(list(worth.values()), abs=0.6)
    assert (spread < 1.0).all()


def test_far_from_all_points_the_mean_is_believed_with_doubt() -> None:
    points = np.linspace(0, 1, 8)[:, None]
    process = Process(points, [1], np.sin(6 * points[:, 0]))
    mean, spread = process.predict(np.array([[0.5], [60.0]]))
    assert mean[0] == pytest.approx(np.sin(3.0), abs=0.1)
    assert spread[1] > 10 * spread[0]


def test_distances_are_those_of_names_numbers_and_logarithms() -> None:
    tree = Tree(
        (
            Parameter("kind", CategoricalDistribution(["a", "b", "c"]), stem="kind"),
            Parameter("width", IntDistribution(8, 128), stem="width"),
            Parameter("depth", IntDistribution(1, 5), stem="depth"),
            Parameter("rate", FloatDistribution(1e-4, 1e-2, log=True), stem="rate"),
            Parameter("a.more", IntDistribution(0, 4), Condition("kind", frozenset("a")), stem="more"),
        ),
        {"kind": frozenset("abc")},
    )
    points = [
        {"kind": "a", "width": 8, "depth": 1, "rate": 1e-4, "a.more": 2},
        {"kind": "b", "width": 32, "depth": 3, "rate": 1e-3},
        {"kind": "c", "width": 128, "depth": 5, "rate": 1e-2},
    ]
    encoding = Encoding(tree)
    at, start, found = encoding.embed(points), 0, []
    for width in encoding.widths:
        part = at[:, start : start + width]
        found.append([((part[i] - part[j]) ** 2).sum() for i, j in ((0, 1), (1, 2), (0, 2))])
        start += width
    assert found[0] == pytest.approx([1, 1, 1])  # names
    assert found[1] == pytest.approx([0.25, 0.25, 1])  # a wide range of whole numbers: by logarithms
    assert found[2] == pytest.approx([0.25, 0.25, 1])
    assert found[3] == pytest.approx([0.25, 0.25, 1])
    assert found[4] == pytest.approx([1, 0, 1])  # there or not


def test_strata_are_free_until_a_value_lies_in_them() -> None:
    values = [float(v) for v in range(100)]
    assert free_strata(4, values, []) == [(-np.inf, 25.0), (25.0, 50.0), (50.0, 75.0), (75.0, np.inf)]
    assert free_strata(4, values, [3.0, 60.0, 1e9]) == [(25.0, 50.0)]
    assert free_strata(4, [1.0] * 8, [1.0]) == []


def test_the_slope_of_the_posterior_is_that_of_its_values() -> None:
    rng = np.random.default_rng(0)
    posterior = _Posterior(rng.random((9, 5)), [2, 1, 2], rng.standard_normal(9))
    at = posterior.means + 0.3 * rng.standard_normal(6)
    _, slope = posterior.loss(at)
    for place, step in enumerate(1e-5 * np.eye(6)):
        difference = (posterior.loss(at + step)[0] - posterior.loss(at - step)[0]) / 2e-5
        assert slope[place] == pytest.approx(difference, rel=1e-4, abs=1e-6)


def climbing(count: int, ended: int) -> tuple[Any, list[tuple[float, ...]], Any]:
    """Points on a line that were all scored early; the first few to the end, in another unit and slightly otherwise."""
    at = np.random.default_rng(1).permutation(np.linspace(0, 1, count))[:, None]
    early = 0.2 + 0.1 * np.sin(5 * at[:, 0])
    end = 0.1 + 2.0 * early + 0.01 * at[:, 0]
    scores: list[tuple[float, ...]] = [(e, f) for e, f in zip(early.tolist(), end.tolist(), strict=True)]
    scores = [each if row < ended else each[:1] for row, each in enumerate(scores)]
    return at, scores, end


def test_early_scores_tell_the_end_of_what_did_not_get_there() -> None:
    at, scores, end = climbing(20, 8)
    ladder = Ladder(at, [1], scores, 2)
    mean, spread = ladder.predict(at, scores)
    assert mean == pytest.approx(end, abs=0.01)
    assert (spread[:8] == 0).all()
    assert ((spread[8:] > 0) & (spread[8:] < 0.02)).all()
    fresh, doubt = ladder.predict(at[8:])
    assert fresh == pytest.approx(end[8:], abs=0.05)
    assert (doubt > spread[8:]).all()


def test_before_anything_ended_an_early_score_tells_the_order_and_no_more() -> None:
    at, scores, _ = climbing(10, 0)
    mean, spread = Ladder(at, [1], scores, 3).predict(at, scores)
    assert np.argsort(mean).tolist() == np.argsort([s[0] for s in scores]).tolist()
    assert (spread > 0.5 * np.std([s[0] for s in scores])).all()


def test_ends_that_were_not_scored_early_are_learnt_from() -> None:
    at, scores, end = climbing(20, 20)
    late = [(None, last) for _, last in scores]
    mean, spread = Ladder(at, [1], late, 2).predict(at, late)
    assert mean == pytest.approx(end) and (spread == 0).all()
    alone, _ = Ladder(at[:12], [1], late[:12], 2).predict(at[12:])
    assert alone == pytest.approx(end[12:], abs=0.1)
    mixed = [late[row] if row % 2 else scores[row] for row in range(12)]
    both, _ = Ladder(at[:12], [1], mixed, 2).predict(at[12:], [each[:1] for each in scores[12:]])
    assert both == pytest.approx(end[12:], abs=0.02)
    one_early = [scores[0][:1], *late[1:12]]
    few, _ = Ladder(at[:12], [1], one_early, 2).predict(at[12:])
    assert few == pytest.approx(end[12:], abs=0.1)


def test_a_trial_that_stopped_early_improves_the_front_by_what_its_end_is_expected_to_be() -> None:
    names = CategoricalDistribution(list("abcdefgh"))
    tree = Tree((Parameter("x", names, stem="x"),), {})
    worth = dict(zip("abcdefgh", (0.1, 0.5, 0.3, 0.6, 0.2, 0.9, 0.4, 0.7), strict=True))

    def trial(x: str, ended: bool) -> Trial:
        values = (2 * worth[x], -1.0) if ended else None
        return Trial({"x": x}, (1.0,), values, rungs=(worth[x],))

    trials = [trial(x, x in "abcd") for x in "abcdefg"]
    model = Model(tree, trials, objectives=2, priced=(1,), startup=4, worst=[2.0], rungs=1)
    gains = dict(zip("efg", model.improvement_of(trials[4:]), strict=True))
    assert gains["f"] > 10 * max(gains["e"], gains["g"])
    assert [t.params["x"] for t in model.front] == ["f"]
    with pytest.raises(ValueError, match="rungs"):
        Model(tree, trials, objectives=2, priced=(), startup=4, worst=[], rungs=1)


def test_a_start_ends_by_number_where_trials_cost_something_else_than_was_predicted() -> None:
    """Studies predict latencies: what was chosen for a stratum of them may be measured in another, again and again."""
    width, kind = CategoricalDistribution(list(range(40))), CategoricalDistribution(list("abc"))
    tree = Tree((Parameter("width", width, stem="width"), Parameter("kind", kind, stem="kind")), {})
    prices = Prices(lambda points: [(1.0 + point["width"],) for point in points])
    chooser = Chooser(tree, prices, seed=0, startup=4, objectives=2)

    def proposed_costs(count: int) -> set[float]:
        """Of the best points after so many trials, all of which turned out to be the cheapest that there are."""
        told = [{"width": n, "kind": "abc"[n % 3]} for n in range(count)]
        trials = [Trial(point, (1.0,), (0.1 * n, -1.0)) for n, point in enumerate(told)]
        return {candidate.costs[0] for candidate in chooser.best(count + 1, trials, 1000)}

    assert len(proposed_costs(3)) <= 40 / 4 + 2, "of the start: from one quarter of the costs, which has no trial"
    assert len(proposed_costs(4)) > 30, "of the model: from all of them"
