"""Networks of a study's front trained again in full, with several seeds, and timed again: its final figures."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segsearch.data.config import DataSpec
from segsearch.engine import prepare as studies
from segsearch.engine.confirm import Time, timed_again
from segsearch.engine.final_figures import Figures, Job
from segsearch.errors import InputError
from segsearch.files import make_folder
from segsearch.interrupt import stop_requests
from segsearch.lock import locked
from segsearch.progress import Report, silent
from segsearch.run import train as runs
from segsearch.run.ask import located
from segsearch.run.course import Check
from segsearch.run.data import divided
from segsearch.run.folder import Training
from segsearch.samplers.sampler import seed_of
from segsearch.study.config import StudyConfig, at_root
from segsearch.study.final import FINAL, FOLDER, FinalFile, Finalist, read_final, seed_folder, spread
from segsearch.study.identity import check_same
from segsearch.study.record import TrialRecord
from segsearch.study.store import StudyFolder
from segsearch.training.recipe import Recipe
from segsearch.training.recipes import load_recipe
from segsearch.training.rehearse import Rehearsal

if TYPE_CHECKING:
    from segsearch.engine.executors.ray_study import OnRay

SEEDS, PROCESSES = 3, 3
STUDYS_OWN = "the study's recipe"


@dataclass(frozen=True, kw_only=True)
class Finals:
    """What is to be trained: checked, and not begun."""

    folder: Path
    config: StudyConfig
    data: DataSpec
    """What is learnt and scored: the study's, divided as the study does or in another way."""
    file: FinalFile
    """As it stands, without what is still to be done."""
    records: tuple[TrialRecord, ...]
    """The networks, in the order in which they were chosen."""
    time: Time
    """Times one network in new processes."""
    study: studies.Study
    """Ready to be run, with as many new processes for each latency as are wanted here."""

    def training(self, record: TrialRecord, seed: int) -> Training:
        """Return one training: seed N begins alike for all networks, so that they are compared on equal terms."""
        return Training(
            name=record.name,
            point=record.point,
            spec=record.spec,
            data=self.data,
            recipe_name=self.file.recipe_name,
            recipe=self.file.recipe,
            seed=seed_of(self.file.study_seed, FOLDER, seed),
            device=self.config.device,
            shipped=self.config.shipped,
        )

    def left(self) -> Iterator[tuple[TrialRecord, int]]:
        """Give the trainings that have no figures yet: the first seed of all networks, then the second of all."""
        for seed in range(self.file.seeds):
            for record in self.records:
                finalist = self.file.of(record.number)
                if finalist is None or all(trained.seed != seed for trained in finalist.trainings):
                    yield record, seed

    def jobs(self) -> list[Job]:
        """Return what is left, ready to be trained."""
        left = list(self.left())
        return [
            Job(
                record=record,
                number=seed,
                training=self.training(record, seed),
                folder=seed_folder(self.folder, record.number, seed),
                title=f"{done} of {len(left)}: {record.name}, seed {seed}",
            )
            for done, (record, seed) in enumerate(left, 1)
        ]


def prepare(
    folder: Path,
    *,
    top: int | None = None,
    seeds: int | None = None,
    recipe: str | None = None,
    epochs: int | None = None,
    root: str | None = None,
    split: str | None = None,
    target: studies.Target | None = None,
) -> Finals:
    """Choose the networks, and check everything that can be checked before the first training.

    What is not given is as it was when the study's final trainings began.

    Args:
        folder: the study.
        top: how many networks, see `segsearch.study.final.spread`; default: five, or the whole front.
        seeds: trainings of each; default: 3.
        recipe: a shipped name or a file; default: the study's own.
        epochs: in place of the recipe's length.
        root: where the data lies now, if not where the search found it.
        split: which images are learnt and which validate, where the data set has a choice; default: as the search did.
            So what a search held back is learnt, too.
        target: what latency is measured on, where a Ray knows it; default: as the study says.

    Raises:
        BudgetError: no network has been trained.
        InputError: no study, a front of fewer than ``top``, an unknown recipe or split, a recipe for other
            networks, another recipe or split than the trainings there have, or data that has changed.
        DeviceError: the device is not here.
    """
    store = StudyFolder(folder)
    kept, before = store.read_study(), read_final(folder)
    config = kept.config if root is None else at_root(kept.config, root)
    chosen = spread(records := store.records(), config.budget, top if top or not before else before.top)
    name, asked = _recipe(config, before, recipe, epochs)
    if before is not None and asked.id != before.recipe.id:
        problem = f"holds trainings by {before.recipe_name} (id {before.recipe.id}), not by {name} (id {asked.id})"
        raise InputError(folder / FOLDER, problem, f"leave out --recipe and --epochs, or move it and {FINAL} away")
    split = split or (before.split if before else None)
    if before is not None and split != before.split:
        problem = f"holds trainings on the split {before.split or 'of the search'}, not {split}"
        raise InputError(folder / FOLDER, problem, f"leave out --split, or move it and {FINAL} away")
    often = config.model_copy(update={"confirm": max(PROCESSES, config.confirm)})
    study = studies.prepare(often, target, folder)
    check_same(kept, study.file, folder)
    file = FinalFile(
        recipe_name=name,
        recipe=asked,
        study_seed=before.study_seed if before else config.seed,
        seeds=seeds or (before.seeds if before else SEEDS),
        top=len(chosen),
        split=split,
    )
    finals = Finals(
        folder=folder,
        config=config,
        data=divided(config.data, split),
        file=_gathered(file, before, chosen, records),
        records=tuple(chosen),
        time=timed_again(study.setup, often.confirm, bool),
        study=study,
    )
    for record in chosen:
        ready = runs.prepare(finals.training(record, 0))
        if not seed_folder(folder, record.number, 0).exists():
            ready.network()
    return finals


