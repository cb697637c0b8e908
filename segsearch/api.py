"""What a script needs, each in one call.

Sizes are height and width in pixels, ``(512, 1024)`` or ``"512x1024"``. A POINT is a name of `list_models`, a YAML or
JSON file of choices, an exported model's folder, or a study's trial, ``"runs/my_study#12"``. Data is a known set
(``"streets"``, or ``"camvid"`` with ``root``), a YAML file or folder of one, or what `own_data` returned. A value that
cannot be raises `InputError`, with one line that says where, what is wrong, and what is allowed.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from operator import index
from pathlib import Path
from typing import Annotated, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, SkipValidation
from torch import Tensor, nn

from segsearch.artefacts.load import load_model as load_artefact
from segsearch.artefacts.point import MOST_CLASSES, classes_of, export_point
from segsearch.artefacts.trained import weights_of
from segsearch.calls import Whole, arguments_checked
from segsearch.count.cost import Cost, count
from segsearch.data.config import DataSpec
from segsearch.data.normalise import MEAN, STD, to_tensor
from segsearch.data.own import own_data as own_data
from segsearch.deployment.card import Card
from segsearch.deployment.deploy import Deployed
from segsearch.deployment.deploy import deploy as deployed
from segsearch.deployment.predict import Model
from segsearch.engine.ask import open_study as open_study
from segsearch.engine.driver import run_study
from segsearch.engine.own_training import Objective
from segsearch.errors import InputError
from segsearch.frozen import height_by_width
from segsearch.measure.conditions import Conditions
from segsearch.measure.record import LatencyRecord
from segsearch.models.network import Network, build
from segsearch.models.pretrained import IMAGENET, start_from
from segsearch.named import kind_of, read_point, trial_of
from segsearch.progress import say
from segsearch.report.console import bar
from segsearch.report.progress import study_progress
from segsearch.run.ask import MOST_SEED, ask
from segsearch.run.export import export_run
from segsearch.run.subject import Subject, images_for, load_subject
from segsearch.run.train import Run, train_run
from segsearch.space.lower import lower
from segsearch.space.points import named_points
from segsearch.spec.network import check_size
from segsearch.study.config import StudyConfig, load_study
from segsearch.study.outcome import StudyOutcome
from segsearch.study_files import RUN, split_trial
from segsearch.timing import NetworkSubject, latency_of
from segsearch.training.evaluate import Evaluation as Evaluation
from segsearch.training.scores import Scores
from segsearch.training.weights import load_weights, start_with
from segsearch.training.weights import save_weights as save_weights
from segsearch.trial import fresh_network
from segsearch.winner.export import export_winner

PointName = str | Path
AnyModel = Annotated[Network | str | Path, SkipValidation]
"""Read by `_network`."""
Size = Annotated[tuple[int, int] | str, SkipValidation]
"""Read by `_size`, as NumPy's whole numbers and lists are sizes, too."""
Classes = Annotated[Whole, Field(ge=2, le=MOST_CLASSES)]
Count = Annotated[Whole, Field(ge=1)]
Seed = Annotated[Whole, Field(ge=0, le=MOST_SEED)]

CITYSCAPES_CLASSES = 19


@arguments_checked
def list_models(pattern: str = "*") -> list[str]:
    """Return the names of the published networks that match a shell pattern: ``list_models("sgcp*")``."""
    return [name for name in named_points() if fnmatchcase(name, pattern)]


@arguments_checked
def create_model(
    point: PointName,
    classes: Classes = CITYSCAPES_CLASSES,
    *,
    pretrained: str | Path | None = None,
    seed: Seed = 0,
) -> Network:
    """Build a network, in train mode: a `torch.nn.Module` from images to logits.

    Args:
        point: a POINT.
        classes: K, of the logits. The network takes images (B, 3, H, W) as `normalise` gives them, and returns logits
            (B, K, H, W).
        pretrained: ``"imagenet"`` for published weights of the encoder; or the weights of a training: a run's folder, a
            study's trial, or a ``.safetensors`` file, of whose classifiers none is taken where it has other classes.
        seed: of the fresh weights.

    Raises:
        InputError: no such point, no ImageNet weights for its encoder, or weights of another network.
        MissingExtraError: the package with the weights is not installed.
    """
    spec = lower(read_point(str(point))[1])
    network = fresh_network(spec, classes, "none", seed)
    if pretrained == IMAGENET:
        if start_from(network.encoder, IMAGENET) is None:
            raise InputError("pretrained", f"no ImageNet weights are published for the encoder of {point}")
    elif pretrained is not None:
        path = weights_of(str(pretrained), "pretrained")
        if classes_of(path) == classes:
            load_weights(network, path, say)
        else:
            for line in start_with(network, path, (), reset_head=True):
                say(line)
    return network


