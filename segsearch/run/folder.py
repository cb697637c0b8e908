"""A run on disk: what was asked for, what came of it, and whether another run may go on there.

``run.json`` is written first and ``result.json`` last, each whole or not at all: a run is finished if and only if it
has a result.
"""

from pathlib import Path

from segsearch.data.config import DataSpec, FolderData
from segsearch.errors import InputError
from segsearch.files import write_atomic
from segsearch.flat import flat
from segsearch.frozen import Frozen
from segsearch.measure.machine import DeviceName
from segsearch.space.nodes import Point
from segsearch.spec.network import NetworkSpec
from segsearch.study_files import RESULT, read_json
from segsearch.train.recipe import Recipe
from segsearch.train.scores import Scores

RUN, METRICS, CURVES, LAST = "run.json", "metrics.jsonl", "curves.png", "last.safetensors"
"""Beside the checkpoint and the weights; ``last`` are the last step's own weights where the others are averaged."""


class Training(Frozen):
    """One network, by one recipe, on one data set, with one seed."""

    name: str
    """Of the point, for people."""
    point: Point
    spec: NetworkSpec
    data: DataSpec
    recipe_name: str
    recipe: Recipe
    seed: int
    device: DeviceName

    @property
    def data_name(self) -> str:
        """Of the data set, for people: one's own goes by the name of the file that describes it."""
        return Path(self.data.root).stem if isinstance(self.data, FolderData) else self.data.name


class RunFile(Training):
    """All that determines a run: ``run.json``."""

    classes: tuple[str, ...]
    content: dict[str, str]
    """What the data holds: `segsearch.data.fingerprint`."""
    hardware: str
    """The device by its maker's name."""
    commit: str
    versions: dict[str, str]


class RunResult(Frozen):
    """What came of a run: ``result.json``."""

    scores: Scores
    """On the validation images."""
    report_scores: Scores | None = None
    """On the images that are only reported on, where the data has such a split."""
    steps: int
    final_loss: float
    seconds: float
    """Of training, over all sessions."""
    pretrained: str | None = None
    """File and checksum of the encoder's first weights; None where it began with fresh ones."""
    notes: tuple[str, ...] = ()
    """What went otherwise than planned, in sentences."""


def held(folder: Path) -> RunFile | None:
    """Return the run that a folder holds; None of an empty folder, or one that is not there.

    Raises:
        InputError: it is a file, or holds something else.
    """
    if (folder / RUN).is_file():
        return RunFile.parse(read_json(folder / RUN), folder / RUN)
    if folder.exists() and not folder.is_dir():
        raise InputError(folder, "is a file, and a run needs a folder (--out DIR)")
    others = sorted(path.name for path in folder.glob("[!.]*"))
    if others:
        raise InputError(
            folder, f"holds {others[0]} and no {RUN}, so it is no run's; choose another folder (--out DIR)"
        )
    return None


def read_run(folder: Path) -> RunFile:
    """Read what a run was asked for. Raises InputError where there is none."""
    found = held(folder)
    if found is None:
        raise InputError(folder, f"is not the folder of a run: it has no {RUN}")
    return found


def read_result(folder: Path) -> RunResult | None:
    """Read what came of a run; None where it is not finished. Raises InputError where the file is damaged."""
    path = folder / RESULT
    return RunResult.parse(read_json(path), path) if path.exists() else None


def begin(folder: Path, run: RunFile) -> RunFile:
    """Write down what is asked for; in a folder that holds a run, only see that it is the same. Returns what is there.

    Raises:
        InputError: it is another run, or something else, or the folder cannot be written.
    """
    before = held(folder)
    if before is None:
        write_atomic(folder / RUN, run.lines())
        return run
    check_same(before, run, folder)
    return before


def check_same(before: RunFile, now: Training, folder: Path) -> None:
    """Raise InputError, which names what differs, where ``now`` would train other weights than the folder's run.

    Versions, commit and the number of a GPU may differ. What the data holds is compared where ``now`` says it.
    """
    had, has = _decisions(before), _decisions(now)
    if isinstance(now, RunFile):
        had, has = had | flat({"data holds": before.content}), has | flat({"data holds": now.content})
    for key in dict.fromkeys((*has, *had)):
        if had.get(key) != has.get(key):
            problem = f"holds a run with {key} {had.get(key)}, not {has.get(key)}"
            raise InputError(folder, f"{problem}; choose another folder (--out DIR) or what that run was started with")


def _decisions(run: Training) -> dict[str, object]:
    """All that must stay as it was, flat. Paths may change, and so may the words that a point is written in."""
    recipe = run.recipe.model_dump(mode="json")
    if run.recipe.pretrained is not None:
        recipe["pretrained"] = Path(run.recipe.pretrained).name
    plain = {"data": run.data.model_dump(mode="json", exclude={"root"}), "recipe": recipe}
    device = run.device.partition(":")[0]
    return {"network": run.spec.id, **flat(plain), "seed": run.seed, "device": device}
