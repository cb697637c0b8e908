"""Standard input and output that end no program: closed, full, gone, or unable to show a character."""

import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from segsearch.progress import say

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

OUTPUT = "standard output"


def mend_streams() -> None:
    """Make the three standard streams safe to write to.

    A closed one leads to the null device, so that no file that is opened later takes its place and gets our output.
    A character that the terminal's encoding lacks is shown as ``?``.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    if sys.stdout is sys.__stdout__ and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.flush()
        buffer = io.BufferedWriter(_Output(sys.stdout.fileno(), "w", closefd=False))
        old, sys.stdout = sys.stdout, io.TextIOWrapper(buffer, sys.stdout.encoding, "replace")
        sys.stdout.reconfigure(line_buffering=old.line_buffering, write_through=old.write_through)


class _Output(io.FileIO):
    """Standard output whose errors name it, as those of files name the file."""

    reader_left = False

    def write(self, data: "Buffer") -> int:
        try:
            return super().write(data)
        except OSError as error:
            error.filename = OUTPUT
            _Output.reader_left |= isinstance(error, BrokenPipeError)
            raise


def reader_left() -> bool:
    """Whether whoever reads standard output had enough, as `head` has."""
    return _Output.reader_left


def end_output() -> str | None:
    """Write out what standard output holds back; where that fails, drop it, and return in words why."""
    try:
        sys.stdout.flush()
    except OSError as error:
        with suppress(OSError, ValueError):  # Python itself would try again, and complain
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, sys.stdout.fileno())
            os.close(null)
        return None if reader_left() else error.strerror
    return None


def complain(line: str) -> None:
    """Say in one line what went wrong."""
    say(f"segsearch: {' '.join(line.split())}")
