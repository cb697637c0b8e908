"""The study file: what is searched, on what data, by which recipe, within which budget."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, model_validator

from segsearch.data.config import DataSpec
from segsearch.errors import InputError
from segsearch.files import expanded
from segsearch.frozen import Frozen
from segsearch.measure.machine import DeviceName
from segsearch.measure.timer import MOST_THREADS, TimerSettings
from segsearch.resources import locate
from segsearch.space.nodes import Scalar
from segsearch.study.budget import USUAL, Budget, Objectives
from segsearch.study.machines import Remote, Resources, at_address
from segsearch.training.recipe import Recipe
from segsearch.training.recipes import load_recipe, paths_at
from segsearch.training.shipped import Shipped
from segsearch.yaml12 import load_yaml

MOST_PROCESSES = 100
MOST_TRIALS, MOST_MINUTES = 1_000_000, 1_000_000
PROPOSALS_PER_TRIAL = 20
DEFAULT_RECIPE = "search_short"
LEAST_STARTUP = 8
STEP_SECONDS = 600
"""Fewer trials than these teach a sampler nothing."""
MOST_STARTUP = 12
"""More trials than these the model of ``pareto`` does not need before it is asked."""


def _listed(value: object) -> object:
    """Let a person write one value where a list of them is meant."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _folder_name(name: str) -> str:
    """Refuse what would lead out of the folder of all studies, hide there, or be no folder's name at all."""
    if name.startswith(".") or name != name.strip() or not name.isprintable() or any(mark in name for mark in "/\\"):
        raise ValueError(
            f"{name!r} cannot name a folder: no slashes, no line breaks, no dot before it, no blank around it"
        )
    return name


Values = Annotated[tuple[Scalar, ...], BeforeValidator(_listed)]


def _searchable(precision: str | None) -> str | None:
    """Refuse int8: its ranges come from a trained network's maps, and the gate measures before there is one."""
    if precision == "int8":
        raise ValueError(
            "int8 needs a trained network to take its ranges from, so no search is in it: search in another precision"
            " and let `segsearch export STUDY --int8` tell what int8 gains and costs"
        )
    return precision


def _epochs(value: object) -> object:
    """Say of a share of the training what is meant."""
    if isinstance(value, float):
        raise ValueError(f"{value} is no number of epochs: a rung is a whole one, such as 2")
    return value


