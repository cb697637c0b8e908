"""The first study of a folder: its data described, a budget measured, and both written as files to be changed."""

import json
import os
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segsearch.data.config import DataSpec, FileData
from segsearch.data.doubts import differing_shapes, doubts, label_doubts
from segsearch.data.filedataset import FileDataset, keep_out
from segsearch.data.open import open_data
from segsearch.data.pairs import Pairing, refuse_inside
from segsearch.data.recognise import Found, Recognised, recognise
from segsearch.data.sequences import SHARE, divide
from segsearch.data.unnamed import Classes, Look, classes_of, image_sizes, look
from segsearch.errors import InputError
from segsearch.files import check_folder, write_atomic
from segsearch.measure.conditions import Conditions
from segsearch.progress import Report, silent
from segsearch.study.draft_speed import Speed, choose_speed, typical

TRIALS, BATCH = 24, 8
_GENERAL = {"images", "image", "imgs", "img", "data", "dataset", "train", "training", "jpegimages", "frames"}
"""Names of folders that tell nothing: the one above gives the name."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What was found, and the files that it leads to.

    Attributes:
        layout: what was recognised, in words.
        images: per split: how many.
        seen: what labels hold, and classes: what it would mean; None for published data, whose classes are known.
        warnings, notes: what to know, a sentence each.
        speed: size and budget.
        texts: content of each file to be written.
        data, study: the files, or folder, that the next commands name.
    """

    layout: str
    images: dict[str, int]
    seen: Look | None
    classes: Classes | None
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    speed: Speed
    texts: dict[Path, str]
    data: Path
    study: Path

    @property
    def commands(self) -> tuple[str, ...]:
        """What to run next."""
        search = shlex.join(["segsearch", "search", str(self.study)])
        return shlex.join(["segsearch", "data", "check", str(self.data)]), f"{search} --dry-run", search

    def write(self) -> None:
        """Write the files. Raises InputError where one cannot be written."""
        for path, text in self.texts.items():
            write_atomic(path, text)


def draft(
    images: Path,
    labels: Path | None,
    out: Path,
    under: Conditions,
    *,
    fps: float | None = None,
    measured: bool = True,
    force: bool = False,
    report: Report = silent,
) -> Draft:
    """Look at a folder and draft what a study of it needs.

    Args:
        images: the folder of images, or of images and labels.
        labels: the folder of labels; default: found inside the other.
        out: the folder for the files.
        under: device and backend to measure on, and to search for.
        fps: the budget; default: measured.
        measured: whether to measure.
        force: whether files of earlier drafts may be replaced.
        report: told of every label and network.

    Raises:
        InputError: nothing that could be learnt from, or a file that is there. And as `choose_speed`.
    """
    check_folder(out)
    found, name = recognise(images, labels), _name(images)
    study = out / f"{name}_study.yaml"
    if found.published is not None:
        return _of_published(found, found.published, study, images, under, fps, measured, force, report)
    data = out / f"{name}.yaml"
    learnt, held, lists, divided = _divided(found)
    names = {out / f"{name}_{split}.txt": keys for split, keys in lists.items()}
    _refuse_replacing([data, study, *names], force)
    parts = [found.parts[split].pairing for split in found.parts]
    refuse_inside(out, [folder for part in parts for folder in part.searched])
    seen = look([pair for part in parts for pair in part.pairs], report)
    sources = dict.fromkeys([(labels or images), images, images.absolute().parent])
    classes = classes_of(seen, sources, labels or images)
    speed = choose_speed(typical(seen.sizes), len(classes.values), under, fps=fps, measured=measured, report=report)
    config = {"name": "folder", "root": data.name, "size": list(speed.size_hw)}
    texts = {path: "".join(f"{key}\n" for key in keys) for path, keys in names.items()}
    texts[data] = _data_text(found, seen, classes, {path.stem.rpartition("_")[2]: path.name for path in names}, out)
    texts[study] = _study_text(config | _fit(seen.sizes), speed, under, learnt, images)
    return Draft(
        layout=found.layout,
        images={"train": learnt, "val": held},
        seen=seen,
        classes=classes,
        warnings=(*doubts(parts, seen.sizes), *label_doubts(seen, classes)),
        notes=(*found.notes, *([divided] if divided else [])),
        speed=speed,
        texts=texts,
        data=data,
        study=study,
    )


def _of_published(
    found: Recognised,
    config: DataSpec,
    study: Path,
    images: Path,
    under: Conditions,
    fps: float | None,
    measured: bool,
    force: bool,
    report: Report,
) -> Draft:
    """Draft a study of a published data set, which needs no description."""
    _refuse_replacing([study], force)
    splits = open_data(config, check=False)
    keep_out(study.parent, (data for _, data in splits.parts()))
    files = [dataset for _, dataset in splits.parts() if isinstance(dataset, FileDataset)]
    sizes = image_sizes([pair for dataset in files for pair in dataset.pairs])
    speed = choose_speed(typical(sizes), len(splits.train.classes), under, fps=fps, measured=measured, report=report)
    assert isinstance(config, FileData)
    plain = {"name": config.name, "root": config.root, "size": list(speed.size_hw)}
    pairings = [Pairing(pairs=dataset.pairs, problems=dataset.problems) for dataset in files]
    return Draft(
        layout=found.layout,
        images={part: len(dataset) for part, dataset in splits.parts()},
        seen=None,
        classes=None,
        warnings=tuple(line for line in doubts(pairings, sizes) if "`fit: pad`" not in line or config.fit != "pad"),
        notes=found.notes,
        speed=speed,
        texts={study: _study_text(plain, speed, under, len(splits.train), images)},
        data=study,
        study=study,
    )


