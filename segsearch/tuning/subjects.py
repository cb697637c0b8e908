"""What can be tuned, brought to one form: a study's winner, a run, or a point with weights."""

import dataclasses
from pathlib import Path

from segsearch.artefacts.make import Label
from segsearch.artefacts.scenes import CALIBRATION_IMAGES, images_of
from segsearch.data.config import FileData
from segsearch.data.dataset import Dataset
from segsearch.engine.prepare import set_up
from segsearch.errors import InputError
from segsearch.models.network import Network, build
from segsearch.run.folder import read_result
from segsearch.run.subject import images_for, load_subject
from segsearch.study.config import at_root
from segsearch.study.pick import Pick
from segsearch.study.store import StudyFolder
from segsearch.training.weights import load_weights
from segsearch.tuning.files import Subject
from segsearch.winner.pool import open_pool


def of_study(folder: Path, *, how: Pick = "miou", point: str | None = None, root: str | None = None) -> Subject:
    """Return a study's winner, or the network that is asked for, with the study's data.

    Raises:
        BudgetError: no network has been trained. InputError: no study, no such network, or data that cannot be opened.
    """
    store = StudyFolder(folder)
    config = store.read_study().config
    pool = open_pool(store, config.budget, how, point)
    record = pool.pick(pool.records).record
    setup = set_up(config if root is None else at_root(config, root))
    network = build(record.spec, len(setup.splits.val.classes))
    load_weights(network, pool.weights[record.number])
    fit = config.data.fit if isinstance(config.data, FileData) else None
    notes = {"name": record.name, "spec": record.spec_id, "study": config.name}
    subject = _subject(record.name, network, setup.size_hw, notes, fit, setup.splits.val, setup.splits.train)
    return dataclasses.replace(subject, threads=config.threads)


def of_trained(
    written: str, *, weights: Path | None, data: str | None, root: str | None, size_hw: tuple[int, int] | None
) -> Subject:
    """Return a run, or a point with a file of weights and its data.

    Raises:
        InputError: neither, an unfinished run, other classes, or data that cannot be opened.
    """
    loaded = load_subject(written, weights)
    if not isinstance(loaded.segmenter, Network):
        raise InputError(written, "is exported already", "a study, a run, or a point with --weights")
    if loaded.run is not None and read_result(Path(written)) is None:
        raise InputError(written, "is not finished: the command that began it goes on with it")
    val, size = images_for(loaded, data, root=root, size_hw=size_hw, split="val")
    learnt, _ = images_for(loaded, data, root=root, size_hw=size_hw, split="train")
    name = loaded.run.name if loaded.run else Path(written).stem
    fit = loaded.run.data.fit if loaded.run and isinstance(loaded.run.data, FileData) else None
    return _subject(name, loaded.segmenter, size, {"name": name, "spec": loaded.segmenter.spec.id}, fit, val, learnt)


def _subject(
    name: str,
    network: Network,
    size_hw: tuple[int, int],
    notes: dict[str, str],
    fit: str | None,
    val: Dataset,
    learnt: Dataset,
) -> Subject:
    return Subject(
        name=name,
        network=network.eval(),
        size_hw=size_hw,
        label=Label(classes=val.classes, colours=val.colours, notes=notes | ({} if fit is None else {"fit": fit})),
        val=val,
        calibration=lambda: images_of(learnt, CALIBRATION_IMAGES),
    )
