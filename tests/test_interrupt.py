import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable

import pytest

from segsearch.interrupt import InterruptingSignals, stop_requests

SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


def caught(number: int) -> None:
    try:
        signal.raise_signal(number)
    except BaseException:
        pass


def caught_with_another_error(number: int) -> None:
    try:
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            raise ImportError from None
    except ImportError:
        pass


def lost_while_deleting(number: int) -> None:
    class Dying:
        def __del__(self) -> None:
            signal.raise_signal(number)

    Dying()


def lost_in_a_callback(number: int) -> None:
    class Dying:
        pass

    dying = Dying()
    watch = weakref.ref(dying, lambda _: signal.raise_signal(number))
    del dying
    assert watch() is None


@SIGNALS
@pytest.mark.parametrize("lose", [caught, caught_with_another_error, lost_while_deleting, lost_in_a_callback])
@pytest.mark.parametrize("times", [1, 3])
def test_what_a_library_loses_comes_again(
    number: signal.Signals, lose: Callable[[int], None], times: int, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number), sys.unraisablehook
    with pytest.raises(KeyboardInterrupt), InterruptingSignals() as came:
        lose(number)
        for _ in range(times - 1):
            with contextlib.suppress(KeyboardInterrupt):
                time.sleep(60)
        time.sleep(60)
    assert came == [number] * (times + 1)
    assert (signal.getsignal(number), sys.unraisablehook) == before
    assert capsys.readouterr().err == ""


@SIGNALS
def test_what_ends_the_block_comes_once(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt), InterruptingSignals() as came:
        signal.raise_signal(number)
    time.sleep(0.2)
    assert came == [number]


@SIGNALS
def test_what_this_package_catches_has_arrived(number: signal.Signals) -> None:
    """As a worker does, which then says goodbye."""
    ours = {"__name__": "segsearch.remote.worker"}
    exec("import signal\ndef serve(number):\n try: signal.raise_signal(number)\n except KeyboardInterrupt: pass", ours)
    with InterruptingSignals() as came:
        ours["serve"](number)
        time.sleep(0.2)
    assert came == [number]


@SIGNALS
def test_what_is_lost_before_a_block_that_stops_in_its_own_way_asks_that_to_stop(number: signal.Signals) -> None:
    said = list[str]()
    with InterruptingSignals() as came:
        caught(number)
        with stop_requests(said.append) as stop:
            time.sleep(0.3)
            assert stop() and len(said) == 1
    assert came == [number]


@SIGNALS
def test_the_exit_code_stays_ours_where_python_would_end_by_the_signal(number: signal.Signals) -> None:
    lines = """
import signal, sys
from segsearch.interrupt import InterruptingSignals
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore it
try:
    with InterruptingSignals():
        exec("signal.raise_signal(int(sys.argv[1]))")
except KeyboardInterrupt:
    sys.exit(130)
"""
    done = subprocess.run([sys.executable, "-c", lines, str(int(number))])
    assert done.returncode == 130


@SIGNALS
def test_the_first_signal_asks_and_the_handlers_come_back(number: signal.Signals) -> None:
    before, said = signal.getsignal(number), list[str]()
    with stop_requests(said.append) as stop:
        assert not stop()
        os.kill(os.getpid(), number)
        assert stop() and len(said) == 1
    assert signal.getsignal(number) == before


def test_the_second_interrupt_is_raised() -> None:
    with pytest.raises(KeyboardInterrupt), stop_requests(lambda line: None) as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop()
        os.kill(os.getpid(), signal.SIGINT)


def test_outside_of_the_main_thread_nothing_is_asked() -> None:
    answers: list[bool] = []

    def run() -> None:
        with stop_requests(lambda line: None) as stop:
            answers.append(stop())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert answers == [False]
