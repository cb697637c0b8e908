"""Entry point: builds the app, and turns every error into one line and an exit code."""

import os
import shlex
import sys
import tempfile
import traceback
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from segsearch import __version__
from segsearch.cli import export, finalize, init, look, predict, remote, report, run, studies, study, timing, tune, use
from segsearch.cli.streams import OUTPUT, complain, end_output, mend_streams, reader_left
from segsearch.errors import SegsearchError, machine_fault, one_line
from segsearch.interrupt import InterruptingSignals
from segsearch.quiet import cache_folder, keep_home_clean

INTERRUPTED = 130
"""What shells expect after Ctrl-C."""
DEBUG = "SEGSEARCH_DEBUG"
"""Environment variable that asks for the traceback of every error."""

EXIT_CODES = {
    0: "done",
    1: "a check found a difference, nothing could be tried, or an unexpected error",
    2: "what the user or the machine caused, in one line on standard error",
    3: "an exported file misses its budget",
    INTERRUPTED: "Ctrl-C or SIGTERM; the same command goes on",
}
"""Of every verb; what leads to 1, 2 or 3 beside errors stands in the verb's help."""

app = typer.Typer(
    name="segsearch",
    help="Search real-time segmentation networks: mIoU against latency measured on this very device.",
    epilog="First steps: `segsearch search quickstart --out runs/quickstart`, `segsearch show fpenet`.\n\nExit codes: "
    + "; ".join(f"{code}: {meaning}" for code, meaning in EXIT_CODES.items())
    + ".",
    no_args_is_help=True,
    rich_markup_mode="markdown",  # joins the lines of a paragraph
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command()(init.init)
for verb in (
    study.search,
    study.pareto,
    finalize.finalize,
    run.train,
    run.evaluate,
    run.visualize,
    export.export,
    tune.tune,
):
    app.command()(verb)
for using in (predict.predict, timing.measure, use.import_weights):
    app.command()(using)
app.command()(remote.measure_worker)
for comparing in (timing.leaderboard, timing.rerank):
    app.command()(comparing)
for looking in (report.report, look.show, look.diff, look.points, look.lint, look.schema):
    app.command()(looking)
app.add_typer(look.space, name="space")
app.add_typer(studies.study, name="study")
app.add_typer(use.data, name="data")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"segsearch {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", envvar=DEBUG, help="Show the traceback of every error, too.")
    ] = False,
) -> None:
    """Search real-time segmentation networks: mIoU against latency measured on this very device."""
    keep_home_clean()
    if debug:
        os.environ[DEBUG] = "1"


def main() -> None:
    """Run the command line and exit with one of `EXIT_CODES`."""
    mend_streams()
    try:
        os.getcwd()
    except OSError as error:  # libraries would fail on it later, each in words of its own
        complain(f"the folder that this runs in is gone or closed ({error.strerror}): change to another one")
        sys.exit(2)
    with InterruptingSignals() as came:
        code = _run([_with_home(word) for word in sys.argv[1:]], came)
    if code == INTERRUPTED:
        complain("interrupted")
    if (fault := end_output()) is not None and code == 0:
        complain(f"{OUTPUT}: {fault}")
        code = 2
    sys.exit(code)


def _run(arguments: list[str], came: list[int]) -> int:
    """Run one command; return the exit code. ``came`` holds the signals that were to end it."""
    try:
        code = app(arguments, prog_name="segsearch", standalone_mode=False)
    except SystemExit as ended:
        code = 0 if reader_left() else ended.code  # typer and rich exit with 1 then
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        if os.environ.get(DEBUG):
            traceback.print_exc()
        if came:  # torch's imports swallow KeyboardInterrupt and fail later, of a module that is half loaded
            code = INTERRUPTED
        else:
            code, line = _told(error)
            complain(line)
    return code if isinstance(code, int) else 0


def _told(error: Exception) -> tuple[int, str]:
    """Return the exit code and the one line that an error ends with."""
    usage = getattr(error, "format_message", None)  # of typer's errors: an unknown, misspelt or wrong option
    if isinstance(error, SegsearchError) or usage is not None:
        return 2, usage() if usage else str(error)
    if isinstance(error, OSError) and error.filename is not None:  # a path that nobody looked at before
        return 2, f"{error.filename}: {error.strerror}"
    if (machine := machine_fault(error)) is not None:
        return 2, str(machine)
    return 1, f"unexpected error: {type(error).__name__}: {one_line(error)}; the details are in {_logged(error)}"


def _logged(error: Exception) -> str:
    """Write the traceback of a mistake of ours to a file in the cache folder, or in that for temporary files."""
    from segsearch.files import write_atomic

    facts = f"segsearch {__version__}, Python {sys.version}\n{shlex.join(sys.argv)}\n\n"
    name = f"error-{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.log"
    for folder in (cache_folder, lambda: Path(tempfile.gettempdir())):
        with suppress(OSError, RuntimeError, SegsearchError):
            path = folder() / name
            write_atomic(path, facts + "".join(traceback.format_exception(error)))
            return str(path)
    return f"no file, as none could be written ({DEBUG}=1 shows them)"


def _with_home(word: str) -> str:
    """Put the home folder in the place of ``~`` where the shell did not: behind ``=``, and in quotes."""
    option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    return option + equals + os.path.expanduser(value)
