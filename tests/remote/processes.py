"""A real worker: another process that runs the verb."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil

from segsearch.remote.access import Address
from segsearch.remote.client import Worker

TOKEN = "a-token-of-the-tests"
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "SEGSEARCH_TOKEN"}
WITH_TOKEN = ENVIRONMENT | {"SEGSEARCH_TOKEN": TOKEN}


class Running:
    """A worker that listens; ``said`` is what it has printed so far."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process, self.folder, self.said = process, folder, list[str]()
        while not self.said or self.said[-1] != "ready":
            self.said.append(self.line())
        self.address = Address.parse(self.said[0].split()[2])
        self.worker = Worker(self.address, TOKEN)

    def line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the worker has ended: {self.said}"
        return line.rstrip("\n")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Signal it; return its exit code and what else it said."""
        self.process.send_signal(number)
        said, _ = self.process.communicate(timeout=60)
        # a signal that comes while Python flushes its first words makes it write them once more at its end
        return self.process.returncode, said.removeprefix("\n".join([*self.said, ""]))

    @property
    def left(self) -> list[str]:
        """Folders of graphs that are there now."""
        return sorted(path.name for path in self.folder.glob("segsearch-*/graph-*"))

    @property
    def children(self) -> list[psutil.Process]:
        """Processes that it has started and that run now."""
        return psutil.Process(self.process.pid).children(recursive=True)


@contextmanager
def running(folder: Path, *arguments: str, environment: dict[str, str] = WITH_TOKEN) -> Iterator[Running]:
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    default = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # whoever runs the tests may ignore it
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "segsearch", "measure-worker", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment | {"TMPDIR": str(temporary)},
        preexec_fn=default,
    ) as process:
        try:
            yield Running(process, temporary)
        finally:
            process.kill()
