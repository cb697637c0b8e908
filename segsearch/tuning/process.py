"""A file run in a process of its own: one that crashes or hangs is a result, and no fault of the one who asked."""

import json
import subprocess
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from segsearch.errors import EndedError, ProofError, SegsearchError, one_line
from segsearch.processes import KILLED_BY, python_module
from segsearch.timing.process import error_of


class FileProcess:
    """A file under one backend, in a new process; ended when the block does.

    Raises:
        ProofError: it ends without an answer; says its last words.
        EndedError: it is killed, or does not answer within ``patience_seconds``.
        Others: what opening the file raises, see `segsearch.measure.backends.base.FileBackend.open`.
    """

    def __init__(
        self, path: Path, backend: str, precision: str, device: str, threads: int, patience_seconds: float
    ) -> None:
        command, environment = python_module(
            "segsearch.tuning.child", backend, precision, device, str(threads), str(path)
        )
        self._patience_seconds, self._late = patience_seconds, False
        self._words = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._words
        )

    def __enter__(self) -> Self:
        try:
            told: dict[str, Any] = json.loads(self._answer(None, None))
            if "error" in told:
                raise error_of(told)
            self._size_hw: tuple[int, int] = (told["size_hw"][0], told["size_hw"][1])
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._words.close()

    def predict(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Segment an image, uint8 [H, W, 3], into class indices, uint8 [H, W]."""
        pixels = self._answer(np.ascontiguousarray(image).tobytes(), self._size_hw[0] * self._size_hw[1])
        return np.frombuffer(pixels, np.uint8).reshape(self._size_hw)

    def _answer(self, given: bytes | None, length: int | None) -> bytes:
        """Send bytes, and read so many in return; a line where no length is known."""
        assert self._process.stdin is not None and self._process.stdout is not None
        watch = threading.Timer(self._patience_seconds, self._end_late)
        watch.start()
        try:
            if given is not None:
                self._process.stdin.write(given)
                self._process.stdin.flush()
            found = self._process.stdout.readline() if length is None else self._process.stdout.read(length)
        except BrokenPipeError:
            found = b""
        finally:
            watch.cancel()
        if not found or (length is not None and len(found) < length):
            raise self._death()
        return found

    def _end_late(self) -> None:
        self._late = True
        self._process.kill()

    def _death(self) -> SegsearchError:
        code = self._process.wait()
        if self._late:
            return EndedError(f"did not answer within {self._patience_seconds:g} s, and was ended")
        self._words.seek(0)
        words = self._words.read().decode(errors="replace").strip().splitlines()
        if code < 0:
            ended = EndedError if -code in KILLED_BY else ProofError  # others are crashes of the runtime
            return ended(f"was ended by signal {-code}" + (f": {one_line(words[-1])}" if words else ""))
        return ProofError(f"ended without an answer: {one_line(words[-1])}" if words else f"ended by exit code {code}")
