import os
import signal
import threading

import pytest

from segsearch.interrupt import stop_requests


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
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
