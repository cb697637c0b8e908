"""Trials on the machines of a Ray: trainings wherever there is room, latencies one at a time where they count.

The driver owns the study. A stage's files travel with it and come back, so no disk is shared; a checkpoint comes back
now and then, too. Ray retries nothing: a stage whose process or machine is lost is submitted again from the files that
are here.
"""

import math
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from segsearch.engine.executors.base import Task, Work
from segsearch.engine.executors.parcel import packed, unpack
from segsearch.engine.executors.ray_cluster import KEEP_SECONDS, TARGET, Cluster
from segsearch.engine.executors.ray_stage import Answer, Desk, run_stage
from segsearch.engine.watch import StudyProgress
from segsearch.errors import MachineError, SegsearchError, WorkerError, one_line
from segsearch.result import TrialResult
from segsearch.study.machines import Resources

LOOK_SECONDS, HEAR_SECONDS = 0.2, 2.0
STOP_SECONDS = 60.0
"""How long stages may take to stop after Ctrl-C; a second one does not wait."""
NODES_SECONDS = 30.0
"""How long to wait for a machine when none is left that can do what is under way."""
MOST_DEATHS = 2
"""Deaths of a stage's process in a row, with no progress between them, after which the trial counts as failed."""
MOST_LOSSES = 4
"""The same of its machine."""


@dataclass(kw_only=True)
class _Run:
    """One submission of a stage."""

    task: Task
    key: str
    lane: bool
    """Whether it measures, on the machine that counts."""
    heard: float | None = None
    """When it was last heard of; None before it has begun."""


@dataclass
class _Losses:
    """How often in a row a trial lost its process or its machine at the same point."""

    reached: object = None
    deaths: int = 0
    machines: int = 0


