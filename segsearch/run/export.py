"""A run as artefacts: proven and scored on its own validation images."""

from collections.abc import Sequence
from pathlib import Path

from segsearch.artefacts.formats import chosen
from segsearch.artefacts.load import batched
from segsearch.artefacts.make import Label
from segsearch.artefacts.point import export_network, told_of
from segsearch.artefacts.scenes import CALIBRATION_IMAGES, Scenes, images_of
from segsearch.data.dataset import fingerprint
from segsearch.data.filedataset import keep_out
from segsearch.data.open import open_data
from segsearch.deployment.artefact import check_fps
from segsearch.deployment.card import Card
from segsearch.deployment.parity import Masks
from segsearch.describe import Description
from segsearch.errors import InputError
from segsearch.frozen import differing
from segsearch.models.network import Network
from segsearch.progress import Report, silent
from segsearch.run.data import read_data
from segsearch.run.folder import RunFile, read_result, read_run
from segsearch.run.subject import images_for, load_subject
from segsearch.study_files import WEIGHTS
from segsearch.training.evaluate import evaluate_masks


def export_run(
    folder: Path,
    *,
    out: Path,
    size_hw: tuple[int, int] | None = None,
    root: str | None = None,
    formats: Sequence[str] | None = None,
    int8: bool = False,
    fps: float | None = None,
    threads: int | None = None,
    report: Report = silent,
) -> Card:
    """Export what a run trained in every form, proven on its validation images, with a card that has its scores.

    Images have ``size_hw`` pixels, by default those of the run's data, which now lies at ``root`` if it was moved. All
    others, and what is raised: as in `segsearch.artefacts.point.export_point`; and InputError for a run that is not
    finished, or whose data cannot be opened or has changed.
    """
    check_fps(fps)
    wanted, run, result, subject = chosen(formats), read_run(folder), read_result(folder), load_subject(str(folder))
    if result is None:
        raise InputError(folder, "is not finished: the command that began it goes on with it")
    assert isinstance(subject.segmenter, Network), "a run has one"
    val, size = images_for(subject, None, root=root, size_hw=size_hw, split="val")
    learnt, _ = images_for(subject, None, root=root, size_hw=size_hw, split="train")
    keep_out(out, [val, learnt])
    notes = {"name": run.name, "spec": run.spec.id, "fit": val.fit}
    as_trained = size == run.data.size
    if as_trained:  # its scores become the file's
        _check_data(run, folder, root)
    scores = result.scores if as_trained else subject.score(val, report=report)
    reported = result.report_scores if as_trained else None

    def more(masks: Masks) -> dict[str, object]:
        return {
            "data": val.name,
            "images": scores.images,
            "miou": scores.miou,
            "standard_error": scores.standard_error,
            "iou": scores.iou,
            "report_miou": None if reported is None else reported.miou,
            "artefact_miou": evaluate_masks(batched(masks), val, report=report).miou,
            "recipe": run.recipe.id,
            "settings": run.recipe.model_dump(mode="json"),
            "seed": run.seed,
        }

    return export_network(
        subject.segmenter,
        Description(name=run.name, point=run.point, size_hw=size, classes=len(run.classes), named=None),
        Scenes(
            said="validation images",
            proof=lambda: images_of(val),
            calibration=lambda: images_of(learnt, CALIBRATION_IMAGES),
        ),
        out=out,
        label=Label(classes=run.classes, colours=val.colours, notes=notes),
        weights=f"of a training by {run.recipe_name}: {told_of(folder / WEIGHTS)}",
        formats=wanted,
        int8=int8,
        fps=fps,
        threads=threads,
        report=report,
        more=more,
    )


def _check_data(run: RunFile, folder: Path, root: str | None) -> None:
    """Raise InputError where the data is no longer what the run was trained and scored on."""
    splits = open_data(read_data(run.data, root=root), check=False)
    for part, (had, has) in differing(run.content, fingerprint(splits)).items():
        problem = f"{run.data.title} holds {part} {has}, and held {had} when this run was trained and scored"
        raise InputError(folder, problem, "the data as it was, by --root, or a new run")
