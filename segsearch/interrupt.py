"""Ctrl-C: in two steps, of which the first asks for a clean stop, or deferred to where the state is consistent."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_requests(announce: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Give a function that says whether a stop was asked for (SIGINT or SIGTERM) since the block began.

    After the first signal the usual handlers are back, so a second one ends the process as it always does. Outside of
    the main thread, where Python takes no signals, the function always says no.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked = threading.Event()
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        announce("stopping after this step (once more to stop at once)")

    try:
        for number in _SIGNALS:
            signal.signal(number, ask)
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def deferred_interrupts() -> Iterator[Callable[[], None]]:
    """Defer a SIGINT until the yielded function is called or the block ends; a second SIGINT interrupts at once.

    Outside the main thread, and if the program has a SIGINT handler of its own, nothing changes and the function does
    nothing.

    Raises:
        KeyboardInterrupt: from the function or at the end of the block, if there was a SIGINT.
    """
    on_main_thread = threading.current_thread() is threading.main_thread()
    if not on_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield lambda: None
        return
    came: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        came.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def release() -> None:
        if came:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, hold)
    try:
        yield release
        release()
    except Exception as error:
        if came:  # Ctrl-C has priority over an error of the same step
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
