"""What can be scored and looked at, brought to one form: a run, a point with weights, or an exported model."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from segsearch.artefacts.formats import ONNX
from segsearch.artefacts.load import batched, load_model
from segsearch.artefacts.point import UNKNOWN_CLASSES, classes_of
from segsearch.artefacts.trained import TRAINED, weights_of
from segsearch.data.config import DataSpec, FittedData
from segsearch.data.dataset import Dataset
from segsearch.data.normalise import MEAN, STD
from segsearch.data.open import open_data
from segsearch.deployment.deploy import network_masks
from segsearch.deployment.parity import Masks
from segsearch.deployment.predict import Model
from segsearch.errors import InputError, unknown
from segsearch.models.network import Network, build
from segsearch.named import read_point
from segsearch.progress import Report, silent
from segsearch.run.data import read_data
from segsearch.run.folder import BEST, RunFile, read_run
from segsearch.space.lower import lower
from segsearch.spec.network import check_size
from segsearch.study_files import CHECKPOINT, RESULT, RUN, WEIGHTS, split_trial
from segsearch.training.evaluate import DEPLOYED, Counted, Evaluation, evaluate, evaluate_masks
from segsearch.training.scores import Scores
from segsearch.training.weights import load_weights

MODELS = (".onnx", ".xml", ".pt2")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Something that segments images: a network with its weights, or an exported model.

    Attributes:
        written: how the user named it, for messages.
        segmenter: which of the two it is.
        names: of the classes, by index, where it knows them.
        run: what it was trained for, if it is a run.
    """

    written: str
    segmenter: Network | Model
    names: tuple[str, ...] | None = None
    run: RunFile | None = None

    @property
    def classes(self) -> int:
        """How many it tells apart."""
        return self.segmenter.classes if isinstance(self.segmenter, Network) else len(self.segmenter.classes)

    def masks(self) -> Masks:
        """Return what segments an image, uint8 (H, W, 3), into class indices, uint8 (H, W): of a network, a copy."""
        return (
            network_masks(self.segmenter, MEAN, STD) if isinstance(self.segmenter, Network) else self.segmenter.predict
        )

    def score(
        self,
        dataset: Dataset,
        settings: Evaluation = DEPLOYED,
        *,
        device: str = "cpu",
        report: Report = silent,
        counted: Counted | None = None,
    ) -> Scores:
        """Score it: a network by its logits on ``device``, a model, on the processor, by its masks.

        ``counted`` is told the pixels of each image.

        Raises: as `segsearch.training.evaluate.evaluate`, and InputError for other ``settings`` with a model.
        """
        if isinstance(self.segmenter, Network):
            return evaluate(self.segmenter, dataset, settings, device=device, report=report, counted=counted)
        if settings != DEPLOYED:
            raise InputError(
                self.written, "is a model, which gives no logits to average over windows, scales and mirrored images"
            )
        return evaluate_masks(batched(self.masks()), dataset, report=report, counted=counted)


def load_subject(
    written: str,
    weights: Path | None = None,
    *,
    best: bool = False,
    note: Callable[[str], None] = lambda line: None,
) -> Subject:
    """Load a run's folder, with the ``best`` weights or the last ones; an export; or a POINT with its weights.

    A POINT's ``weights`` are those that `segsearch.artefacts.trained.weights_of` names; a study's trial has its own.
    ``note`` is told in a sentence where such weights were trained in another network.

    Raises:
        InputError: it is none of these, is not trained yet, or the weights are of another network.
        MissingExtraError: a library for a model is not installed.
    """
    path = Path(written)
    is_run, is_model = (path / RUN).is_file(), path.suffix in MODELS or (path / ONNX).is_file()
    if weights is not None and (is_run or is_model):
        raise InputError("--weights", f"is only for a point, and {written} has its own")
    if best and not is_run:
        raise InputError("--best", f"is only for a run's folder, and {written} is none")
    if is_run:
        run, file = read_run(path), BEST if best else WEIGHTS
        if not (path / file).exists():
            if (path / RESULT).is_file() and not (path / CHECKPOINT).is_file():
                raise InputError(path, f"has no {file}, nor a checkpoint to make it from", "another training")
            older = ", unless it is finished and older than this file" if best else ""
            raise InputError(path, f"has no {file}: the command that began it goes on with it{older}")
        network = build(run.spec, len(run.classes))
        load_weights(network, path / file)
        return Subject(written=written, segmenter=network.eval(), names=run.classes, run=run)
    if is_model:
        model = load_model(path)
        told = any(
            name != f"class {index}" for index, name in enumerate(model.classes)
        )  # an export of a point has none
        return Subject(written=written, segmenter=model, names=model.classes if told else None)
    if path.is_dir():
        raise InputError(written, "holds neither a run nor an exported model")
    spec = lower(read_point(written)[1])
    if weights is None and split_trial(written) is None:
        raise InputError("--weights", "is needed for a point", TRAINED)
    path = weights_of(written if weights is None else str(weights), "--weights")
    network = build(spec, classes_of(path) or UNKNOWN_CLASSES)
    facts = load_weights(network, path, note)
    return Subject(written=written, segmenter=network.eval(), names=facts.classes or None)


def images_for(
    subject: Subject, data: str | DataSpec | None, *, root: str | None, size_hw: tuple[int, int] | None, split: str
) -> tuple[Dataset, tuple[int, int]]:
    """Open the split that a subject is to be seen on, and tell the size of the images.

    Args:
        subject: a model is given images of its one size, a run those of its training, unless the next three say else.
        data: as `read_data` reads it; default: a run's own.
        root: see `read_data`.
        size_hw: see `read_data`.
        split: ``train``, ``val`` or ``report``.

    Raises:
        InputError: no data, no such split, a size that cannot be, or other classes.
    """
    own = None if subject.run is None else subject.run.data
    source = own if data is None else data
    if source is None:
        raise InputError("--data", f"is needed for {subject.written}", "camvid --root DIR, a YAML file, or a folder")
    if isinstance(subject.segmenter, Network):
        config = read_data(source, root=root, size_hw=size_hw or (None if own is None else own.size))
        check_size(subject.segmenter.spec, config.size, "--size")
    else:
        if size_hw not in (None, subject.segmenter.size_hw):
            raise InputError(
                "--size", "cannot be chosen for an exported model", "{}x{}".format(*subject.segmenter.size_hw)
            )
        config = read_data(source, root=root, size_hw=subject.segmenter.size_hw)
        if isinstance(config, FittedData):
            config = config.model_copy(update={"fit": subject.segmenter.notes.get("fit", "stretch")})
    splits = dict(open_data(config).parts())
    if split not in splits:
        raise unknown("--split", split, splits)
    _check_classes(subject, splits[split])
    return splits[split], config.size


def _check_classes(subject: Subject, dataset: Dataset) -> None:
    """Raise InputError where a class index means something else to the subject than in the data."""
    if subject.classes != len(dataset.classes):
        problem = f"has {subject.classes} classes, and {dataset.name} has {len(dataset.classes)}"
        raise InputError(subject.written, problem, "data with the classes that it was trained on")
    for index, (ours, theirs) in enumerate(zip(subject.names or dataset.classes, dataset.classes, strict=True)):
        if ours != theirs:
            raise InputError(subject.written, f"calls class {index} {ours!r}, and {dataset.name} calls it {theirs!r}")
