"""A run on disk: what was asked for, what came of it, and whether another run may go on there.

``run.json`` is written first and ``result.json`` last, each whole or not at all: a run is finished if and only if it
has a result.
"""

import re
from pathlib import Path

from segsearch.data.config import DataSpec
from segsearch.errors import InputError
from segsearch.files import write_atomic
from segsearch.frozen import Frozen, differing, flat
from segsearch.measure.machine import DeviceName
from segsearch.space.nodes import Point
from segsearch.spec.network import NetworkSpec
from segsearch.study_files import RESULT, RUN, read_json
from segsearch.training.recipe import PATHS, Recipe
from segsearch.training.scores import Scores
from segsearch.training.shipped import Shipped

METRICS, CURVES = "metrics.jsonl", "curves.png"
LAST, BEST = "last.safetensors", "best.safetensors"
"""Beside the checkpoint and the weights; ``last`` are the last step's own weights where the others are averaged, and
``best`` those that scored best on the way."""


class Start(Frozen):
    """Weights of an earlier training that a run begins with, in place of fresh ones."""

    file: str
    sha256: str
    reset_head: bool = False
    """Whether the classifiers begin with fresh ones all the same."""


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
    weights: Start | None = None
    shipped: Shipped | None = None
    """How it is scored beside float32."""

    @property
    def folder_name(self) -> str:
        """Of a run that is given none."""
        size = "{}x{}".format(*self.data.size)
        words = (self.name, self.data.title, size, self.recipe_name, f"seed{self.seed}")
        return re.sub(r"[^\w.-]+", "-", "_".join(words))


class RunFile(Training):
    """All that determines a run: ``run.json``."""

    classes: tuple[str, ...]
    content: dict[str, str]
    """What the data holds: `segsearch.data.dataset`."""
    teacher: str | None = None
    """Of the recipe's teacher, the sha256 of its weights."""
    hardware: str
    """The device by its maker's name."""
    commit: str
    versions: dict[str, str]


class Best(Frozen):
    """Which weights of a run scored best on the validation images, of those that were scored on the way and the last.

    They were chosen by these very images, so their score is better than that of other images would be.
    """

    step: int
    miou: float


class RunResult(Frozen):
    """What came of a run: ``result.json``."""

    scores: Scores
    """Of the weights after the last step on the validation images; never of the best ones."""
    shipped_scores: Scores | None = None
    """The same, as the runtime makes its masks in the precision that is shipped, where the training names one."""
    report_scores: Scores | None = None
    """On the images that are only reported on, where the data has such a split; in the precision that is shipped."""
    steps: int
    final_loss: float
    seconds: float
    """Of training, over all sessions."""
    pretrained: str | None = None
    """File and checksum of the first weights, the encoder's or all; None where it began with fresh ones."""
    best: Best | None = None
    """None in runs older than this field."""
    notes: tuple[str, ...] = ()
    """What went otherwise than planned, in sentences."""

    @property
    def counted(self) -> Scores:
        """The scores that networks are compared by."""
        return self.shipped_scores or self.scores


def run_in(folder: Path) -> RunFile | None:
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
    found = run_in(folder)
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
    before = run_in(folder)
    if before is None:
        write_atomic(folder / RUN, run.lines())
        return run
    check_same(before, run, folder)
    return before


def check_same(before: RunFile, now: Training, folder: Path) -> None:
    """Raise InputError, which names what differs, where ``now`` would train other weights than the folder's run.

    Versions, commit and the number of a GPU may differ. What data and teacher hold is compared where ``now`` says it.
    """
    had, has = _decisions(before), _decisions(now)
    if isinstance(now, RunFile):
        had, has = (
            some | flat({"data holds": run.content, "teacher's sha256": run.teacher})
            for some, run in ((had, before), (has, now))
        )
    for key, (old, new) in differing(had, has).items():
        problem = f"holds a run with {key} {old}, not {new}"
        raise InputError(folder, f"{problem}; choose another folder (--out DIR) or what that run was started with")


def _decisions(run: Training) -> dict[str, object]:
    """All that must stay as it was, flat. Paths may change, and so may the words that a point is written in."""
    recipe = run.recipe.model_dump(mode="json")
    recipe |= {key: Path(recipe[key]).name for key in PATHS if recipe[key] is not None}
    plain = {"data": run.data.model_dump(mode="json", exclude={"root"}), "recipe": recipe}
    device = run.device.partition(":")[0]
    weights = {} if run.weights is None else {"weights": run.weights.model_dump(mode="json", exclude={"file"})}
    shipped = {} if run.shipped is None else {"shipped": run.shipped.model_dump(mode="json", exclude={"device"})}
    return {"network": run.spec.id, **flat(plain | weights | shipped), "seed": run.seed, "device": device}
