"""Real nodes of a Ray on loopback, each a process group of its own, and a study's driver as a process beside them."""

import os
import secrets
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

NODE = """
import sys
from ray._private import ray_constants, services
from ray.scripts import scripts
ray_constants.ENABLE_RAY_CLUSTER = True  # several nodes on loopback, which Ray allows nobody else
services.resolve_ip_for_localhost = lambda host: host
sys.exit(scripts.main())
"""

DRIVER = """
import sys
from contextlib import closing
from pathlib import Path
from segsearch.errors import SegsearchError
from segsearch.study.config import StudyConfig
from segsearch.engine.driver import run_study
from segsearch.engine.executors.ray_study import OnRay
from segsearch.engine.watch import Silent
from tests.engine.staged import plodding

class Loud(Silent):
    def stage(self, number, what, done, total): print("stage", number, what, done, flush=True)
    def finished(self, record): print("finished", record.number, record.state, *record.notes, flush=True)
    def note(self, line): print("note", line, flush=True)
    def closed(self, line): print("closed", line, flush=True)

config = StudyConfig.model_validate_json(Path(sys.argv[1]).read_text())
try:
    with closing(OnRay(config, sys.argv[3], keep_seconds=0.2)) as site:
        sys.exit(run_study(config, Path(sys.argv[2]), progress=Loud(), work=plodding, site=site).exit_code)
except SegsearchError as error:
    sys.exit(f"refused: {error}")
"""


class Nodes:
    """A head without processors for trainings, and as many nodes of one processor as are asked for."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        environment = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.getcwd(),
        }
        self.environment = os.environ | environment
        self._folder = folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        port = self.address.rpartition(":")[2]
        # not below the tests' folder: names of sockets must be short
        self._temporary = f"/tmp/segsearch-nodes-{os.getpid()}"
        self.start("head", "--head", f"--port={port}", "--num-cpus=0", f"--temp-dir={self._temporary}")
        for _ in range(600):
            with suppress(OSError), socket.create_connection(("127.0.0.1", int(port)), 1):
                return
            time.sleep(0.1)
        raise AssertionError("the head did not start")

    def join(self, name: str, *words: str) -> None:
        """Start a node, of one processor unless ``words`` say otherwise."""
        self.start(name, f"--address={self.address}", *(words or ("--num-cpus=1",)))
        log = self._folder / f"{name}.log"
        for _ in range(600):
            if "Ray runtime started" in log.read_text():
                return
            time.sleep(0.1)
        raise AssertionError(log.read_text())

    def start(self, name: str, *words: str) -> None:
        """Run `ray start`."""
        shared = ("--block", "--node-ip-address=127.0.0.1", "--object-store-memory=80000000", "--num-gpus=0")
        with (self._folder / f"{name}.log").open("w") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-c", NODE, "start", *words, *shared],
                env=self.environment | {"SEGSEARCH_TEST_NODE": name},
                start_new_session=True,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def kill(self, name: str) -> None:
        node = self.running.pop(name)
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(node.pid)
            for each in (process, *process.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    each.kill()
        node.wait()

    def close(self) -> None:
        for name in tuple(self.running):
            self.kill(name)
        subprocess.run(["rm", "-rf", self._temporary], check=True)

    def driver(self, config: str, folder: Path) -> subprocess.Popen[str]:
        file = folder.with_suffix(".json")
        file.write_text(config)
        return subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(file), str(folder), self.address],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