class StudyConfig(Frozen):
    """One study as a person writes it."""

    name: Annotated[str, AfterValidator(_folder_name)] = Field(
        default="study", min_length=1, max_length=100, description="default the file's name"
    )
    space: str = Field(default="unified", description="a shipped space's name, or the path of a space file")
    narrow: dict[str, Values] = Field(default={}, description="choices cut down to fewer values: {encoder: [fpe]}")
    data: DataSpec = Field(description="the data set: its name, where it lies, and the size of its images")
    recipe: Recipe = Field(
        description="in a file also by name, `recipe: fpenet`, or `{name: fpenet, epochs: 3}`; default `search_short`"
    )
    budget: Budget = Field(default=Budget(), description="limits that a network must keep before it is trained")
    objectives: Objectives = Field(
        default=USUAL,
        description="what networks are compared by: miou, and one or more of latency_ms, params, macs, memory_mib",
    )
    device: DeviceName = Field(default="cpu", description="what networks are trained and timed on: cpu, cuda or cuda:N")
    backend: Literal[
        "eager", "cudagraph", "compile", "compile-graph", "aotinductor", "onnxruntime", "openvino", "tensorrt"
    ] = Field(default="eager", description="software that latency is measured with")
    precision: Annotated[
        Literal["float32", "tf32", "float16", "bfloat16", "int8"] | None, AfterValidator(_searchable)
    ] = Field(
        default=None,
        description="number format that is shipped, of those that the backend has on the device: networks are timed and"
        " scored in it; default float32",
    )
    remote: Annotated[Remote | None, BeforeValidator(at_address)] = Field(
        default=None, description="measure on another machine; needs a backend that runs exported graphs"
    )
    resources: Resources = Field(default=Resources(), description="what one training takes where several run at once")
    threads: int | None = Field(
        default=None, ge=1, le=MOST_THREADS, description="processor threads while measuring; default torch's number"
    )
    timer: TimerSettings = Field(default=TimerSettings(), description="when a latency measurement ends")
    points: tuple[str, ...] | None = Field(
        default=None, description="points tried first, as `segsearch show` takes them; default one of each paper"
    )
    warm: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        default=(),
        validation_alias=AliasChoices("from", "warm"),
        description="folders of earlier studies: their trials teach the sampler, the best of them are tried first",
    )
    rungs: tuple[Annotated[int, BeforeValidator(_epochs), Field(ge=1)], ...] = Field(
        default=(),
        description="epochs after which a training pauses with a score, such as [2, 6, 18]: the best third of the"
        " networks goes on, and those under `points`",
    )
    trials: int | None = Field(
        default=None,
        ge=1,
        le=MOST_TRIALS,
        description="trained networks wanted; with rungs, as many epochs as these take",
    )
    minutes: float | None = Field(
        default=None,
        gt=0,
        le=MOST_MINUTES,
        description="time that the study may take, all its runs together, in place of `trials` or beside it",
    )
    step_seconds: float | None = Field(
        default=None,
        gt=0,
        le=86_400,
        description="a training step that takes longer has failed, and its trial with it; the first one may take ten"
        f" times as long. Default {STEP_SECONDS}, and no limit for training code of one's own",
    )
    proposals: int | None = Field(
        default=None, ge=1, le=100_000_000, description="most networks looked at; default 20 per wanted trial"
    )
    seed: int = Field(
        default=0, ge=0, le=2**63 - 1, description="of proposals, initial weights, batches and augmentation"
    )
    sampler: Literal["pareto", "tpe", "nsga2", "gp", "random"] = Field(
        default="pareto",
        description="pareto: Gaussian processes and latencies known before training; the others are Optuna's",
    )
    shortlist: int = Field(
        default=8,
        ge=1,
        le=100,
        description="networks measured before one is chosen, while that takes little beside a training; 1: none."
        " For sampler pareto",
    )
    keep: Literal["front", "all", "none"] = Field(
        default="front", description="trained weights that stay: of the networks on and near the front, all, or none"
    )
    startup: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="trials before the sampler learns from them; default a quarter of the trials wanted, at least 8,"
        " for pareto at most 12",
    )
    confirm: int = Field(
        default=3,
        ge=0,
        le=MOST_PROCESSES,
        description="new processes in which networks on and near the front are timed again at the end; 0 for none",
    )

    @model_validator(mode="after")
    def _aims(self) -> Self:
        self.__dict__.update(budget=self.budget.towards(self.objectives))
        return self

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.trials is None and self.minutes is None:
            raise ValueError("trials is missing, or minutes in its place")
        return self

    @model_validator(mode="after")
    def _rungs_ascend(self) -> Self:
        if list(self.rungs) != sorted(set(self.rungs)):
            raise ValueError(f"rungs {list(self.rungs)} must ascend")
        if self.rungs and self.recipe.epochs is not None and self.rungs[-1] >= self.recipe.epochs:
            raise ValueError(f"rung {self.rungs[-1]} must be less than the recipe's {self.recipe.epochs} epochs")
        return self

    @property
    def measured_with(self) -> str:
        """Software of the latencies, and its precision where the study names one: ``openvino, bfloat16``."""
        return self.backend + (f", {self.precision}" if self.precision else "")

    @property
    def shipped(self) -> Shipped | None:
        """How networks are scored beside float32; None where float32 is shipped.

        A worker times and does not score: this machine has to compute as that one, on a device of the same kind.
        """
        if self.precision in (None, "float32"):
            return None
        kind = (self.remote or self).device.partition(":")[0]
        device = self.device if self.device.startswith(kind) else kind
        return Shipped(backend=self.backend, precision=self.precision, device=device)

    @property
    def most_proposals(self) -> int:
        """Upper bound of networks looked at, trained or not."""
        return self.proposals or PROPOSALS_PER_TRIAL * self.most_trials

    @property
    def most_trials(self) -> int:
        """Trained networks wanted, or more than any time allows."""
        return self.trials or MOST_TRIALS

    def step_limit(self, own: bool) -> float:
        """Return how many seconds a training step may take; ``own``: of somebody's own code, which reports epochs."""
        return self.step_seconds or (math.inf if own else STEP_SECONDS)

    @property
    def drawn_first(self) -> int:
        """Trials before the sampler learns: ``startup``, or its default, and never more than the trials wanted."""
        quarter = max(LEAST_STARTUP, (self.trials or 0) // 4)
        most = MOST_STARTUP if self.sampler == "pareto" else quarter
        return min(self.most_trials, self.startup or min(quarter, most))

    @property
    def notes(self) -> tuple[str, ...]:
        """What is taken otherwise than it is written, in sentences."""
        if self.startup is None or self.trials is None or self.startup <= self.trials:
            return ()
        return (
            f"startup: {self.startup} is more than the {self.trials} trials wanted, so it is taken as {self.trials}",
        )


def load_study(study: "str | Path | Mapping[str, object] | StudyConfig") -> StudyConfig:
    """Read a shipped study by its name, any by its path, or what a file would say from a dict; a config stays itself.

    Relative paths begin at the file's folder; those of a dict, whose ``data`` may be what `own_data` returned, at the
    working directory. Without a recipe, ``search_short`` is taken.

    Raises:
        InputError: no such file, or a key or value that cannot be; the place is ``file.key``.
    """
    if isinstance(study, StudyConfig):
        return study
    if isinstance(study, Mapping):
        place, folder = Path("study"), Path.cwd()
        written = {
            key: value.model_dump(mode="json", exclude_unset=True) if isinstance(value, Frozen) else value
            for key, value in study.items()
        }
    else:
        place = locate(str(study), "studies")
        folder, written = place.absolute().parent, {"name": place.stem} | load_yaml(place)
    config = parse_study(_with_recipe(written, place, folder), place)
    return parse_study(_resolved(config.model_dump(mode="json", exclude_unset=True), folder), place)


def parse_study(data: dict[str, Any], place: object) -> StudyConfig:
    """Build a study from plain data. Raises as `load_study`."""
    return StudyConfig.parse(data, place)


def _with_recipe(content: dict[str, Any], place: Path, folder: Path) -> dict[str, Any]:
    """Put a recipe in the place of its name, which stands alone or with changes: ``{name: fpenet, epochs: 3}``."""
    written, data = content.get("recipe", DEFAULT_RECIPE), content.get("data")
    changes = {"name": written} if isinstance(written, str) else written
    if not isinstance(changes, dict) or not isinstance(changes.get("name"), str) or not isinstance(data, dict):
        return content
    changes = dict(changes)
    recipe = load_recipe(changes.pop("name"), str(data.get("name")), changes, beside=folder, place=f"{place}.recipe")
    return content | {"recipe": recipe.model_dump(mode="json", exclude_unset=True)}


def _resolved(given: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Make the relative paths of a study's plain data absolute; names of shipped things stay."""

    def absolute(written: str) -> str:
        return str(folder / expanded(written))

    def point(written: str) -> str:
        # a shipped name holds none of these; a file, or a trial of another study, does
        return absolute(written) if any(mark in written for mark in "./#") else written

    if "root" in given["data"]:
        given["data"]["root"] = absolute(given["data"]["root"])
    given["recipe"] |= paths_at(folder, given["recipe"])
    if "space" in given:
        space = str(expanded(given["space"]))
        given["space"] = absolute(space) if locate(space, "spaces", folder) == folder / space else space
    if given.get("warm"):
        given["warm"] = [absolute(written) for written in given["warm"]]
    if given.get("points"):
        given["points"] = [point(written) for written in given["points"]]
    return given


def at_root(config: StudyConfig, root: str) -> StudyConfig:
    """Return a study whose data lies elsewhere. Raises InputError for data that is drawn and lies nowhere."""
    if "root" not in type(config.data).model_fields:
        raise InputError("--root", f"the study's data is {config.data.name}, which lies nowhere")
    root = str(expanded(root).absolute()) if root else root
    data = type(config.data).parse(config.data.model_dump(mode="json") | {"root": root}, "--root")
    return config.model_copy(update={"data": data})
