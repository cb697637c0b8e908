"""Ctrl-C: as an error that no library can lose, in two steps, or deferred to where the state is consistent."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_AGAIN_SECONDS = 0.05


class _Interrupt(KeyboardInterrupt):
    """What a signal raises; where other code than this package's has caught it, it is lost and has to come again.

    A class of its own, as Python ends by SIGINT itself once a plain KeyboardInterrupt has passed through ``exec``.
    """

    def __init__(self, again: Callable[[], None]) -> None:
        super().__init__()
        self._again: Callable[[], None] | None = again

    def lost(self) -> None:
        """Come again, once."""
        again, self._again = self._again, None
        if again is not None:
            again()

    def __del__(self) -> None:
        caught_by = self.__traceback__.tb_frame.f_globals.get("__name__", "") if self.__traceback__ else __name__
        if caught_by.partition(".")[0] != __name__.partition(".")[0]:
            self.lost()


class InterruptingSignals:
    """A block that ends by KeyboardInterrupt on SIGTERM as on SIGINT; gives the numbers of the signals that came.

    Some imports and callbacks of libraries lose a KeyboardInterrupt and go on; it is raised again then. A second
    SIGTERM ends the process at once. SIGINT stays ignored where a shell started the process that way.
    """

    def __init__(self) -> None:
        self._came: list[int] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> list[int]:
        if threading.current_thread() is threading.main_thread():  # the only one in which signals arrive
            for number, usual in ((signal.SIGTERM, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
                if signal.getsignal(number) is usual:
                    self._before[number] = signal.signal(number, self._interrupt)
        if self._before:
            self._report, sys.unraisablehook = sys.unraisablehook, self._unraisable
        return self._came

    def __exit__(self, *raised: object) -> None:
        if self._before:
            sys.unraisablehook = self._report
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _interrupt(self, number: int, frame: FrameType | None) -> NoReturn:
        self._came.append(number)
        signal.signal(number, self._before[number])
        raise _Interrupt(partial(self._again, number))

    def _again(self, number: int) -> None:
        """Send a signal once more, a little later: what is raised in this very place would be lost again."""
        if number in self._before and threading.current_thread() is threading.main_thread():
            if signal.getsignal(number) == self._before[number]:  # else a block inside takes signals in its own way
                signal.signal(number, self._interrupt)
            timer = threading.Timer(_AGAIN_SECONDS, self._send, [number])
            timer.daemon = True
            timer.start()

    def _send(self, number: int) -> None:
        usual = self._before.get(number)  # None where the block has ended
        if usual is not None and signal.getsignal(number) != usual:  # else the user has sent one meanwhile
            signal.pthread_kill(threading.main_thread().ident or 0, number)

    def _unraisable(self, what: "sys.UnraisableHookArgs") -> None:
        """Take note of what was raised while an object was deleted: Python reports it and goes on."""
        if isinstance(what.exc_value, _Interrupt):
            what.exc_value.lost()
        else:
            self._report(what)


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
