"""What the records say of a search: growth of its front, agreement of rungs, worth of choices."""

import json
import random
from pathlib import Path

import pytest

from segsearch.engine.driver import run_study
from segsearch.report.analysis import analysis_lines, write_analysis
from segsearch.result import Rung
from segsearch.study.analysis import LEAST, analyse
from segsearch.study.budget import Budget
from segsearch.study.record import TrialRecord
from tests.command import run
from tests.engine.builders import record, some_point
from tests.engine.studies import made_up, quick


def at(minute: int, each: TrialRecord) -> TrialRecord:
    return each.model_copy(update={"finished_at": f"2026-01-01T00:{minute:02d}:00+00:00"})


def test_the_area_grows_in_the_order_in_which_trainings_end() -> None:
    records = [
        at(3, record(1, miou=0.6, latency_ms=4.0)),
        at(1, record(2, miou=0.5, latency_ms=6.0)),
        at(2, record(3)),  # rejected: it costs no training
        at(4, record(4, miou=0.9, latency_ms=20.0)),  # over the budget: it costs one and adds nothing
    ]
    growth = analyse(records, Budget(latency_ms=10)).growth
    assert growth is not None and growth.reference == (0.5, 10)
    assert growth.trainings == (1, 2, 3)
    assert growth.areas == pytest.approx((0.0, 0.6, 0.6))


def test_what_was_stopped_at_a_rung_counts_by_its_share() -> None:
    rungs = (Rung(steps=3, epochs=1, miou=0.2),)
    stopped = record(1, latency_ms=5.0, state="stopped", reason="beaten", rungs=rungs)
    growth = analyse([at(1, stopped), at(2, record(2, miou=0.5))], Budget()).growth
    assert growth is not None and growth.trainings == (0.3, 1.3), "three of ten steps"


def test_without_a_network_in_the_budget_there_is_no_growth() -> None:
    assert analyse([record(1)], Budget()).growth is None
    assert analyse([record(1, miou=0.5)], Budget(latency_ms=1)).growth is None
    assert list(analysis_lines(analyse([], Budget()))) == []


def test_the_choice_that_decides_is_found() -> None:
    records = []
    for number in range(1, 41):
        point = some_point(number)
        noise = random.Random(number).random()
        miou = 0.3 + 0.3 * float(point["encoder_width"]) / 2 + 0.02 * noise
        records.append(record(number, point, miou=miou, latency_ms=5 + noise))
    worth = analyse(records, Budget()).importance
    assert next(iter(worth["miou"])) == "encoder_width" and worth["miou"]["encoder_width"] > 0.3
    assert all(sum(shares.values()) == pytest.approx(1, abs=1e-4) for shares in worth.values())
    assert analyse(records[: LEAST - 1], Budget()).importance == {}


def test_choices_that_are_all_alike_have_no_worth() -> None:
    point = some_point(1)
    assert analyse([record(n, point, miou=0.5) for n in range(1, 21)], Budget()).importance == {}


def test_rungs_are_set_beside_the_next() -> None:
    def two(number: int, first: float, last: float) -> TrialRecord:
        return record(number, miou=last, rungs=(Rung(steps=1, epochs=2, miou=first),))

    records = [two(1, 0.1, 0.2), two(2, 0.2, 0.3), two(3, 0.3, 0.4), two(4, 0.4, 0.1)]
    ((rung, following, networks, tau),) = analyse(records, Budget()).rungs
    assert (rung, following, networks) == (2, None, 4) and tau == pytest.approx(0.0)


def test_pareto_writes_picture_and_data(tmp_path: Path) -> None:
    run_study(quick(trials=3), tmp_path / "s", work=made_up)
    done = run("pareto", tmp_path / "s")
    assert done.returncode == 0 and "hypervolume " in done.stdout and ", by 3 trainings" in done.stdout, done
    written = json.loads((tmp_path / "s/analysis.json").read_text())
    assert written["growth"]["trainings"] == [1, 2, 3] and written["importance"] == {} and written["rungs"] == []
    assert (tmp_path / "s/analysis.png").read_bytes().startswith(b"\x89PNG")


def test_pictures_of_nothing_and_of_much_are_drawn(tmp_path: Path) -> None:
    write_analysis(analyse([], Budget()), tmp_path, "nothing")
    many = [record(n, miou=0.3 + 0.01 * n, latency_ms=3.0 + n) for n in range(1, 21)]
    first = (tmp_path / "analysis.png").read_bytes()
    write_analysis(analyse(many, Budget()), tmp_path, "much")
    assert (tmp_path / "analysis.png").read_bytes() != first
