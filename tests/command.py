"""The command line in this very process: `main` with arguments; its two streams and its exit code."""

import contextlib
import io
import os
import re
import shlex
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import typer

from segsearch.cli.app import app, main


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


def words_of(line: str) -> list[str]:
    """Split a line as a shell does, for which a # inside a word begins no comment."""
    return shlex.split(re.split(r"\s+#\s", line)[0])


def parse(line: str) -> None:
    """See that a command line names a verb with options that it has; nothing is run."""
    command: Any = typer.main.get_command(app)
    context, (program, *words) = None, words_of(line)
    assert program == "segsearch"
    while True:
        context = command.make_context(command.name or program, words, parent=context)
        if not hasattr(command, "resolve_command"):
            return
        _, command, words = command.resolve_command(context, [*context._protected_args, *context.args])
