"""What can be tuned, brought to one form: a study's winner, a run, or a point with weights."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from segsearch.artefacts.make import Label
from segsearch.artefacts.scenes import CALIBRATION_IMAGES, images_of
from segsearch.data.dataset import Dataset
from segsearch.deployment.images import Bytes
from segsearch.engine.prepare import set_up
from segsearch.errors import InputError
from segsearch.models.network import Network, build
from segsearch.run.folder import read_result
from segsearch.run.subject import images_for, load_subject
from segsearch.study.config import at_root
from segsearch.study.pick import Pick
from segsearch.study.store import StudyFolder
from segsearch.training.recipe import Recipe
from segsearch.training.recipes import load_recipe
from segsearch.training.weights import load_weights
from segsearch.winner.pool import open_pool

UNKNOWN_RECIPE = "strong"
"""Of a point with weights, of which nobody knows how they were trained."""
WHOLE = {"crop": None}
"""Change of that recipe: its crops may be larger than the images that are asked for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Subject:
    """One trained network, and what its files are proven, scored and calibrated on.

    Attributes:
        name: for people.
        network: with its weights, in eval mode.
        size_hw: height and width of the image in pixels.
        label: what stands in the files.
        val: the images that files are scored on.
        learnt, recipe: the images that it was trained on, and how; of a point that is not known, and ``strong`` taken.
        calibration: gives images that int8 takes its ranges from, uint8 [H, W, 3].
        threads: of the processor that its study measured with; None where nobody said.
    """

    name: str
    network: Network
    size_hw: tuple[int, int]
    label: Label
    val: Dataset
    learnt: Dataset
    recipe: Recipe
    calibration: Callable[[], Iterator[Bytes]]
    threads: int | None = None

    @property
    def checksum(self) -> str:
        """Hex digits that tell the network and its weights from all others."""
        digest = hashlib.sha256(self.network.spec.id.encode())
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]


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
    notes = {"name": record.name, "spec": record.spec_id, "study": config.name}
    subject = _subject(record.name, network, setup.size_hw, notes, setup.splits.val, setup.splits.train, config.recipe)
    return dataclasses.replace(subject, threads=config.threads)


def of_trained(
    written: str,
    *,
    weights: Path | None,
    data: str | None,
    root: str | None,
    size_hw: tuple[int, int] | None,
    note: Callable[[str], None] = lambda line: None,
) -> Subject:
    """Return a run, or a point with a file of weights, of which ``note`` may be told something, and its data.

    Raises:
        InputError: neither, an unfinished run, other classes, or data that cannot be opened.
    """
    loaded = load_subject(written, weights, note=note)
    if not isinstance(loaded.segmenter, Network):
        raise InputError(written, "is exported already", "a study, a run, or a point with --weights")
    if loaded.run is not None and read_result(Path(written)) is None:
        raise InputError(written, "is not finished: the command that began it goes on with it")
    val, size = images_for(loaded, data, root=root, size_hw=size_hw, split="val")
    learnt, _ = images_for(loaded, data, root=root, size_hw=size_hw, split="train")
    name = loaded.run.name if loaded.run else Path(written).stem
    recipe = loaded.run.recipe if loaded.run else load_recipe(UNKNOWN_RECIPE, val.name.partition("/")[0], WHOLE)
    notes = {"name": name, "spec": loaded.segmenter.spec.id}
    return _subject(name, loaded.segmenter, size, notes, val, learnt, recipe)


def _subject(
    name: str,
    network: Network,
    size_hw: tuple[int, int],
    notes: dict[str, str],
    val: Dataset,
    learnt: Dataset,
    recipe: Recipe,
) -> Subject:
    return Subject(
        name=name,
        network=network.eval(),
        size_hw=size_hw,
        label=Label(classes=val.classes, colours=val.colours, notes=notes | {"fit": val.fit}),
        val=val,
        learnt=learnt,
        recipe=recipe,
        calibration=lambda: images_of(learnt, CALIBRATION_IMAGES),
    )
