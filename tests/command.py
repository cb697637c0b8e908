"""The command line in this very process: `main` with arguments; its two streams and its exit code."""

import contextlib
import io
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from segsearch.cli.app import main


@dataclass(frozen=True)
class Done:
    """What a process would have left: as `subprocess.CompletedProcess` names it."""

    returncode: int
    stdout: str
    stderr: str


def run(*arguments: str | Path, cwd: Path | None = None, encoding: str = "utf-8") -> Done:
    """Run ``segsearch ARGUMENTS``, in the folder ``cwd``, with neither stream a terminal."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True) for _ in range(2))
    before, handler, code = os.getcwd(), signal.getsignal(signal.SIGTERM), None
    os.chdir(cwd or before)
    try:
        with (
            patch.object(sys, "argv", ["segsearch", *map(str, arguments)]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            main()
    except SystemExit as ended:
        code = ended.code
    finally:
        os.chdir(before)
        signal.signal(signal.SIGTERM, handler)
    assert isinstance(code, int)
    return Done(code, *(stream.buffer.getvalue().decode(encoding) for stream in (out, err)))


def refusal(*arguments: str | Path, cwd: Path | None = None) -> str:
    """Run what a user got wrong: nothing on standard output, one line on standard error without its prefix, code 2."""
    done = run(*arguments, cwd=cwd)
    assert (done.returncode, done.stdout) == (2, ""), done
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("segsearch: ") and "Traceback" not in done.stderr
    return done.stderr.removeprefix("segsearch: ").strip()