@arguments_checked
def load_model(path: str | Path) -> Network | Model:
    """Load what was trained or exported, ready to segment.

    Args:
        path: a run's folder, or a study's trial, whose network comes with its weights, in eval mode; or the folder or
            file of an exported model, whose ``predict`` turns an image, uint8 (H, W, 3), into a mask, uint8 (H, W).

    Raises:
        InputError: none of these, or not trained yet. MissingExtraError: a library for the model is not installed.
    """
    written = str(path)
    if (Path(path) / RUN).is_file():
        return cast(Network, load_subject(written).segmenter)
    if split_trial(written) is not None:
        return cast(Network, load_subject(written, note=say).segmenter)
    return load_artefact(Path(path))


def normalise(images: Tensor | NDArray[np.uint8]) -> Tensor:
    """Turn images, uint8 (B, H, W, 3) RGB, into what networks take: float32 (B, 3, H, W), by ImageNet's statistics.

    Raises: InputError for images of another form, such as floats from 0 to 1.
    """
    form = (str(getattr(images, "dtype", type(images).__name__)).removeprefix("torch."), *getattr(images, "shape", ()))
    if len(form) != 5 or form[0] != "uint8" or form[-1] != 3:
        raise InputError("images", f"are {form[0]} {tuple(form[1:])}", "bytes (B, H, W, 3), 0 to 255, as uint8")
    return to_tensor(images)


@arguments_checked
def cost(model: AnyModel, size: Size = (1024, 2048)) -> Cost:
    """Count parameters and multiply-adds at a size, in total (``.params``, ``.macs``) and per part (``.parts``).

    Raises: InputError for a POINT or size that cannot be, or a size too small for the network.
    """
    network, size_hw = _network(model), _size(size)
    check_size(network.spec, size_hw)
    return count(network, size_hw)


@arguments_checked
def latency(
    model: AnyModel,
    size: Size = (512, 1024),
    *,
    backend: str = "eager",
    device: str = "cpu",
    precision: str | None = None,
    threads: Count | None = None,
    processes: Count | None = None,
) -> LatencyRecord:
    """Time one image after another through the deployed network: ``.median_ms``, its spread, and whether it is steady.

    Args:
        model: a network, or a POINT.
        size: of the image.
        backend: software that runs it: eager, onnxruntime, openvino, cudagraph, tensorrt and others.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        precision: one that the backend knows; default: float32.
        threads: of the processor; default: torch's number.
        processes: new processes to time it in, one after another; default: this process.

    Raises: as `segsearch.timing.latency_of`.
    """
    network, size_hw = _network(model), _size(size)
    check_size(network.spec, size_hw)
    under = Conditions(device=device, backend=backend, precision=precision, threads=threads)
    subject = NetworkSubject(spec=network.spec, classes=network.classes, size_hw=size_hw, network=network)
    return latency_of(subject, under, processes=processes)


@arguments_checked
def deploy(model: AnyModel, size: Size, *, logits: bool = False) -> Deployed:
    """Make the module that is shipped: BatchNorm folded, normalisation and argmax inside, one fixed size.

    Args:
        model: a network, which is not touched, or a POINT.
        size: of the image that it takes, uint8 (1, 3, H, W).
        logits: give logits (1, K, H, W) in place of the mask, uint8 (1, H, W).

    Raises: InputError for a size that is too small for the network.
    """
    network, size_hw = _network(model), _size(size)
    check_size(network.spec, size_hw)
    return deployed(network, size_hw, MEAN, STD, logits=logits)


