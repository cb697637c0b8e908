"""Which networks are trained in full, which of them win, and what the seeds say."""

import math
import statistics

import pytest

from segsearch.errors import BudgetError, InputError
from segsearch.report.final import final_lines
from segsearch.study.budget import Budget
from segsearch.study.final import FinalFile, Finalist, Trained, concluded, ranked, read_final, spread
from tests.engine.builders import RECIPE, latency, record

FRONT = [(0.50, 5.0), (0.51, 6.0), (0.52, 7.0), (0.58, 8.0), (0.60, 12.0), (0.62, 20.0)]
"""Of trials 1 to 6, the knee at trial 4; the second and third lie close to the first."""


def front():
    return [record(n, miou=miou, latency_ms=ms) for n, (miou, ms) in enumerate(FRONT, 1)]


def finalist(trial: int, *mious: float, ms: float = 5.0, error: float | None = None) -> Finalist:
    trainings = [Trained(seed=n, miou=miou, standard_error=error) for n, miou in enumerate(mious)]
    return Finalist.of(record(trial, miou=0.5, latency_ms=9.0), latency(ms), trainings)


def test_the_front_is_taken_best_knee_fastest_and_then_what_lies_farthest() -> None:
    beaten = [record(7, miou=0.40, latency_ms=9.0), record(8, miou=None)]
    order = [r.number for r in spread([*front(), *beaten], Budget(), 6)]
    assert order[:3] == [6, 4, 1]
    # of 2, 3 and 5 the last is the farthest from 6, 4 and 1, then 3 from all of these
    assert order[3:] == [5, 3, 2]
    assert all([r.number for r in spread(front(), Budget(), top)] == order[:top] for top in range(1, 7))
    assert [r.number for r in spread(front(), Budget(), None)] == order[:5]


def test_only_what_keeps_the_budget_is_taken_or_else_the_fastest() -> None:
    assert {r.number for r in spread(front(), Budget(latency_ms=8.0), None)} == {1, 2, 3, 4}
    assert [r.number for r in spread(front(), Budget(latency_ms=1.0), None)] == [1]


def test_a_front_that_is_too_short_is_said() -> None:
    with pytest.raises(InputError, match=r"--top: 7 are asked for, and the front has 6 networks \(allowed: 1 to 6\)"):
        spread(front(), Budget(), 7)
    with pytest.raises(BudgetError, match="no network has been trained yet"):
        spread([record(1)], Budget(), None)


def test_a_finalist_has_mean_deviation_and_standard_error() -> None:
    found = finalist(1, 0.50, 0.53, 0.59)
    assert found.miou == pytest.approx(0.54)
    assert found.deviation == pytest.approx(statistics.stdev([0.50, 0.53, 0.59]))
    assert found.standard_error == pytest.approx(found.deviation / math.sqrt(3))
    assert found.middle is not None and found.middle.seed == 1, "0.53 is nearest the mean, 0.59 the best"


def test_a_single_seed_has_the_error_over_images() -> None:
    found = finalist(1, 0.5, error=0.02)
    assert (found.deviation, found.standard_error) == (None, 0.02)


def test_of_those_whose_intervals_overlap_the_fastest_wins() -> None:
    best, close, far = finalist(1, 0.60, 0.64, ms=9), finalist(2, 0.59, 0.63, ms=6), finalist(3, 0.4, 0.41, ms=2)
    assert [[f.trial for f in group] for group in ranked([far, best, close])] == [[2, 1], [3]]


def test_what_misses_the_budget_comes_last() -> None:
    best, other = finalist(1, 0.60, 0.61, ms=9), finalist(2, 0.30, 0.31, ms=6)
    groups = ranked([best, other], lambda f: f.latency_ms <= 8)
    assert [[f.trial for f in group] for group in groups] == [[2], [1]]


def file(*finalists: Finalist, seeds: int = 2) -> FinalFile:
    return FinalFile(recipe_name="strong", recipe=RECIPE, study_seed=0, seeds=seeds, top=9, finalists=finalists)


def test_the_winner_is_named_with_its_ties_once_all_is_there() -> None:
    best, close = finalist(1, 0.60, 0.64, ms=9), finalist(2, 0.59, 0.63, ms=6)
    done = concluded(file(best, close), Budget())
    assert (done.winner, done.tied) == (2, (2, 1))
    assert concluded(file(best, close), Budget(latency_ms=8)).tied == (), "one over the budget does not tie"
    assert concluded(file(best, close, seeds=3), Budget()).winner is None, "a seed is missing"
    untimed = finalist(3, 0.1, 0.2).model_copy(update={"latency": None})
    assert concluded(file(best, untimed), Budget()).winner is None


def test_a_network_that_diverged_with_one_seed_does_not_win() -> None:
    trainings = [Trained(seed=0, miou=0.9), Trained(seed=1, failure="the loss is no longer a number")]
    bad = Finalist.of(record(1, miou=0.9), latency(1.0), trainings)
    assert concluded(file(bad, finalist(2, 0.5, 0.5)), Budget()).winner == 2
    assert concluded(file(bad), Budget()).winner is None


def test_a_damaged_file_is_named(tmp_path) -> None:
    assert read_final(tmp_path) is None
    (tmp_path / "final.json").write_text('{"recipe_name": ')
    with pytest.raises(InputError, match=r"final\.json: is not whole JSON"):
        read_final(tmp_path)


def test_the_order_of_the_search_is_set_beside_the_final_one() -> None:
    def turned(*numbers: int) -> FinalFile:
        finals = [Trained(seed=0, miou=0.1 * place) for place in range(1, len(numbers) + 1)]
        records = [record(n, miou=0.1 * n) for n in numbers]
        return file(*(Finalist.of(r, latency(1.0), [t]) for r, t in zip(records, finals, strict=True)))

    assert turned(1, 2, 3, 4).tau == pytest.approx(1) and turned(4, 3, 2, 1).tau == pytest.approx(-1)
    assert turned(2, 1, 3).tau == pytest.approx(1 / 3) and turned(1).tau is None
    assert "rank correlation search -> final: tau 0.33 of 3 networks" in list(final_lines(turned(2, 1, 3), "s"))
