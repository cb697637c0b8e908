"""Defers Ctrl-C to the end of a training step, where the state is consistent."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


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
