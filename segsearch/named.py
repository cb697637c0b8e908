"""What a word of a command, or a path, names: a study or its trial, a run, or a point, and the choices of that."""

from pathlib import Path
from typing import Literal

from segsearch.deployment.card import JSON_NAME, read_card
from segsearch.errors import InputError, meant
from segsearch.files import no_file
from segsearch.frozen import Frozen
from segsearch.models.timm_encoder import word_of
from segsearch.space.families.timm import expand_point
from segsearch.space.load import load_space
from segsearch.space.lower import lower
from segsearch.space.nodes import Point
from segsearch.space.points import named_points
from segsearch.space.walk import check
from segsearch.spec.network import NetworkSpec
from segsearch.study_files import RESULT, RUN, STUDY, find_trial, read_json, split_trial, trial_folders
from segsearch.yaml12 import load_json, load_yaml

Kind = Literal["study", "run", "point"]


def kind_of(written: str, *, sized: bool = False) -> Kind:
    """Tell what a word names. A trial, ``STUDY#12``, is its study's, or, with a size of its own, a point.

    Raises:
        InputError: it is none of them.
    """
    path = Path(written)
    if not written.strip():
        raise InputError("what is asked for", f"{written!r} names nothing", "a folder, a file or a named point")
    if (path / RUN).is_file():
        return "run"
    if written in named_points() and not (path / STUDY).is_file():
        return "point"
    if split_trial(written) is not None:
        return "point" if sized else "study"
    if path.is_dir():
        return "point" if (path / JSON_NAME).is_file() else "study"
    if path.is_file() or path.suffix in (".yaml", ".yml", ".json"):
        return "point"
    problem = f"is neither a study's folder nor a point{meant(written, named_points())}"
    raise InputError(written, problem, "`segsearch points` lists those with a name")


def trial_of(written: str, point: str | None = None) -> tuple[Path, str | None]:
    """Return a study's folder and the network that is asked for: by ``STUDY#TRIAL``, by ``point``, or by neither.

    A trial is told by its number, as names may be those of several networks.
    """
    trial = split_trial(written)
    if trial is None:
        return Path(written), point
    if point is not None:
        raise InputError("--point", f"names a second network beside '{written}'")
    return trial[0], str(number_of_trial(*trial))


def read_point(written: str, place: object = "point") -> tuple[str, Point]:
    """Return the name and choices of a POINT, in whichever of its forms it is written.

    Args:
        written: a named point; a YAML or JSON file of choices; the folder of an exported model or of a run; or a trial
            of a study, ``runs/my_study#12``, by its number, its network's printed name, or the first digits of its id.
        place: opens the message where it is none of these.

    Raises:
        InputError: no such point, or a choice that cannot be.
    """
    if written in named_points():
        return written, named_points()[written].choices
    path = Path(written)
    if not written.strip():  # which as a path would be the folder that this runs in
        raise _no_point(written, path, place)
    if path.is_file():
        choices = _choices(path)
        taken = path.stem in named_points() and named_points()[path.stem].choices != choices
        return path.name if taken else path.stem, choices
    if (path / JSON_NAME).is_file():
        card = read_card(path)
        return card.name, _as_recorded(card.point, card.spec, path / JSON_NAME)
    if (path / RUN).is_file():
        run = _Ran.parse(read_json(path / RUN), path / RUN)
        return run.name, _as_recorded(run.point, run.spec.id, path / RUN)
    if (trial := split_trial(written)) is not None:
        return _of_study(*trial)
    raise _no_point(written, path, place)


def _choices(path: Path) -> Point:
    """Read a file of choices: bare, below ``choices``, or below ``point`` as `segsearch show --json` writes them."""
    data = load_json(path) if path.suffix == ".json" else load_yaml(path)
    choices = next((data[key] for key in ("choices", "point") if key in data), data)
    if not isinstance(choices, dict):
        raise InputError(path, "must be a mapping of choices to values")
    return check(load_space("unified"), expand_point(choices, word_of), path)


class _Tried(Frozen, extra="ignore"):
    """What a trial's result says of its network; the point may be one of a space of the user's own."""

    number: int
    name: str
    spec_id: str
    point: Point


class _Ran(Frozen, extra="ignore"):
    """What a run's file says of its network."""

    name: str
    point: Point
    spec: NetworkSpec


def _of_study(folder: Path, key: str) -> tuple[str, Point]:
    trial, _ = _find_tried(folder, key)
    return trial.name, _as_recorded(trial.point, trial.spec_id, f"{folder}#{key}")


def number_of_trial(study: Path, key: str) -> int:
    """Return the number of a finished trial; its key is as in `read_point`. Raises InputError where there is none."""
    return _find_tried(study, key)[0].number


def folder_of_trial(study: Path, key: str) -> Path:
    """Return the folder of a finished trial; its key is as in `read_point`. Raises InputError where there is none."""
    return _find_tried(study, key)[1]


def _find_tried(folder: Path, key: str) -> tuple[_Tried, Path]:
    paths = [path / RESULT for path in trial_folders(folder) if (path / RESULT).is_file()]
    direct = [path for path in paths if key.isdecimal() and int(path.parent.name) == int(key)]
    tried = {path.parent: _Tried.parse(read_json(path), path) for path in direct or paths}
    trial = find_trial(tried.values(), key)
    if trial is None:
        numbers = f"1 to {int(paths[-1].parent.name)}" if paths else "none is finished yet"
        raise InputError(
            f"{folder}#{key}", "is not a finished trial of this study", f"a number, a name or an id; numbers: {numbers}"
        )
    return trial, next(path for path, found in tried.items() if found is trial)


def _as_recorded(point: Point, spec_id: str, place: object) -> Point:
    """Return a point of whatever space. Raises InputError where it is not of the network that its record names."""
    try:
        lowered = lower(point).id
    except (InputError, KeyError, TypeError, ValueError) as error:
        raise InputError(place, f"its point stands for no network: {error}") from error
    if lowered != spec_id:
        raise InputError(place, f"its point is of network {lowered}, its record of {spec_id}")
    return point


def _no_point(written: str, path: Path, place: object) -> InputError:
    """Say why ``written`` is no point, by what it looks like."""
    study, _, key = written.partition("#")
    kinds = "a name that `segsearch points` lists, a YAML or JSON file of choices, or STUDY#TRIAL"
    if not written.strip():
        return InputError(place, f"{written!r} names nothing", kinds)
    if path.is_dir():
        cure = f"{written}#NUMBER, one of its trials" if (path / STUDY).is_file() else None
        return InputError(written, "is a folder, not a point", cure)
    if key:
        return InputError(written, f"'{study}' is not the folder of a study", f"FOLDER#{key} with a study in FOLDER")
    if path.suffix in (".yaml", ".yml", ".json") or len(path.parts) > 1:
        return InputError(written, no_file(path), "a YAML or JSON file of choices, or a named point")
    return InputError(place, f"'{written}' is not a named point{meant(written, named_points())}", kinds)
