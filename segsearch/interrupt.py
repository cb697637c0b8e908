"""Ctrl-C in two steps: the first asks for a clean stop, the second stops at once."""

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
