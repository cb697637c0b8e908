"""What makes two runs one study: space, recipe, content of the data, and how latency is measured.

Not paths, as data may be moved, nor the way a file spells things. What only steers the proposals is free, too.
"""

import json
from pathlib import Path

from segsearch.download import sha256
from segsearch.errors import InputError
from segsearch.frozen import Frozen, differing, flat
from segsearch.study.config import StudyConfig
from segsearch.training.recipe import PATHS, Recipe


class StudyFile(Frozen):
    """A study as it was last started: ``study.json``."""

    segsearch: str
    config: StudyConfig
    space_id: str
    """Of the narrowed space."""
    device: str
    """The device by its maker's name: latencies of two devices do not belong on one front."""
    threads: int
    content: dict[str, str] | None = None
    """What the files hold that the config names: `segsearch.data.dataset`, and the weights to begin with.

    None in studies older than this field, until they are started again.
    """


def given_weights(recipe: Recipe, teacher: str | None) -> dict[str, str]:
    """Describe the files of weights that a recipe names: to begin with, and a teacher's, whose sha256 is given."""
    found = {} if teacher is None else {"teacher": f"sha256 {teacher[:16]}"}
    if recipe.pretrained is None or recipe.pretrained == "imagenet":
        return found
    return found | {"pretrained": f"sha256 {sha256(Path(recipe.pretrained))[:16]}"}


def check_same(before: StudyFile, now: StudyFile, folder: Path) -> None:
    """Raise InputError, which names what differs, where results of the two would not compare."""
    for key, (had, has) in differing(decisions(before), decisions(now)).items():
        # as many as there are processors where the file does not say it: then nobody has changed the study
        cure = f"write threads: {had} into its file" if key == "threads" else "leave the study as it was"
        raise _refusal(folder, f"{key} {short_json(had)}, not {short_json(has)}", cure)
    if before.content is not None and now.content is not None:
        _check_content(before.content, now.content, folder)


def _check_content(before: dict[str, str], now: dict[str, str], folder: Path) -> None:
    """Raise InputError with all differences, as one of them is often why there is another."""
    changed = differing(before, now).items()
    if told := "; ".join(f"{key} was {had or 'nothing'}, is {has or 'nothing'}" for key, (had, has) in changed):
        raise _refusal(folder, f"other data ({told})", "put the data back as it was")


def _refusal(folder: Path, problem: str, cure: str) -> InputError:
    return InputError(folder, f"holds a study with {problem}; choose another folder (--out DIR) or {cure}")


def decisions(study: StudyFile) -> dict[str, object]:
    """All that must stay as it was, flat: ``recipe.iterations`` and its like."""
    config = study.config
    return {
        "space": study.space_id,
        **flat({"data": config.data.model_dump(mode="json", exclude={"root"})}),
        **flat({"recipe": config.recipe.model_dump(mode="json") | {key: _kind(config.recipe, key) for key in PATHS}}),
        "backend": config.backend,
        **({"precision": config.precision} if config.precision else {}),
        "device": study.device,
        "threads": study.threads,
        **flat({"timer": config.timer.model_dump(mode="json")}),
    }


def _kind(recipe: Recipe, key: str) -> str | None:
    """Leave out the path of a file: its content is compared instead."""
    written: str | None = getattr(recipe, key)
    return written if written in (None, "imagenet") else "a file"


def short_json(value: object) -> str:
    """Write a value in at most 80 letters."""
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= 80 else text[:77] + "..."
