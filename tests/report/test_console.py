import pytest

from segsearch.report import console
from segsearch.report.tables import study_table, trials_table
from tests.engine.builders import record


def test_what_stands_in_brackets_is_printed_as_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors of libraries are full of them; rich takes them for markup, and for an error where they are odd."""
    reason = "RuntimeError: [enforce fail at alloc.cpp:1] {ForeignNode[/decoder/a]} :warning: [/b]"
    records = [record(1, miou=0.5, latency_ms=10.0), record(2, latency_ms=None, state="failed", reason=reason)]
    monkeypatch.setattr(console, "WIDTH", 400)
    console.show(trials_table(records, title="mine [/x]"), study_table(records, title="mine"), "runs/[bold]/pareto.png")
    printed = "".join(capsys.readouterr().out.split())
    assert "".join(reason.split()) in printed
    assert "mine[/x]:alltrials" in printed and "runs/[bold]/pareto.png" in printed