def _name(images: Path) -> str:
    """Name the files after the folder, or the one above where that says nothing."""
    path = images.resolve()
    written = path.parent.name if path.name.lower() in _GENERAL else path.name
    return re.sub(r"[^\w.-]+", "_", written).strip("._-") or "data"


def _refuse_replacing(paths: Sequence[Path], force: bool) -> None:
    there = next((path for path in paths if os.path.lexists(path)), None)
    if there is not None and not force:
        raise InputError(there, "is there already", "--force replaces it, --out DIR writes elsewhere")


def _divided(found: Recognised) -> tuple[int, int, dict[str, list[str]], str]:
    """Count what is learnt and what validates; give the lists that have to be written, and how it was divided."""
    train, val = found.parts["train"].pairing, found.parts.get("val")
    lists = {
        split: [pair.key for pair in part.pairing.pairs] for split, part in found.parts.items() if part.pairing.problems
    }
    if val is not None:
        return len(train.pairs), len(val.pairing.pairs), lists, "its own train and val are kept"
    keys = [pair.key for pair in train.pairs]
    if (division := divide(keys)) is not None:
        learnt, held, words = division
        return len(learnt), len(held), {"train": learnt, "val": held}, words
    rest, part = train.divided(SHARE, 0)
    words = f"{100 * SHARE:.0f} % of the images validate, drawn at random; frames of one video need lists instead"
    return len(rest.pairs), len(part.pairs), lists, words


def _fit(sizes: Counter[tuple[int, int]]) -> dict[str, object]:
    return {"fit": "pad"} if differing_shapes(sizes) else {}


def _data_text(found: Recognised, seen: Look, classes: Classes, lists: Mapping[str, str], out: Path) -> str:
    """Describe the data: `segsearch.data.folder` says what the keys mean."""
    coloured = seen.encoding == "colours"
    unnamed = classes.names[0] == "class_0"
    head = "# Images and labels, as `segsearch init` found them."
    lines = [head, "classes:" + ("    # the labels do not tell their names: write them here" if unnamed else "")]
    for name, value in zip(classes.names, classes.values, strict=True):
        shown = f"{'colour' if coloured else 'id'} {value}, {100 * seen.share(value):.3g} % of the pixels looked at"
        lines.append(f"  - {json.dumps(name, ensure_ascii=False)}    # {shown}")
    if coloured:
        lines += ["encoding: colours", f"colours: {json.dumps(classes.values)}"]
        lines.append("ignore_colours: []    # move colours that stand for no class from the two lists to this one")
    elif classes.values != tuple(range(len(classes.values))):
        lines.append(f"ids: {json.dumps(classes.values)}")
    if classes.ignore:
        lines.append(f"ignore: {json.dumps(classes.ignore)}")
    train, val = found.parts["train"], found.parts.get("val")
    lines.append(f"train: {_part(train, lists.get('train'), out)}")
    if val is None and "val" not in lists:
        lines.append(f"val: {{fraction: {SHARE}, seed: 0}}")
    else:
        lines.append(f"val: {_part(val or train, lists.get('val'), out)}")
    return "\n".join(lines) + "\n"


def _part(part: Found, written: str | None, out: Path) -> str:
    """Write where a split lies; paths below the folder of the files are relative to it."""
    places = {"images": _from(out, part.images), "labels": _from(out, part.labels)}
    listed = written or (_from(out, part.listed) if part.listed else None)
    return _flow(places | ({"list": listed} if listed else {}))


def _flow(mapping: Mapping[str, object]) -> str:
    """Write a mapping in one line of YAML; JSON's values are YAML's."""
    return f"{{{', '.join(f'{key}: {json.dumps(value, ensure_ascii=False)}' for key, value in mapping.items())}}}"


def _from(out: Path, path: Path) -> str:
    whole, base = os.path.abspath(path), os.path.abspath(out)
    return os.path.relpath(whole, base) if Path(whole).is_relative_to(base) else whole


def _study_text(data: Mapping[str, object], speed: Speed, under: Conditions, learnt: int, images: Path) -> str:
    batch = max(2, min(BATCH, learnt))
    recipe = "search_short" if batch == BATCH else f"{{name: search_short, batch_size: {batch}}}"
    budget = f"budget: {{fps: {speed.fps:g}}}    # {speed.how}" if speed.fps else "# budget: {fps: 30}"
    lines = [
        f"# A first study of {images.name or images}. `segsearch schema study` tells all keys.",
        "space: realtime",
        f"data: {_flow(data)}",
        f"# size: {speed.why}",
        budget,
        f"device: {under.device}",
        f"backend: {under.backend}",
        f"recipe: {recipe}",
        f"trials: {TRIALS}",
    ]
    return "\n".join(lines) + "\n"
