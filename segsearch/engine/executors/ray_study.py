"""A study on a Ray: who measures, who trains, and the study's work on whatever machine it comes to."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from segsearch import __version__
from segsearch.engine.confirm import Time, timed_again
from segsearch.engine.executors.base import Task, Work
from segsearch.engine.executors.ray_cluster import KEEP_SECONDS, TARGET, Cluster
from segsearch.engine.own_training import OwnWork
from segsearch.engine.prepare import Study, Target, content_of, run, set_up_training, target_here
from segsearch.engine.watch import StudyProgress
from segsearch.errors import DeviceError, InputError, SegsearchError
from segsearch.files import expanded
from segsearch.frozen import differing
from segsearch.measure.record import LatencyRecord
from segsearch.progress import Report
from segsearch.result import TrialResult
from segsearch.study.config import StudyConfig, at_root, parse_study
from segsearch.study.record import TrialRecord
from segsearch.trial import TrialSetup

if TYPE_CHECKING:
    from segsearch.engine.executors.ray import Ray

DATA_ROOT = "SEGSEARCH_DATA_ROOT"
"""Environment variable that says on one machine of several where the data lies there."""
_LANE: dict[str, Any] = {"num_cpus": 0, "resources": {TARGET: 1}, "max_retries": 0}


class OnRay:
    """The machines of a Ray as a `segsearch.engine.executors.site.Site`; ``close`` it at the end.

    Latency is measured on the node with the resource ``target``; in this process where none has it, or where the study
    names a worker.
    """

    def __init__(self, config: StudyConfig, address: str | None = None, *, keep_seconds: float = KEEP_SECONDS) -> None:
        """Connect to the Ray at HOST:PORT; default: one on this machine alone, which is started when it is needed.

        Raises:
            As `Cluster`, and DeviceError, MissingExtraError or InputError where the target cannot measure.
        """
        self._config, self._address, self._keep_seconds = config, address, keep_seconds
        self._resources = config.resources.on(config.device)
        self._cluster: Cluster | None = None
        self.target: Target | None = None
        """What latency is measured on, where a node has the resource ``target``."""
        if address is not None and self._connected().has_target and config.remote is None:
            try:
                self.target = self._on_target(_target_there, config.model_dump_json())
            except BaseException:
                self.close()
                raise

    def _connected(self) -> Cluster:
        self._cluster = self._cluster or Cluster(self._address, self._resources)
        return self._cluster

    def _on_target(self, function: Callable[..., Any], *given: Any, stop: Callable[[], bool] = lambda: False) -> Any:
        """Call a function on the machine that counts. Raises what it returns as an error, and KeyboardInterrupt."""
        import ray

        ref, cluster = ray.remote(function).options(**_LANE).remote(*given), self._connected()
        while not ray.wait([ref], timeout=0.2)[0]:
            cluster.answers()
            if stop():
                ray.cancel(ref)
                raise KeyboardInterrupt
        answer = ray.get(ref)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def executor(self, study: Study, work: Work | None, progress: StudyProgress, stop: Callable[[], bool]) -> "Ray":
        """Run trainings on all nodes, and measure where it counts."""
        cluster = self._connected()
        from segsearch.engine.executors.ray import Ray

        where = f"on {self.target.device}" if self.target else "in this process"
        progress.note(f"Ray has {cluster}; latency is measured {where}, one network at a time")
        here, there = work or partial(run, study.setup), work or self._work(study, cluster.home)
        lane = (work or self._lane_work(study), study.file.threads) if self.target else None
        return Ray(
            cluster,
            self._resources,
            here=here,
            there=there,
            lane=lane,
            progress=progress,
            stop=stop,
            keep_seconds=self._keep_seconds,
            step_seconds=study.config.step_limit(own=isinstance(work, OwnWork)),
        )

    def _work(self, study: Study, home: str) -> Work:
        if study.config.data.name == "own":  # described by no file: it travels as it is
            return partial(run, study.setup)
        # Ray shows a training its own GPUs only, and the first of those is always cuda:0
        config = study.config.model_copy(update={"device": study.config.device.partition(":")[0]})
        return StudyWork(config.model_dump_json(), study.file.content, home)

    def study_work(self, study: Study) -> "StudyWork":
        """Return what opens the study's data on any machine. Raises InputError for data that no file describes."""
        work = self._work(study, self._connected().home)
        if not isinstance(work, StudyWork):
            raise InputError("--executor", "ray trains on data that a file describes", "serial")
        return work

    def _lane_work(self, study: Study) -> "StudyWork":
        config = study.config.model_copy(update={"threads": study.file.threads})
        return StudyWork(config.model_dump_json(), None, self._connected().home)

    def time(self, study: Study, stop: Callable[[], bool]) -> Time:
        """Time in new processes of the machine that counts."""
        if self.target is None:
            return timed_again(study.setup, study.config.confirm, stop)
        work = self._lane_work(study)

        def time(record: TrialRecord) -> LatencyRecord:
            latency: LatencyRecord = self._on_target(_time_there, work, record, study.config.confirm, stop=stop)
            return latency

        return time

    def close(self) -> None:
        """Disconnect, and end what was started."""
        if self._cluster is not None:
            self._cluster.close()
            self._cluster = None


