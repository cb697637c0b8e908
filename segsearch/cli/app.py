"""Entry point: builds the app, turns what a user caused into one line and exit code 2."""

import signal
import sys
import threading
from types import FrameType
from typing import Annotated, NoReturn

import typer

from segsearch import __version__
from segsearch.cli import export, leaderboard, look, remote, study, use
from segsearch.errors import SegsearchError

INTERRUPTED = 130
"""What shells expect after Ctrl-C."""

app = typer.Typer(
    name="segsearch",
    help="Search real-time segmentation networks: mIoU against latency measured on this very device.",
    epilog="First steps: `segsearch search quickstart --out runs/quickstart`, `segsearch show fpenet`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for verb in (study.search, study.pareto, export.export, use.predict, use.measure, use.import_weights):
    app.command()(verb)
app.command()(remote.measure_worker)
for timing in (leaderboard.leaderboard, leaderboard.rerank):
    app.command()(timing)
for looking in (look.show, look.diff, look.points, look.lint, look.schema):
    app.command()(looking)
app.add_typer(look.space, name="space")
app.add_typer(use.data, name="data")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"segsearch {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Search real-time segmentation networks: mIoU against latency measured on this very device."""


def main() -> None:
    """Run the command line; the exit code is 0, 2 for what a user caused, 130 after Ctrl-C or SIGTERM."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = app(standalone_mode=False)
    except SegsearchError as error:
        code = _complain(str(error))
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        code = 0  # the reader had enough, as `head` does
    except OSError as error:  # of a path that nobody looked at first: too long, or in a closed folder
        if error.filename is None:
            raise
        code = _complain(f"{error.filename}: {error.strerror}")
    except Exception as error:
        # typer's usage errors: a flag that is unknown, misspelt or out of range
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        code = _complain(message())
    if code == INTERRUPTED:  # by Ctrl-C, which typer has caught without a word
        print("segsearch: interrupted", file=sys.stderr)
    sys.exit(code if isinstance(code, int) else 0)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """End by SIGTERM as by Ctrl-C: nothing temporary is left behind; a second one ends at once."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise KeyboardInterrupt


def _complain(message: str) -> int:
    print(f"segsearch: {' '.join(message.split())}", file=sys.stderr)
    return 2
