"""The study file: what is searched, on what data, by which recipe, within which budget."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from segsearch.data.config import DataSpec
from segsearch.errors import InputError
from segsearch.files import expanded
from segsearch.frozen import Frozen
from segsearch.measure.machine import DeviceName
from segsearch.measure.timer import MOST_THREADS, TimerSettings
from segsearch.remote.access import Address
from segsearch.resources import locate
from segsearch.search.budget import Budget
from segsearch.space.nodes import Scalar
from segsearch.train.recipe import Recipe
from segsearch.train.recipes import load_recipe
from segsearch.yaml12 import load_yaml

MOST_PROCESSES = 100
PROPOSALS_PER_TRIAL = 20
LEAST_STARTUP = 8
"""Fewer trials than these teach a sampler nothing."""


def _listed(value: object) -> object:
    """Let a person write one value where a list of them is meant."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _folder_name(name: str) -> str:
    """Refuse what would lead out of the folder of all studies, or be no folder's name at all."""
    if name in (".", "..") or not name.isprintable() or any(mark in name for mark in "/\\"):
        raise ValueError(f"{name!r} cannot name a folder: no slashes, no line breaks")
    return name


Values = Annotated[tuple[Scalar, ...], BeforeValidator(_listed)]


def _at(value: object) -> object:
    """Let a person write only the address."""
    return {"address": value} if isinstance(value, str) else value


def _address(text: str) -> str:
    try:
        return str(Address.parse(text))
    except InputError as error:
        raise ValueError(f"{error.problem} (allowed: {error.allowed})") from error


class Remote(Frozen):
    """The machine that a study is for: where `segsearch measure-worker` listens on it."""

    address: Annotated[str, AfterValidator(_address)] = Field(description="HOST:PORT")
    device: DeviceName = Field(default="cpu", description="what is timed there; training stays here")


class StudyConfig(Frozen):
    """One study as a person writes it."""

    name: Annotated[str, AfterValidator(_folder_name)] = Field(
        default="study", min_length=1, max_length=100, description="default the file's name"
    )
    space: str = Field(default="unified", description="a shipped space's name, or the path of a space file")
    narrow: dict[str, Values] = Field(default={}, description="choices cut down to fewer values: {encoder: [fpe]}")
    data: DataSpec
    recipe: Recipe = Field(description="in a file also by name: `recipe: fpenet`, `recipe: {name: fpenet, epochs: 3}`")
    budget: Budget = Budget()
    device: DeviceName = "cpu"
    backend: Literal[
        "eager", "cudagraph", "compile", "compile-graph", "aotinductor", "onnxruntime", "openvino", "tensorrt"
    ] = Field(default="eager", description="software that latency is measured with")
    remote: Annotated[Remote | None, BeforeValidator(_at)] = Field(
        default=None, description="measure on another machine; needs a backend that runs exported graphs"
    )
    threads: int | None = Field(
        default=None, ge=1, le=MOST_THREADS, description="processor threads while measuring; default torch's number"
    )
    timer: TimerSettings = Field(default=TimerSettings(), description="when a latency measurement ends")
    points: tuple[str, ...] | None = Field(
        default=None, description="points tried first, as `segsearch show` takes them; default one of each paper"
    )
    rungs: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        default=(),
        description="shares of the training, such as 0.25, after which the validation images are scored, too",
    )
    trials: int = Field(ge=1, le=1_000_000, description="trained networks wanted")
    proposals: int | None = Field(
        default=None, ge=1, le=100_000_000, description="most networks looked at; default 20 per wanted trial"
    )
    seed: int = Field(
        default=0, ge=0, le=2**63 - 1, description="of proposals, initial weights, batches and augmentation"
    )
    sampler: Literal["tpe", "random"] = "tpe"
    keep: Literal["front", "all", "none"] = Field(
        default="front", description="trained weights that stay: of the networks on and near the front, all, or none"
    )
    startup: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="trials before the sampler learns from them; default a quarter of the trials wanted, at least 8",
    )
    confirm: int = Field(
        default=3,
        ge=0,
        le=MOST_PROCESSES,
        description="new processes in which networks on and near the front are timed again at the end; 0 for none",
    )

    @property
    def most_proposals(self) -> int:
        """Upper bound of networks looked at, trained or not."""
        return self.proposals or PROPOSALS_PER_TRIAL * self.trials

    @property
    def drawn_first(self) -> int:
        """Trials before the sampler learns: ``startup``, or its default, and never more than the trials wanted."""
        return min(self.trials, self.startup or max(LEAST_STARTUP, self.trials // 4))

    @property
    def notes(self) -> tuple[str, ...]:
        """What is taken otherwise than it is written, in sentences."""
        if self.startup is None or self.startup <= self.trials:
            return ()
        return (
            f"startup: {self.startup} is more than the {self.trials} trials wanted, so it is taken as {self.trials}",
        )


def load_study(name: str | Path) -> StudyConfig:
    """Read a shipped study by its name, or any by its path. Relative paths in the file begin at the file's folder.

    Raises:
        InputError: no such file, or a key or value that cannot be; the place is ``file.key``.
    """
    path = locate(str(name), "studies")
    config = parse_study(_with_recipe({"name": path.stem} | load_yaml(path), path), path)
    given = config.model_dump(mode="json", exclude_unset=True)
    return parse_study(_resolved(given, path.absolute().parent), path)


def parse_study(data: dict[str, Any], place: object) -> StudyConfig:
    """Build a study from plain data. Raises as `load_study`."""
    return StudyConfig.parse(data, place)


def _with_recipe(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """Put a recipe in the place of its name, which stands alone or with changes: ``{name: fpenet, epochs: 3}``."""
    written, data = content.get("recipe"), content.get("data")
    changes = {"name": written} if isinstance(written, str) else written
    if not isinstance(changes, dict) or not isinstance(changes.get("name"), str) or not isinstance(data, dict):
        return content
    changes, folder = dict(changes), path.absolute().parent
    recipe = load_recipe(changes.pop("name"), str(data.get("name")), changes, beside=folder, place=f"{path}.recipe")
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
    if given["recipe"].get("pretrained", "imagenet") not in (None, "imagenet"):
        given["recipe"]["pretrained"] = absolute(given["recipe"]["pretrained"])
    if "space" in given:
        space = str(expanded(given["space"]))
        given["space"] = absolute(space) if locate(space, "spaces", folder) == folder / space else space
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
