import io
import os
from contextlib import suppress

from rich.console import Console

from segsearch.engine.watch import StudyProgress
from segsearch.report.progress import Bars, Lines, Tally, _Tolerant, study_progress
from segsearch.report.words import duration, outcome
from segsearch.study.record import Proposal
from tests.engine.builders import record


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def play(progress: StudyProgress) -> None:
    done = record(2, miou=0.5, latency_ms=10.0)
    progress.opened("mine", 3, [record(1, miou=0.25)])
    progress.started(Proposal(number=2, origin="random", name="net [bold]2", point=done.point, spec_id=done.spec_id))
    for step in range(3):
        progress.stage(2, "train", step, 3)
    progress.finished(done)
    progress.note("something")
    progress.closed("finished")


def test_lines_tell_results_and_no_steps() -> None:
    file = io.StringIO()
    play(Lines(Console(file=file, width=60)))
    lines = file.getvalue().splitlines()
    assert lines[0] == "study mine: 1 of 3 trained" and lines[1] == "trial 2: net [bold]2"
    assert lines[2].startswith("trial 2: ") and "mIoU 50.0 %, 10.00 ms (100.0 FPS)" in lines[2]
    assert "[2/3] best mIoU 50.0 %" in lines[2]
    assert lines[3:] == ["note: something", "finished"]


def test_bars_end_with_the_same_lines() -> None:
    file = io.StringIO()
    play(Bars(Console(file=file, force_terminal=True, width=120)))
    shown = file.getvalue()
    assert "net [bold]2" in shown and "note: something" in shown and shown.rstrip().endswith("finished")


def test_the_kind_of_output_decides() -> None:
    assert isinstance(study_progress(Console(file=io.StringIO())), Lines)
    assert isinstance(study_progress(Console(file=io.StringIO(), force_terminal=True)), Bars)


def test_what_is_left_is_guessed_from_this_run_alone() -> None:
    clock = Clock()
    tally = Tally(clock)
    clock.seconds = 100
    tally.open(5, [record(1, miou=0.25)])
    assert tally.seconds_left is None
    clock.seconds = 130
    tally.add(record(2, latency_ms=50.0))
    tally.add(record(3, miou=0.5))
    assert tally.seconds_left == 90
    assert str(tally) == "best mIoU 50.0 %, 1 rejected, 90 s left"


def test_words() -> None:
    assert [duration(s) for s in (4.21, 34, 720, 12600)] == ["4.2 s", "34 s", "12 min", "3.5 h"]
    assert outcome(record(1, latency_ms=50.0, reason="too slow")).endswith(": rejected, too slow")


def test_a_reader_who_leaves_ends_nothing() -> None:
    """As `tee` does that takes the Ctrl-C meant for the study."""
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as file:
        console = _Tolerant(file=file)
        play(Lines(console))
        assert console.quiet
        with suppress(BrokenPipeError):
            file.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), writing)  # what is left in the buffer
    with open("/dev/full", "w") as full:
        play(Lines(_Tolerant(file=full)))
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())
