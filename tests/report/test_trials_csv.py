from pathlib import Path

import pandas as pd

from segsearch.report.trials_csv import trials_frame, write_csv
from tests.engine.builders import latency, record, scores, some_point

RECORDS = [
    record(1, some_point(1), miou=0.5, latency_ms=10.0, origin="named:fpenet"),
    record(2, some_point(2), latency_ms=20.0, reason="20.00 ms, allowed 15.00 ms"),
    record(3, some_point(3), latency_ms=None, state="failed", reason='a, "quoted" reason'),
    record(4, some_point(4), miou=0.4, latency_ms=30.0),
]


def test_one_row_per_trial_that_reads_back(tmp_path: Path) -> None:
    write_csv(RECORDS, tmp_path / "trials.csv")
    frame = pd.read_csv(tmp_path / "trials.csv")
    assert list(frame["number"]) == [1, 2, 3, 4] and list(frame["state"]) == [r.state for r in RECORDS]
    assert frame["miou"].dropna().tolist() == [0.5, 0.4] and frame["fps"].dropna().tolist() == [100, 50, 1000 / 30]
    assert list(frame["on_front"]) == [True, False, False, False]
    assert frame["reason"][2] == 'a, "quoted" reason' and frame["iou.road"][0] == 0.5 and frame["iou.sky"].isna().all()
    text = pd.read_csv(tmp_path / "trials.csv", dtype=str)  # a word such as "1" is not to be read as a number
    for row, record_ in zip(text.to_dict("records"), RECORDS, strict=True):
        for name, value in record_.point.items():
            assert row[f"point.{name}"] == str(value)


def test_every_figure_stands_in_its_own_column(tmp_path: Path) -> None:
    one = record(1, some_point(1), miou=0.5, latency_ms=10.0, report_scores=scores(0.25))
    one = one.model_copy(update={"pretrained": "resnet18.pth#0123456789ab"})
    write_csv([one], tmp_path / "trials.csv")
    (row,) = pd.read_csv(tmp_path / "trials.csv").to_dict("records")
    assert (row["miou"], row["report_miou"], row["pixel_accuracy"], row["final_loss"]) == (0.5, 0.25, 0.5, 1.0)
    assert (row["latency_p10_ms"], row["latency_ms"], row["latency_p90_ms"], row["fps"]) == (9.0, 10.0, 12.0, 100.0)
    assert (row["params"], row["macs"], row["trained_iterations"], row["threads"]) == (1000, 10**6, 10, 1)
    assert (row["seconds.build"], row["seconds.train"], row["iou.road"]) == (0.5, 2.0, 0.5)
    assert row["pretrained"] == "resnet18.pth#0123456789ab"
    plain = ("number", "name", "origin", "state", "spec_id", "recipe_id", "seed", "device", "started_at", "finished_at")
    assert {name: row[name] for name in plain} == {name: getattr(one, name) for name in plain}


def test_the_latency_is_that_of_the_end_and_the_search_stands_beside_it(tmp_path: Path) -> None:
    one = record(1, some_point(1), miou=0.5, latency_ms=10.0, measurements=3, unsure=True)
    write_csv([one, record(2, some_point(2), latency_ms=None)], tmp_path / "trials.csv")
    row, unmeasured = pd.read_csv(tmp_path / "trials.csv").to_dict("records")
    assert (row["latency_ms"], row["search_latency_ms"], row["measurements"]) == (10.0, 10.0, 3)
    assert bool(row["steady"]) and bool(row["unsure"]) and pd.isna(unmeasured["steady"])
    again = latency(8.0).model_copy(update={"steady": False})
    write_csv([one.model_copy(update={"confirmed": again})], tmp_path / "trials.csv")
    (row,) = pd.read_csv(tmp_path / "trials.csv").to_dict("records")
    assert (row["latency_ms"], row["fps"], row["search_latency_ms"]) == (8.0, 125.0, 10.0) and not row["steady"]


def test_columns_stand_in_groups() -> None:
    names = list(trials_frame(RECORDS).columns)
    kinds = [name.split(".")[0] if "." in name else "" for name in names]
    assert [k for k, before in zip(kinds, [None, *kinds], strict=False) if k != before] == [
        "",
        "seconds",
        "iou",
        "point",
    ]
    assert {"latency_p10_ms", "latency_p90_ms", "params", "macs", "recipe_id", "commit", "report_miou"} <= set(names)


def test_counts_stay_whole_where_some_are_missing(tmp_path: Path) -> None:
    unbuilt = RECORDS[2].model_copy(update={"params": None, "macs": None})
    write_csv([RECORDS[0], unbuilt], tmp_path / "trials.csv")
    assert ",1000,1000000," in (tmp_path / "trials.csv").read_text()


def test_whole_numbers_stay_whole_where_some_are_missing_in_all_columns(tmp_path: Path) -> None:
    points = [some_point(seed) for seed in range(8)]
    records = [record(seed, point, miou=0.5, latency_ms=10.0) for seed, point in enumerate(points)]
    write_csv([*records, RECORDS[2]], tmp_path / "trials.csv")
    written = pd.read_csv(tmp_path / "trials.csv", dtype=str)
    assert set(written["threads"].dropna()) == {"1"}
    for name in {name for point in points for name, value in point.items() if type(value) is int}:
        assert not written[f"point.{name}"].dropna().str.contains(".", regex=False).any(), name


def test_a_study_without_trials_has_no_rows_and_reads_back(tmp_path: Path) -> None:
    write_csv([], tmp_path / "trials.csv")
    read = pd.read_csv(tmp_path / "trials.csv")
    assert len(read) == 0
    assert list(read) == [name for name in trials_frame(RECORDS) if "." not in name]
