"""Which trainings `benchmarks/flagship.py` needs, in which order, and where each of them lies."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import yaml
from trainings import Job

from segsearch.resources import shipped
from segsearch.study.final import read_final, seed_folder
from segsearch.study.pareto import front
from segsearch.study.pick import candidates
from segsearch.study.store import StudyFolder
from segsearch.study_files import RESULT, WEIGHTS
from segsearch.yaml12 import load_yaml

FLAGSHIP = Path(__file__).parents[1] / "studies" / "flagship"
Stage = Literal["yardstick", "search", "control", "second", "third", "final", "compare"]
Kind = Literal["yardstick", "first", "second", "third", "control"]
STUDIES: dict[Stage, Kind] = {"search": "first", "control": "control", "second": "second", "third": "third"}
"""The studies, and what their final networks are called: of the three searches, and the control's."""
ONE_SEED = ("search", "control")
"""Studies whose final networks are trained once: nothing depends on them."""
YARDSTICK = {
    "sgcpnet2": "SGCPNet",
    "sgcpnet1": "SGCPNet",
    "eseg_lite_s": "ESeg",
    "dfanet_b": "DFANet",
    "sfnet_df1": "SFNet",
    "dfanet_a": "DFANet",
    "fpenet": "FPENet",
    "eseg_s": "ESeg",
    "sfnet_r18": "SFNet",
}
"""The yardstick, cheapest training first: 0.05 to 0.7 s of processor time per image."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What the comparison and its small form differ in.

    Attributes:
        data: words of `segsearch train` that name the data and the size.
        root: what stands for the path of the data in stored records; None: the data has none.
        split: what final trainings learn, where the data has a choice.
        studies: folder of the studies, and of points and recipes that are files.
        results: folder of the stored results.
        yardstick: named points or files of points, cheapest first.
        one_seed: those of them that are trained once.
        epochs: of every training that is compared.
        recipe: of these, by its name or its file's.
        seeds: of a network of the yardstick, and of one that a search has found that is not among `ONE_SEED`.
        top: most networks of a front that are trained in full.
        processes: new ones in which each file is timed at the end.
        points: file of what the last search found, as named points; None where it becomes none.
    """

    data: tuple[str, ...]
    root: str | None
    split: str | None
    studies: Path
    results: Path
    yardstick: tuple[str, ...]
    one_seed: tuple[str, ...]
    epochs: int
    recipe: str = "strong"
    seeds: int = 3
    top: int = 6
    processes: int = 3
    points: Path | None = None


SCRATCH = Protocol(
    data=("--data", "camvid", "--size", "176x240", "--split", "official"),
    root="PATH/TO/CamVid",
    split="official",
    studies=FLAGSHIP,
    results=FLAGSHIP / "results",
    yardstick=tuple(YARDSTICK),
    one_seed=("eseg_s", "sfnet_r18"),
    epochs=16,
    points=shipped("spaces/points") / "found.yaml",
)
LITE = {"lite0_sgcpnet": "SGCPNet", "lite0_eseg": "ESeg", "lite0_dfanet": "DFANet", "lite0_sfnet": "SFNet"}
"""Necks of four papers on EfficientNet-Lite0."""
PAPERS = YARDSTICK | LITE
IMAGENET = replace(
    SCRATCH,
    points=None,
    studies=FLAGSHIP / "imagenet",
    results=FLAGSHIP / "imagenet" / "results",
    yardstick=tuple(LITE),
    one_seed=(),
    recipe="strong_imagenet.yaml",
)
NECKS = replace(IMAGENET, recipe="strong", results=FLAGSHIP / "imagenet_necks_from_scratch" / "results")
TRACKS = {"scratch": SCRATCH, "imagenet": IMAGENET, "imagenet_necks_from_scratch": NECKS}
"""Sets of trainings with tables of their own. The last one gives scratch figures of the second one's yardstick."""
SMOKE_DATA: dict[str, object] = {"name": "streets", "size": [96, 128], "train": 12, "val": 6}
SMOKE_STUDY: dict[str, object] = {
    "space": str(FLAGSHIP / "space.yaml"),
    "data": SMOKE_DATA,
    "recipe": {"name": "search_short", "epochs": 2, "batch_size": 4},
    "narrow": {
        "encoder": ["fpe", "mobilenetv3"],
        "fusion": ["fpn", "meu"],
        "encoder_width": [0.25, 0.5],
        "fusion_width": [16, 32],
    },
    "budget": {"latency_ms": 1000},
    "rungs": [1],
    "trials": 3,
    "confirm": 0,
    "timer": {"min_samples": 5, "min_seconds": 0.05, "warmup_block_seconds": 0.02, "max_warmup_seconds": 0.2},
}


