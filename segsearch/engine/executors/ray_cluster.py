"""A Ray to run on: one of this process's own, or one that nodes were joined to by `ray start`."""

import atexit
import contextlib
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from typing import Any

import psutil

from segsearch.errors import DeviceError, InputError, MissingExtraError, WorkerError, one_line
from segsearch.quiet import quiet
from segsearch.remote.access import Address
from segsearch.study.machines import Resources

TARGET = "target"
"""Ray's resource of the machine whose latency counts: ``ray start --resources='{"target": 1}'``."""
KEEP_SECONDS = 60.0
"""Least time between two checkpoints of one trial that are sent to the study's folder."""
LOOK_SECONDS = 0.5
LOST_SECONDS = 15.0
"""A head that does not answer for so long is lost."""
_QUIET: dict[str, Any] = {"log_to_driver": False, "configure_logging": False, "logging_level": "ERROR"}
_MOST_STORE_BYTES = 1024**3
_PREFIX = "segsearch-ray-"
_MOST_FOLDER = 30
"""Letters of a folder in which Ray's sockets have names that are short enough for the system."""


def _new_folder() -> str:
    """Make a folder for a Ray of this process's own; in /tmp where that for temporary files has too long a name."""
    usual = tempfile.gettempdir()
    fits = len(f"{usual}/{_PREFIX}") + 8 <= _MOST_FOLDER  # letters that `mkdtemp` adds
    return tempfile.mkdtemp(prefix=_PREFIX, dir=usual if fits else "/tmp")


class Cluster:
    """A connection to Ray; ``close`` ends a Ray of this process's own, and leaves any other running."""

    def __init__(self, address: str | None, resources: Resources, *, cpus: int | None = None) -> None:
        """Connect to the Ray at HOST:PORT; without one to that which this process has, or to a new one of ``cpus``.

        By default a new one takes all processors and GPUs of this machine.

        Raises:
            MissingExtraError: ray is not installed. InputError: nothing answers at the address, or refuses this
                process. DeviceError: no node has what one training needs.
        """
        self._address, self._resources, self._cpus, self._own = address, resources, cpus, False
        self._folder: str | None = None
        with _handlers_kept():
            self._connect()
        context = self._ray.get_runtime_context()
        self.home: str = context.get_node_id()
        """Ray's id of the machine that this process runs on."""
        self._head: str = context.gcs_address
        self._table: list[dict[str, Any]] = self._ray.nodes()
        self._answered, self._closed = time.monotonic(), threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()
        if not self.trainings():
            refusal = DeviceError(f"Ray has no node with {resources}: its nodes have {self._offers()}")
            self.close()
            raise refusal

    def _connect(self) -> None:
        # a process that asks for a head that is gone is ended by Ray after a minute, with whatever else it does
        os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", "3600")
        try:
            import ray
        except ImportError as error:
            raise MissingExtraError("ray", "ray") from error
        self._ray = ray
        if self._address is None and ray.is_initialized():
            return
        if self._address is None:
            self._start()
        else:
            _refuse_silence(Address.parse(self._address, "--address"))
            try:
                ray.init(address=self._address, **_QUIET)
            except Exception as error:  # of many kinds: no token, another version, a machine that is no node
                problem = f"Ray at {self._address} does not take this process: {one_line(error)}"
                raise InputError("--address", problem) from error
        self._own = True

    def _start(self) -> None:
        """Start a Ray that listens on loopback only, with a token of its own."""
        from ray._private import ray_constants

        if not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys():
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)  # else Ray writes one into the home folder
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # for its processes
        os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's is 15: trainings and timings would wait for all else
        before, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
        self._folder = _new_folder()
        store = min(_MOST_STORE_BYTES, psutil.virtual_memory().total // 10)
        try:
            with quiet():  # it says that tokens are on
                self._ray.init(
                    num_cpus=self._cpus,
                    object_store_memory=store,
                    _temp_dir=self._folder,
                    include_dashboard=False,
                    **_QUIET,
                )
        except Exception as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise DeviceError(f"Ray cannot be started here: {one_line(error)}") from error
        finally:
            ray_constants.ENABLE_RAY_CLUSTER = before

    def _watch(self) -> None:
        """Ask who is there, again and again; in a thread, as the question waits for a head that is gone."""
        while not self._closed.wait(LOOK_SECONDS):
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._table = self._ray.nodes()
                self._answered = time.monotonic()

    @property
    def _nodes(self) -> list[dict[str, Any]]:
        return [node for node in self._table if node["Alive"]]

    def trainings(self, left_out: Collection[str] = ()) -> int:
        """Count the trainings that the nodes can run at once, without those left out (Ray's ids)."""
        return sum(self._resources.fit_in(node["Resources"]) for node in self._nodes if node["NodeID"] not in left_out)

    @property
    def has_target(self) -> bool:
        """Whether a node is there whose latency counts."""
        return any(node["Resources"].get(TARGET, 0) >= 1 for node in self._nodes)

    def name_of(self, node_id: str) -> str:
        """Name a machine for people: its host, and its address where that is another."""
        for node in self._table:
            if node["NodeID"] == node_id:
                return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']}, node {node_id[:6]})"
        return f"node {node_id[:6]}"

    def __str__(self) -> str:
        """Say what is there: ``2 nodes, 4 trainings at once``."""
        nodes, trainings = len(self._nodes), self.trainings()
        return f"{nodes} node{'s' * (nodes != 1)}, {trainings} training{'s' * (trainings != 1)} at once"

    def _offers(self) -> str:
        offered = [node["Resources"] for node in self._nodes]
        return "; ".join(f"{has.get('CPU', 0):g} cpus and {has.get('GPU', 0):g} gpus" for has in offered)

    def answers(self) -> bool:
        """Whether the head did just now: else any question to Ray may wait for it.

        Raises:
            WorkerError: it has not for `LOST_SECONDS`.
        """
        silent = time.monotonic() - self._answered
        if silent > LOST_SECONDS:
            cure = "start it and its nodes again, and give the same command: it goes on from what came back"
            raise WorkerError(f"Ray's head at {self._head} is lost: {cure}")
        return silent < 4 * LOOK_SECONDS

    def close(self) -> None:
        """Disconnect; do not wait for a head that is lost."""
        self._closed.set()
        if self._own:
            ending = threading.Thread(target=self._ray.shutdown, daemon=True)
            ending.start()
            ending.join(LOST_SECONDS)
            if ending.is_alive():  # nor at the process's end
                atexit.unregister(self._ray.shutdown)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


@contextlib.contextmanager
def _handlers_kept() -> Iterator[None]:
    """Put back the handlers of signals that Ray replaces by its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _refuse_silence(address: Address) -> None:
    """Raise InputError where nothing listens: Ray itself would wait for long."""
    try:
        socket.create_connection((address.host, address.port), 5).close()
    except OSError as error:
        reason = error.strerror or str(error)
        cure = f"start it there: ray start --head --port={address.port}"
        raise InputError("--address", f"no Ray answers at {address}: {reason}", cure) from None
