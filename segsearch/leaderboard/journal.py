"""A file of JSON lines that grows by one flushed line at a time and survives being cut off anywhere.

The first line is the header, which says under what conditions all others were made.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from segsearch.errors import InputError
from segsearch.flat import flat

Line = dict[str, Any]


class Journal:
    """Lines of one file, all under one header; a last line that was cut off is dropped when the file is opened.

    ``complete`` fills in what the header of a file lacks that an older version wrote.

    Attributes:
        path: the file; made with its folder when the first line is appended.
        lines: what is in it beneath the header, in the order it was written.

    Raises:
        InputError: the file cannot be read, has another header, or is damaged before its last line.
    """

    def __init__(self, path: Path, header: Line, complete: Callable[[Line], Line] = dict) -> None:
        self.path, self._header = path, json.loads(json.dumps(header))
        self.lines: list[Line] = []
        whole = list(self._whole_lines())
        if whole:
            self._check_header(complete(whole[0]))
        self.lines += whole[1:]
        self._empty = not whole

    def append(self, line: Line) -> None:
        """Write one line and have it on disk before this returns.

        Raises:
            InputError: it cannot be written, or the disk is full.
        """
        self._write([self._header, line] if self._empty else [line])
        self._empty = False
        self.lines.append(json.loads(json.dumps(line)))

    def _write(self, lines: list[Line]) -> None:
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._cut_torn_line()
            with self.path.open("ab") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise InputError(self.path, f"cannot be written: {error.strerror or error}") from error

    def _cut_torn_line(self) -> None:
        """Drop what follows the last line break: a writer was stopped inside that line."""
        if not self.path.exists():
            return
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.truncate(self.path, whole)

    def _whole_lines(self) -> Iterator[Line]:
        try:
            data = self.path.read_bytes() if self.path.exists() else b""
        except OSError as error:
            raise InputError(self.path, f"cannot be read: {error.strerror or error}") from error
        for number, text in enumerate(data.split(b"\n")[:-1], start=1):
            try:
                line = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{self.path}:{number}", "is not whole JSON; delete this line to go on") from error
            if not isinstance(line, dict):
                raise InputError(f"{self.path}:{number}", "is no JSON object; delete this line to go on")
            yield line

    def _check_header(self, found: Line) -> None:
        before, now = flat(found), flat(self._header)
        for key in dict.fromkeys((*now, *before)):
            if before.get(key) != now.get(key):
                problem = f"was written with {key} {before.get(key)!r}, not {now.get(key)!r}; move it away"
                raise InputError(self.path, problem)
