"""Two studies of one kind as one: the trials of both in a new folder, which a search can go on with."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from segsearch.errors import InputError
from segsearch.files import make_folder, write_atomic
from segsearch.frozen import differing
from segsearch.study.identity import StudyFile, decisions, short_json
from segsearch.study.record import TrialRecord
from segsearch.study.store import CONFIRMED, StudyFolder
from segsearch.study_files import ERROR, LATENCY, PROPOSAL, RESULT, STUDY, WEIGHTS

COPIED = (LATENCY, WEIGHTS, ERROR, CONFIRMED)


@dataclass(frozen=True, kw_only=True)
class Merged:
    """What became of the trials of two studies."""

    folder: Path
    trials: int
    twice: int
    """Networks that both had: of each the trained trial is kept, or else the first."""


def merge(left: Path, right: Path, out: Path) -> Merged:
    """Copy the finished trials of two studies into one new study, numbered anew: those of ``left``, then of ``right``.

    It is ``left``'s study with the trials that both wanted. Trials that have not ended, final trainings and pictures
    stay where they are. The folder appears whole, or not at all.

    Raises:
        InputError: one is no study, they are one and the same, they do not compare, or ``out`` is there or cannot be
            written.
    """
    stores = StudyFolder(left), StudyFolder(right)
    files = stores[0].read_study(), stores[1].read_study()
    if left.resolve() == right.resolve():
        raise InputError(right, "is the same study", "two studies")
    check_alike(files[0], files[1], left, right)
    if out.exists():
        raise InputError(out, "is there already", "a folder that does not exist yet (--out DIR)")
    kept = _kept(stores[0].records(), stores[1].records())
    temporary = out.with_name(f".{out.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        make_folder(temporary)
        new = StudyFolder(temporary)
        for number, (side, record) in enumerate(kept, 1):
            _copy(stores[side].trial(record.number), new.trial(number), record.model_copy(update={"number": number}))
        wanted = [file.config.trials for file in files if file.config.trials is not None]
        config = files[0].config.model_copy(update={"name": out.name, "trials": sum(wanted) or None})
        write_atomic(temporary / STUDY, files[0].model_copy(update={"config": config}).lines())
        temporary.replace(out)
    except OSError as error:
        raise InputError(out, f"cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    total = len(stores[0].records()) + len(stores[1].records())
    return Merged(folder=out, trials=len(kept), twice=total - len(kept))


def check_alike(one: StudyFile, other: StudyFile, left: Path, right: Path) -> None:
    """Raise InputError, which names what differs, where trials of one study do not compare with those of the other."""
    had, has = (decisions(file) | {"content": file.content} for file in (one, other))
    if one.content is None or other.content is None:  # older than this field
        had["content"] = has["content"] = None
    for key, (ours, theirs) in differing(had, has).items():
        problem = f"does not compare with {left}: {key} is {short_json(theirs)}, not {short_json(ours)}"
        raise InputError(right, problem, "studies that differ in budget, trials, points, sampler or seed alone")


def _kept(left: list[TrialRecord], right: list[TrialRecord]) -> list[tuple[int, TrialRecord]]:
    """Choose one trial of each network, with the side that it is from: the first, or the first that is trained."""
    chosen: dict[str, tuple[int, TrialRecord]] = {}
    for side, records in enumerate((left, right)):
        for record in records:
            before = chosen.get(record.spec_id)
            if before is None or (record.trained and not before[1].trained):
                chosen[record.spec_id] = (side, record)
    return sorted(chosen.values(), key=lambda pair: (pair[0], pair[1].number))


def _copy(source: Path, target: Path, record: TrialRecord) -> None:
    make_folder(target)
    for name in COPIED:
        if (source / name).exists():
            shutil.copy2(source / name, target / name)
    write_atomic(target / PROPOSAL, record.proposal.lines())
    write_atomic(target / RESULT, record.lines())