@arguments_checked
def train(
    point: PointName,
    data: str | Path | DataSpec,
    recipe: str | Path | None = None,
    *,
    root: str | Path | None = None,
    size: Size | None = None,
    epochs: Count | None = None,
    seed: Seed = 0,
    device: str = "cpu",
    out: str | Path | None = None,
    split: str | None = None,
    weights: str | Path | None = None,
    reset_head: bool = False,
    teacher: str | Path | None = None,
    compiled: bool = False,
    tensorboard: bool = False,
) -> Run:
    """Train a network, as ``segsearch train`` does, and score it; the same call goes on with what was stopped.

    Args:
        point: a POINT.
        data: see the head of this module.
        recipe: a shipped name or a file; default: its paper's for this data, else ``strong``.
        root: where the data lies, in place of what its file says.
        size: that images are brought to; default: the data's own.
        epochs: in place of the recipe's.
        seed: of weights, batches and augmentation.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        out: the run's folder; default: a name in ``runs`` that says point, data, size, recipe and seed.
        split: which images are learnt and which validate, of CamVid: ``official`` (default), ``holdout``, ``trainval``.
        weights: of an earlier training to begin with: a run's folder, a study's trial, or a file.
        reset_head: let the classifiers begin anew, as data with other classes needs it.
        teacher: a run's folder or a study's trial whose outputs are learnt, too; in place of the recipe's.
        compiled: run the steps through torch.compile.
        tensorboard: write event files in the run's folder, too.

    Returns:
        The folder, what was asked for, and the scores: ``run.result.scores.miou``.

    Raises: InputError for a point, data or recipe that cannot be. DeviceError: the device is not there. DivergedError:
        loss, weights or outputs became NaN or infinite.
    """
    size_hw = None if size is None else _size(size)
    training = ask(
        str(point),
        _data(data),
        root=_written(root),
        recipe=_written(recipe),
        seed=seed,
        device=device,
        size_hw=size_hw,
        epochs=epochs,
        split=split,
        weights=_written(weights),
        reset_head=reset_head,
        teacher=_written(teacher),
    )
    folder = Path(out) if out is not None else Path("runs") / training.folder_name
    with bar("train") as report:
        return train_run(training, folder, compiled=compiled, tensorboard=tensorboard, report=report)


@arguments_checked
def evaluate(
    model: Network | str | Path,
    data: str | Path | DataSpec | None = None,
    *,
    weights: str | Path | None = None,
    split: str = "val",
    root: str | Path | None = None,
    size: Size | None = None,
    settings: Evaluation | None = None,
    device: str = "cpu",
) -> Scores:
    """Score what was trained or exported, at the labels' own size: ``.miou``, ``.iou`` per class, ``.confusion``.

    Args:
        model: a network, a run's folder, a study's trial, an exported model, or a POINT with ``weights``.
        data: default: a run's own.
        weights: of a POINT: those of a run, of a study's trial, or a file.
        split: ``train``, ``val`` or ``report``.
        root: where the data lies.
        size: that images are brought to; default: a run's, or the data's own.
        settings: sliding windows, scales, mirrored images; default: as it is deployed.
        device: where a network computes, and is left.

    Raises: InputError for a model, data or size that cannot be, or data with other classes.
    """
    if isinstance(model, Network):
        if weights is not None:
            raise InputError("weights", "are only for a point, and a network has its own")
        subject = Subject(written="the network", segmenter=model)
    else:
        subject = load_subject(str(model), None if weights is None else Path(weights), note=say)
    size_hw = None if size is None else _size(size)
    given = None if data is None else _data(data)
    dataset, _ = images_for(subject, given, root=_written(root), size_hw=size_hw, split=split)
    with bar("evaluate") as report:
        return subject.score(dataset, settings or Evaluation(), device=device, report=report)


@arguments_checked
def search(
    study: str | Path | StudyConfig | Mapping[str, object],
    out: str | Path | None = None,
    *,
    objective: Objective | None = None,
) -> StudyOutcome:
    """Run a study, as ``segsearch search`` does, or go on with it: ``.records`` has all trials.

    Args:
        study: a study's file, the name of a shipped one, a config, or a dict of what its file would say.
        out: the study's folder; default: its name in ``runs``.
        objective: your own training in place of the study's recipe. It is called with a network, to be trained in
            place, and its trial (``.latency``, ``.point``, ``.folder``), which is within the budget; it returns the
            mIoU, 0 to 1. It may take any time, unless the study names ``step_seconds``: then two calls of
            ``trial.report`` may not be further apart.

    Raises: InputError for a study that cannot be. BudgetError: no network met the budget.
    """
    config = load_study(study)
    folder = Path(out) if out is not None else Path("runs") / config.name
    return run_study(config, folder, progress=study_progress(), objective=objective)