class Ray:
    """Runs trainings by Ray's tasks; latencies on the target, or in this process where there is none."""

    def __init__(
        self,
        cluster: Cluster,
        resources: Resources,
        *,
        here: Work,
        there: Work,
        lane: tuple[Work, int] | None,
        progress: StudyProgress,
        stop: Callable[[], bool],
        keep_seconds: float = KEEP_SECONDS,
        step_seconds: float = math.inf,
    ) -> None:
        """Make an executor.

        Args:
            cluster: where to.
            resources: of one training.
            here: runs a stage in this process.
            there: runs it on any machine.
            lane: runs it on the target, with so many threads; None where there is no target.
            progress: told of reports and of what is lost.
            stop: says when to end.
            keep_seconds: see `segsearch.engine.executors.ray_cluster.KEEP_SECONDS`.
            step_seconds: most that a training step may take.
        """
        self._cluster, self._resources, self._here = cluster, resources, here
        self._progress, self._stop = progress, stop
        self._keep_seconds, self._step_seconds = keep_seconds, step_seconds
        self._desk = self._new_desk()
        self._there, self._lane = ray.put(there), (ray.put(lane[0]), lane[1]) if lane else None
        self._to_measure = deque[Task]()
        self._ended = deque[tuple[Task, TrialResult]]()
        self._runs: dict[Any, _Run] = {}
        self._by_key: dict[str, _Run] = {}
        self._losses: dict[int, _Losses] = {}
        self._left_out: dict[str, SegsearchError] = {}
        self._hearing: Any = None
        self._stopping: float | None = None
        self._homeless: float | None = None
        self._looked = 0.0
        self.slots = 1 + cluster.trainings()  # one is measured ahead
        self.measures_here = lane is None

    def _new_desk(self) -> Any:
        near = NodeAffinitySchedulingStrategy(self._cluster.home, soft=False)
        return ray.remote(Desk).options(num_cpus=0, scheduling_strategy=near).remote()

    def submit(self, task: Task) -> None:
        """Take a task."""
        if task.stage == "measure" and self._lane is None:
            self._to_measure.append(task)
        else:
            self._send(task)

    def apart(self, task: Task) -> bool:
        """All but what is measured here."""
        return task.stage == "train" or self._lane is not None

    def collect(self) -> tuple[Task, TrialResult]:
        """Wait for the next task to end. Raises KeyboardInterrupt where they were stopped, WorkerError without Ray."""
        while True:
            self._heed_stop()
            if self._to_measure:
                task = self._to_measure.popleft()
                try:
                    return task, self.measure(task)
                except KeyboardInterrupt:
                    if not (self._stop() and self._runs):
                        raise
                    continue  # trainings are asked to stop, too, and waited for
            if self._ended:
                return self._ended.popleft()
            ended, _ = ray.wait(list(self._runs), timeout=LOOK_SECONDS)
            if self._look():
                for ref in ended:
                    self._take(ref)

    def close(self) -> None:
        """Have what is under way stop; nobody waits for it any more."""
        self._to_measure.clear()
        with suppress(WorkerError):
            if self._cluster.answers():  # else each call would wait for the head
                for ref in self._runs:
                    ray.cancel(ref, force=True)
                ray.kill(self._desk)
        self._runs.clear()

    def _heed_stop(self) -> None:
        """Ask all stages to stop where that is wanted; raise KeyboardInterrupt once none is left."""
        if self._stopping is None and self._stop():
            self._stopping = time.monotonic()
            self._to_measure.clear()
            self._desk.stop.remote()
            for ref, run in self._runs.items():
                if run.heard is None:  # not begun: there is nothing to save
                    ray.cancel(ref)
        if (
            self._stopping is not None
            and not self._ended
            and (not self._runs or time.monotonic() - self._stopping > STOP_SECONDS)
        ):
            raise KeyboardInterrupt

    def measure(self, task: Task) -> TrialResult:
        """Run a stage in this process; trainings on this machine wait: see `segsearch.measure.device_lock`."""

        def report(what: str, done: int, total: int) -> None:
            self._progress.stage(task.proposal.number, what, done, total)
            if self._stop():
                raise KeyboardInterrupt

        return self._here(task, report)

    def _send(self, task: Task) -> None:
        number, lane = task.proposal.number, task.stage == "measure"
        key = f"{number}-{time.monotonic_ns()}"
        options: dict[str, Any] = {"max_retries": 0, "name": f"trial {number}"}
        if lane:
            assert self._lane is not None
            work, threads = self._lane
            options |= {"num_cpus": 0, "resources": {TARGET: 1}}
        else:
            work, threads = self._there, self._resources.threads
            options |= {"num_cpus": self._resources.cpus, "num_gpus": self._resources.gpus}
            if self._left_out:
                options["label_selector"] = {"ray.io/node-id": f"!in({','.join(self._left_out)})"}
        parcel = packed(task.folder, task.files)
        ref = (
            ray.remote(run_stage)
            .options(**options)
            .remote(work, task, parcel, key, self._desk, threads, self._keep_seconds, self._step_seconds)
        )
        self._runs[ref] = self._by_key[key] = _Run(task=task, key=key, lane=lane)

    def _look(self) -> bool:
        """Pass on reports, keep checkpoints, and see who is missing; return whether Ray can be asked anything."""
        if not self._cluster.answers():
            time.sleep(LOOK_SECONDS)
            return False
        now = time.monotonic()
        if now - self._looked < 2 * LOOK_SECONDS:
            return True
        self._looked = now
        if self._hear(timeout=0):
            self._end_silent(now)
        self._need_machines(now)
        return True

    def _hear(self, timeout: float) -> bool:
        """Take what came to the desk; return whether it answered, which it does not while it starts or is lost."""
        self._hearing = self._hearing or self._desk.hear.remote()
        if not ray.wait([self._hearing], timeout=timeout)[0]:
            return False
        hearing, self._hearing = self._hearing, None
        try:
            told, kept = ray.get(hearing)
        except ray.exceptions.ActorDiedError:
            self._desk = self._new_desk()  # stages that told the old one stop, and are submitted again
            return False
        except ray.exceptions.RayActorError:
            return False
        for key, said in told.items():
            if (run := self._by_key.get(key)) is not None:
                run.heard = time.monotonic()
                self._progress.stage(run.task.proposal.number, *said)
        for key, parcel in kept.items():
            if (run := self._by_key.get(key)) is not None:
                unpack(parcel, run.task.folder, run.task.files)
        return True

    def _end_silent(self, now: float) -> None:
        """End stages that have not been heard of for too long."""
        for ref, run in list(self._runs.items()):
            if run.heard is not None and now - run.heard > self._resources.silence:
                ray.cancel(ref, force=True)
                self._desk.stop.remote(run.key)
                del self._runs[ref]
                self._again(run, f"was not heard of for {self._resources.silence:g} s", machine=False)

    def _need_machines(self, now: float) -> None:
        """Count what can run now. Raises WorkerError where nothing is left that could, and none came for a while."""
        trainings = self._cluster.trainings(self._left_out)
        self.slots = max(1, trainings) + 1
        lanes = any(run.lane for run in self._runs.values())
        if trainings and (not lanes or self._cluster.has_target):
            self._homeless = None
            return
        self._homeless = self._homeless or now
        if now - self._homeless > NODES_SECONDS:
            missing = "that can train" if not trainings else f"with the resource `{TARGET}`"
            raise WorkerError(
                f"Ray has no node left {missing}: start one (ray start --address=...), and give the same command again"
            )

    def _take(self, ref: Any) -> None:
        """Take in what came of a stage: a result, or a reason to submit it again."""
        run = self._runs.pop(ref)
        try:
            answer: Answer = ray.get(ref, timeout=60)
        except ray.exceptions.TaskCancelledError:
            del self._by_key[run.key]
            return
        except (ray.exceptions.NodeDiedError, ray.exceptions.ObjectLostError, ray.exceptions.GetTimeoutError):
            return self._again(run, "its machine was lost", machine=True)
        except ray.exceptions.RayTaskError as error:  # not of the stage, whose errors come in answers
            cure = "each machine needs the segsearch that runs here"
            raise WorkerError(f"a node of Ray cannot run a stage: {one_line(error.cause or error)}; {cure}") from error
        except ray.exceptions.RayError as error:
            memory = isinstance(error, ray.exceptions.OutOfMemoryError)
            why = "its process was killed" + (" by Ray, as its machine ran out of memory" if memory else "")
            return self._again(run, why, machine=False)
        unpack(answer.parcel, run.task.folder, run.task.files)
        if answer.result is not None:
            del self._by_key[run.key]
            self._ended.append((run.task, answer.result))
        elif answer.error is not None:
            self._refused(run, answer, answer.error)
        else:
            self._again(run, "its process could not report any more", machine=False)

    def _again(self, run: _Run, why: str, *, machine: bool) -> None:
        """Submit a stage again whose process or machine was lost, unless that keeps happening at the same point."""
        for _ in range(2):  # what it said last: the first answer may be to a question before that
            self._hear(timeout=HEAR_SECONDS)
        del self._by_key[run.key]
        if self._stopping is not None:
            return
        task, losses = run.task, self._losses.setdefault(run.task.proposal.number, _Losses())
        reached = [(name, len(content), hash(content)) for name, content in packed(task.folder, task.files).items()]
        if reached != losses.reached:
            losses.reached, losses.deaths, losses.machines = reached, 0, 0
        losses.machines += machine
        losses.deaths += not machine
        if losses.deaths >= MOST_DEATHS or losses.machines >= MOST_LOSSES:
            often = losses.machines if machine else losses.deaths
            cure = "delete the folder's result.json to try it again"
            reason = f"{why}, {often} times with no progress in between ({cure})"
            failed = TrialResult(state="failed", reason=reason, spec=task.spec, spec_id=task.spec.id, seconds={})
            self._ended.append((task, failed))
            return
        self._progress.note(f"trial {task.proposal.number}: {why}; it goes on from its last state")
        self._send(task)

    def _refused(self, run: _Run, answer: Answer, error: Exception) -> None:
        """Leave out a machine on which the study cannot run. Raises the error where that was the last one."""
        if not isinstance(error, SegsearchError) or run.lane:
            raise error
        if not (isinstance(error, MachineError) and error.memory):  # else others may leave it some soon
            self._left_out[answer.node] = error
            if not self._cluster.trainings(self._left_out):
                raise error
            self._progress.note(f"{self._cluster.name_of(answer.node)} is left out: {error}")
        del self._by_key[run.key]
        self._send(run.task)