def _recipe(
    config: StudyConfig, before: FinalFile | None, recipe: str | None, epochs: int | None
) -> tuple[str, Recipe]:
    changes: dict[str, object] = {} if epochs is None else {"epochs": epochs}
    if recipe is not None:
        return Path(recipe).stem, located(load_recipe(recipe, config.data.name, changes), Path(recipe))
    name, found = (before.recipe_name, before.recipe) if before else (STUDYS_OWN, config.recipe)
    if epochs is None:
        return name, found
    plain: dict[str, Any] = found.model_dump(mode="json", exclude={"iterations"}, exclude_unset=True)
    asked = Recipe.parse(plain | changes, "--epochs")
    return name if asked.id == found.id else f"{name}, {epochs} epochs", asked


def _gathered(
    file: FinalFile, before: FinalFile | None, chosen: list[TrialRecord], records: list[TrialRecord]
) -> FinalFile:
    """Take over what is there: of the networks chosen now, and of earlier ones that are trained with all seeds."""
    found = {finalist.trial: finalist for finalist in (before.finalists if before else ())}
    numbers = [record.number for record in chosen]
    known = {record.number: record for record in records if record.trained}
    whole = {n for n, finalist in found.items() if len(finalist.trainings) >= file.seeds and finalist.timing_done}
    earlier = [n for n in found if n in whole and n in known and n not in numbers]
    finalists = [
        Finalist.of(known[n], found[n].latency, found[n].trainings, untimed=found[n].untimed)
        if n in found
        else Finalist.of(known[n], None, ())
        for n in (*numbers, *earlier)
        if n in found or n in numbers
    ]
    return file.model_copy(update={"finalists": tuple(finalists)})


def finalize(
    finals: Finals,
    *,
    report: Report = silent,
    note: Callable[[str], None] = lambda line: None,
    checked: Callable[[str, Check], None] = lambda title, check: None,
    finished: Callable[[runs.Run], None] = lambda run: None,
    site: "OnRay | None" = None,
) -> FinalFile:
    """Train and time what is left; return the final figures with their winner.

    Whatever ends this, the same call goes on where it was: each training is a run that is taken up again, and each
    figure is in ``final.json`` once it is known. A training that diverges is written down, and its network cannot win.

    Args:
        finals: what is to be done.
        report: told of every step.
        note: told in sentences which training begins and how it ends, and what went otherwise than planned.
        checked: told which training it is, and where it stands, about ten times in each.
        finished: told of every training that ends.
        site: a Ray to train on, several at once; default: here, one after another. `checked` hears nothing from there.

    Raises:
        WorkerError: the machines of the site are lost, or the one that measures.
        MachineError: no disk space, memory or file handles are left to time a network.
        InputError: another process is at it, a folder cannot be written, or the disk is full.
        KeyboardInterrupt: let through, after the checkpoint.
    """
    make_folder(finals.folder / FOLDER)
    with locked(finals.folder / FOLDER, "finalizing this study"):
        figures, jobs = Figures(finals.file, finals.folder, report, note, checked, finished), finals.jobs()
        if site is None or not jobs:
            for job in jobs:
                figures.train(job)
        else:
            from segsearch.engine.side_by_side import side_by_side  # loads Ray

            with stop_requests(note) as stop:
                for job, failure in side_by_side(jobs, finals.study, site, report=report, note=note, stop=stop):
                    figures.train(job) if failure is None else figures.failed(job, failure)
        time = site.time(finals.study, bool) if site and site.target else finals.time
        for record in finals.records:
            figures.time(record, time)
        return figures.conclude(finals.config.budget)


def rehearse(finals: Finals, report: Report = silent) -> list[tuple[TrialRecord, runs.Ready, Rehearsal]]:
    """Train a few steps of each network, to tell how long all would take. Nothing is written."""
    found = list[tuple[TrialRecord, runs.Ready, Rehearsal]]()
    for done, record in enumerate(finals.records):
        report(record.name, done, len(finals.records))
        found.append((record, *runs.rehearse_run(finals.training(record, 0))))
    return found