@arguments_checked
def export(
    what: str | Path,
    out: str | Path,
    *,
    size: Size | None = None,
    weights: str | Path | None = None,
    classes: Classes | None = None,
    fps: float | None = None,
    formats: Sequence[str] | None = None,
    int8: bool = False,
    threads: Count | None = None,
) -> Card:
    """Write a study's winner, a run, or a POINT as files for other runtimes, each proven and timed.

    A network that a script has trained on its own goes by its point: ``save_weights(network, "w.safetensors")``, then
    ``export(POINT, out, size=size, weights="w.safetensors")``.

    Args:
        what: a study's folder, its trial (``STUDY#12``), a run's folder, or a POINT.
        out: its folder, whole at the end or not there at all; an earlier export in its place is replaced.
        size: of the image; a POINT needs one, a run has its own, a study's is fixed. A trial with one is a POINT.
        weights: of a POINT: those of a run, of a study's trial, or a file; default: fresh ones.
        classes: of a POINT; default: as its weights have them.
        fps: images per second that the file should reach; a study picks by it.
        formats: beside ONNX; default: all that are installed.
        int8: also a form in int8.
        threads: of the processor, for a run or POINT; default: torch's number.

    Returns:
        The model card: files, checksums, scores, latency, and what was proven.

    Raises: InputError for what cannot be exported. ProofError: a file does not do what its network does.
    """
    kind, size_hw = kind_of(str(what), sized=size is not None), None if size is None else _size(size)
    takers = {"weights": ("point",), "classes": ("point",), "size": ("point", "run"), "threads": ("point", "run")}
    given = {"weights": weights, "classes": classes, "size": size, "threads": threads}
    for name, kinds in takers.items():
        if given[name] is not None and kind not in kinds:
            raise InputError(name, f"is not for a {kind}", f"for a {' or '.join(kinds)}")
    with bar("export") as report:
        if kind == "study":
            folder, point = trial_of(str(what))
            return export_winner(folder, out=Path(out), fps=fps, formats=formats, int8=int8, point=point, report=report)
        if kind == "run":
            return export_run(
                Path(what),
                out=Path(out),
                size_hw=size_hw,
                formats=formats,
                int8=int8,
                fps=fps,
                threads=threads,
                report=report,
            )
        if size_hw is None:
            raise InputError("size", "is needed to export a point", "(height, width) in pixels, or HEIGHTxWIDTH")
        return export_point(
            str(what),
            out=Path(out),
            size_hw=size_hw,
            classes=classes,
            weights=None if weights is None else weights_of(str(weights), "weights"),
            formats=formats,
            int8=int8,
            fps=fps,
            threads=threads,
            report=report,
            note=say,
        )


def _network(model: Network | str | Path) -> Network:
    if isinstance(model, str | Path):
        return build(lower(read_point(str(model))[1]), CITYSCAPES_CLASSES)
    if not isinstance(model, Network):
        kind = "a torch module of another kind" if isinstance(model, nn.Module) else type(model).__name__
        raise InputError("model", f"is {kind}", "what create_model or load_model returned, or a name of list_models")
    return model


def _size(size: Size) -> tuple[int, int]:
    try:
        sides = height_by_width(size) if isinstance(size, str) else tuple(map(index, size))
    except TypeError:
        sides = None
    if sides is None or len(sides) != 2 or min(sides) < 1:
        raise InputError("size", f"{size!r} is not a size", "(height, width) in pixels, or HEIGHTxWIDTH")
    return sides[0], sides[1]


def _data(data: str | Path | DataSpec) -> str | DataSpec:
    return str(data) if isinstance(data, Path) else data


def _written(path: str | Path | None) -> str | None:
    return None if path is None else str(path)
