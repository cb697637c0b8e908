"""Final trainings on the machines of a Ray, as many at once as there is room for; each is a run in its folder."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import ray

from segsearch.engine.executors.base import Task
from segsearch.engine.executors.ray_study import DATA_ROOT, OnRay, StudyWork
from segsearch.engine.final_figures import Job
from segsearch.engine.ledger import now
from segsearch.engine.prepare import Study
from segsearch.engine.watch import Silent
from segsearch.errors import DivergedError, WorkerError
from segsearch.files import make_folder
from segsearch.progress import Report
from segsearch.result import TrialResult
from segsearch.run.data import read_data
from segsearch.run.folder import BEST, LAST, METRICS, Training
from segsearch.run.train import train_run
from segsearch.study_files import CHECKPOINT, RESULT, RUN, WEIGHTS

ON_THE_WAY = (RUN, METRICS, BEST, CHECKPOINT)
"""Files of a run that is not finished, in the order in which it writes them."""
FILES = (*ON_THE_WAY, WEIGHTS, LAST, RESULT)
DIVERGED = "diverged"


@dataclass(frozen=True)
class RunWork:
    """The work of a Ray's machines: trains the run whose number its task has."""

    study: StudyWork
    trainings: tuple[Training, ...]

    def __call__(self, task: Task, report: Report) -> TrialResult:
        """Train to the end. Raises as `train_run`, and as `StudyWork` where this machine has other data."""
        self.study.ready()
        training = self.trainings[task.proposal.number]
        # Ray shows a training its own GPUs only, and the first of those is always cuda:0
        shipped = training.shipped and training.shipped.on_first()
        training = training.model_copy(update={"device": training.device.partition(":")[0], "shipped": shipped})
        root = os.environ.get(DATA_ROOT)
        if root and ray.get_runtime_context().get_node_id() != self.study.home:
            training = training.model_copy(update={"data": read_data(training.data, root=root)})
        try:
            run = train_run(training, task.folder, report=report)
        except DivergedError as error:
            why = str(error)
            return TrialResult(
                state="failed", reason=why, notes=(DIVERGED,), spec=task.spec, spec_id=task.spec.id, seconds={}
            )
        scores, seconds = run.result.counted, {"train": run.result.seconds}
        return TrialResult(state="complete", scores=scores, spec=task.spec, spec_id=task.spec.id, seconds=seconds)


class _Told(Silent):
    """Passes on what is heard of trainings, by their titles."""

    def __init__(self, jobs: Sequence[Job], report: Report, note: Callable[[str], None]) -> None:
        self._jobs, self._report, self._note = jobs, report, note

    def stage(self, number: int, what: str, done: int, total: int) -> None:
        self._report(f"{self._jobs[number].title}: {what}", done, total)

    def note(self, line: str) -> None:
        self._note(line)


def side_by_side(
    jobs: Sequence[Job],
    study: Study,
    site: OnRay,
    *,
    report: Report,
    note: Callable[[str], None],
    stop: Callable[[], bool],
) -> Iterator[tuple[Job, str | None]]:
    """Train all, as many at once as there is room for; give each that has ended, and why where it diverged.

    What is lost goes on from its last checkpoint, which comes home now and then.

    Raises:
        KeyboardInterrupt: stopped; each training's folder holds its last checkpoint.
        InputError: no machine has the study's data. WorkerError: machines, or a training's process, are lost for good.
    """
    work = RunWork(site.study_work(study), tuple(job.training for job in jobs))
    executor = site.executor(study, work, _Told(jobs, report, note), stop)
    left, under_way = deque(enumerate(jobs)), 0
    try:
        while left or under_way:
            while left and under_way < executor.slots:
                executor.submit(_task(*left.popleft()))
                under_way += 1
            task, result = executor.collect()
            under_way -= 1
            job = jobs[task.proposal.number]
            if result.state == "failed" and DIVERGED not in result.notes:
                raise WorkerError(f"{job.title}: {result.reason}; the same command goes on")
            yield job, result.reason
    finally:
        executor.close()


def _task(number: int, job: Job) -> Task:
    make_folder(job.folder.parent)
    return Task(
        proposal=job.record.proposal.model_copy(update={"number": number}),
        spec=job.record.spec,
        folder=job.folder,
        seed=job.training.seed,
        started_at=now(),
        stage="train",
        files=FILES,
        kept=ON_THE_WAY,
    )
