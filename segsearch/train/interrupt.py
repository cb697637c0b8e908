"""Ctrl-C that waits for the end of a training step, where the state is whole."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def held_interrupts() -> Iterator[Callable[[], None]]:
    """Hold back a SIGINT until the function given is called, or the block ends; a second SIGINT interrupts at once.

    Outside the main thread, and where a program has its own handler, signals stay as they are; the function then
    does nothing.

    Raises:
        KeyboardInterrupt: from the function or at the end of the block, if a SIGINT has come.
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
        if came:  # the key was pressed, whatever else went wrong in that step
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
