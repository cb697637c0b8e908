from rich.console import Console, RenderableType

from segsearch.report.tables import front_table, study_table, summary, trials_table
from segsearch.study.budget import Budget
from tests.engine.builders import record

RECORDS = [
    record(1, miou=0.5, latency_ms=10.0, origin="named:fpenet"),
    record(2, miou=0.4, latency_ms=20.0),
    record(3, latency_ms=50.0, reason="50.00 ms, allowed 40.00 ms"),
    record(4, latency_ms=None, state="failed", reason="OutOfMemoryError: no room"),
    record(5, miou=0.7, latency_ms=25.0),
]


def text(table: RenderableType) -> str:
    console = Console(width=200, color_system=None)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def test_the_front_is_shown_fastest_first() -> None:
    shown = text(front_table(RECORDS, title="s"))
    assert shown.index("fpenet") < shown.index(RECORDS[4].name)
    assert RECORDS[1].name not in shown and "50.0 %" in shown and "9.00-12.00" in shown and "100.0" in shown


def test_every_trial_is_shown_with_its_state() -> None:
    shown = text(trials_table(RECORDS, title="s"))
    assert all(r.name in shown for r in RECORDS)
    assert shown.count("on the front") == 2
    assert "failed: OutOfMemoryError: no room" in shown and "rejected: 50.00 ms, allowed 40.00 ms" in shown


def test_the_summary_counts() -> None:
    assert summary(RECORDS) == "3 trained, 1 rejected before training, 1 failed; 12 s in all"
    assert summary(RECORDS, Budget(fps=25)).endswith("; budget: 25 FPS (40.00 ms)")
    assert "0 trained" in text(study_table([], title="empty"))


def test_every_trial_says_what_became_of_it() -> None:
    records = [
        record(1, miou=0.5, latency_ms=10.0),
        record(2, miou=0.4, latency_ms=15.0),
        record(3, miou=0.6, latency_ms=30.0),
        record(4, latency_ms=40.0, reason="too slow"),
    ]
    budget = Budget(latency_ms=20.0)
    shown = text(trials_table(records, title="t", budget=budget, exportable=records[::2]))
    for state in ("on the front", "complete, weights deleted", "over the budget", "rejected: too slow"):
        assert shown.count(state) == 1, shown


def test_a_word_says_how_far_each_latency_is_to_be_trusted() -> None:
    assert RECORDS[0].latency is not None
    busy = RECORDS[0].latency.model_copy(update={"steady": False})
    again = RECORDS[0].latency.model_copy(update={"median_ms": 8.125})
    for made, word, shown_ms in (
        (RECORDS[0], " steady ", "10.00"),
        (RECORDS[0].model_copy(update={"latency": busy}), " unsteady ", "10.00"),
        (RECORDS[0].model_copy(update={"latency": busy, "unsure": True}), " unsure ", "10.00"),
        (RECORDS[0].model_copy(update={"latency": busy, "unsure": True, "confirmed": again}), " steady ", "8.12"),
    ):
        shown = text(front_table([made], title="s"))
        assert word in shown and shown_ms in shown
