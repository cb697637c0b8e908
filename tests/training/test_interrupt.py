import os
import signal
import threading

import pytest

from segsearch.interrupt import deferred_interrupts


def _press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_first_waits_for_release() -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt), deferred_interrupts() as release:
        release()
        _press()
        reached.append("after the signal")
        release()
        reached.append("after the release")
    assert reached == ["after the signal"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_second_interrupts_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), deferred_interrupts():
        _press()
        _press()
        pytest.fail("still running")


def test_is_not_lost_at_the_end() -> None:
    with pytest.raises(KeyboardInterrupt), deferred_interrupts():
        _press()


def test_is_not_lost_where_the_step_fails() -> None:
    with pytest.raises(KeyboardInterrupt) as raised, deferred_interrupts():
        _press()
        raise RuntimeError("diverged")
    assert isinstance(raised.value.__cause__, RuntimeError)
    with pytest.raises(RuntimeError, match="diverged"), deferred_interrupts():
        raise RuntimeError("diverged")


def test_a_programs_own_handler_stays() -> None:
    came = []
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        with deferred_interrupts() as release:
            _press()
            release()
    finally:
        signal.signal(signal.SIGINT, before)
    assert came == [signal.SIGINT]


def test_does_nothing_in_another_thread() -> None:
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with deferred_interrupts() as release:
                release()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert errors == []