def write_smoke(out: Path) -> Protocol:
    """Write the data and the studies of the small form into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "streets.yaml").write_text(yaml.safe_dump(SMOKE_DATA), "utf-8")
    for name in STUDIES:
        changed = load_yaml(FLAGSHIP / f"{name}.yaml") | SMOKE_STUDY
        if "startup" in changed:
            changed |= {"startup": 3, "shortlist": 3}
        (out / f"{name}.yaml").write_text(yaml.safe_dump(changed), "utf-8")
    return Protocol(
        data=("--data", str(out / "streets.yaml")),
        root=None,
        split=None,
        studies=out,
        results=out / "results",
        yardstick=("sgcpnet2", "fpenet"),
        one_seed=("fpenet",),
        epochs=1,
        seeds=2,
        top=2,
        processes=1,
        points=out / "results" / "found.yaml",
    )


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where everything lies: the data's root where it has one, and the runs."""

    protocol: Protocol
    root: str | None
    out: Path

    @property
    def at_root(self) -> list[str]:
        """Words that say where the data lies."""
        return [] if self.root is None else ["--root", self.root]

    def named(self, word: str) -> str:
        """Give the path of a point or recipe that is a file beside the studies, or its name."""
        path = self.protocol.studies / (word if word.endswith(".yaml") else f"{word}.yaml")
        return str(path) if path.exists() else word

    @property
    def recipe(self) -> list[str]:
        """Words that say how all that is compared is trained."""
        return ["--recipe", self.named(self.protocol.recipe), "--epochs", str(self.protocol.epochs)]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """One finished training that is compared."""

    kind: Kind
    network: str
    """A named point, or ``first_12``: trial 12 of the first search."""
    seed: int
    folder: Path

    @property
    def name(self) -> str:
        """Of its folder among the results."""
        return f"{self.network}_seed{self.seed}"


def trainings(place: Place) -> Iterator[tuple[Stage, Job]]:
    """Give all trainings: one seed of the yardstick, the studies, their final networks, and then further seeds.

    Whenever they are stopped, what is there can be compared.
    """
    yield from _yardstick(place, 0)
    studies = [name for name in STUDIES if (place.protocol.studies / f"{name}.yaml").exists()]
    for name in studies:
        words = ["search", str(place.protocol.studies / f"{name}.yaml"), "--out", str(place.out / name), *place.at_root]
        yield name, Job(name=name, words=partial(list, words))
    for name in studies:
        yield "final", Job(name=f"final_{name}", words=partial(_final, place, name), after=(name,))
    for seed in range(1, place.protocol.seeds):
        yield from _yardstick(place, seed)


def _yardstick(place: Place, seed: int) -> Iterator[tuple[Stage, Job]]:
    protocol = place.protocol
    for point in protocol.yardstick:
        if seed and point in protocol.one_seed:
            continue
        name = f"{point}_seed{seed}"
        words = ["train", place.named(point), *protocol.data, *place.at_root, *place.recipe]
        words += ["--seed", str(seed), "--out", str(place.out / "yardstick" / name)]
        yield "yardstick", Job(name=name, words=partial(list, words))


def _final(place: Place, name: str) -> list[str]:
    """Write the final trainings of a study as they are typed; its front may have fewer networks than are wanted."""
    protocol, store = place.protocol, StudyFolder(place.out / name)
    config = store.read_study().config
    best = front(candidates(store.records(), config.budget), config.budget.aims)
    split = [] if protocol.split is None else ["--split", protocol.split]
    return [
        *("finalize", str(place.out / name), "--top", str(min(protocol.top, len(best)))),
        *("--seeds", str(1 if name in ONE_SEED else protocol.seeds)),
        *(*place.recipe, *split, *place.at_root),
    ]


def finished(place: Place) -> list[Trained]:
    """Find all finished trainings whose weights are here: yardstick, found networks, and the control's."""
    found = [
        Trained(kind="yardstick", network=point, seed=seed, folder=place.out / "yardstick" / f"{point}_seed{seed}")
        for point in place.protocol.yardstick
        for seed in range(place.protocol.seeds)
    ]
    for name, kind in STUDIES.items():
        file = read_final(place.out / name)
        found += [
            Trained(
                kind=kind,
                network=f"{kind}_{finalist.trial}",
                seed=trained.seed,
                folder=seed_folder(place.out / name, finalist.trial, trained.seed),
            )
            for finalist in (file.finalists if file else ())
            if finalist.name not in YARDSTICK  # what a search was given does not count as found
            for trained in finalist.trainings
        ]
    return [each for each in found if (each.folder / RESULT).exists() and (each.folder / WEIGHTS).exists()]


def comparisons(place: Place, runs: Sequence[Trained]) -> Iterator[Job]:
    """Give what is done with each finished training: its file with proof, and its score on each image."""
    for run in runs:
        exported, scored = place.out / "exported" / run.name, place.out / "scored" / f"{run.name}.csv"
        scored.parent.mkdir(parents=True, exist_ok=True)
        words = ["export", str(run.folder), "--out", str(exported), "--format", "onnx", *place.at_root]
        yield Job(name=f"export_{run.name}", words=partial(list, words))
        words = ["evaluate", str(run.folder), "--per-image", str(scored), "--json", *place.at_root]
        yield Job(name=f"score_{run.name}", words=partial(list, words))