def _target_there(config: str) -> Target | SegsearchError:
    study = parse_study(json.loads(config), "study")
    try:
        found = target_here(study)
    except SegsearchError as error:
        return error
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # not torch's own number: Ray tells it to use one thread
    return Target(device=found.device, threads=study.threads or processors)


def _time_there(work: "StudyWork", record: TrialRecord, processes: int) -> LatencyRecord | SegsearchError:
    try:
        return timed_again(work.ready(), processes, lambda: False)(record)
    except SegsearchError as error:
        return error


@dataclass(frozen=True)
class StudyWork:
    """The work of a study on whatever machine it comes to; opens the data there, once per process."""

    config: str
    """The study's config as JSON."""
    content: dict[str, str] | None
    """What its data holds, see `segsearch.study.identity.StudyFile`; None where nobody looks."""
    home: str
    """Ray's id of the driver's machine, where the data has been looked at."""
    version: str = __version__

    def __call__(self, task: Task, report: Report) -> TrialResult:
        """Run a stage.

        Raises InputError where this machine has other data, DeviceError with another segsearch, or where it does not
        compute in the study's precision.
        """
        return run(self.ready(), task, report)

    def ready(self) -> TrialSetup:
        """Open the data. Raises as `__call__`."""
        import ray

        if self.version != __version__:
            raise DeviceError(f"segsearch here is {__version__}, on the study's machine {self.version}")
        if ray.get_runtime_context().get_node_id() == self.home:
            return _opened(self.config, None, None)
        return self.open(os.environ.get(DATA_ROOT))

    def parsed(self) -> StudyConfig:
        """Return the study."""
        return parse_study(json.loads(self.config), "study")

    def open(self, root: str | None) -> TrialSetup:
        """Open the data at ``root``, default: where the study's file says. Raises InputError where it is other data."""
        return _opened(self.config, None if self.content is None else json.dumps(self.content), root)


@lru_cache(maxsize=1)
def _opened(config: str, content: str | None, root: str | None) -> TrialSetup:
    study = parse_study(json.loads(config), "study")
    if root and "root" in type(study.data).model_fields:
        study = at_root(study, root)
    setup = set_up_training(study)
    if setup.shipped is not None:
        setup.shipped.check()
    if content is not None:
        _check_content(json.loads(content), content_of(setup), study)
    return setup


def _check_content(wanted: dict[str, str], found: dict[str, str], study: StudyConfig) -> None:
    """Raise InputError, which says what differs, where data is not the study's."""
    changed = differing(wanted, found).items()
    if told := "; ".join(f"{key} is {here or 'nothing'}, not {asked or 'nothing'}" for key, (asked, here) in changed):
        place = expanded(getattr(study.data, "root", None) or study.data.name)
        raise InputError(place, f"holds other data ({told})", f"the study's data, at {DATA_ROOT}=PATH")
