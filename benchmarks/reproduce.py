"""Train published and random networks on CamVid, long and short: ``python benchmarks/reproduce.py --root CAMVID``.

Whatever is not trained yet is trained, in the order of ``jobs``; a run that was stopped goes on. Then the folder
``studies/reproduce`` is written anew from the finished runs: ``runs.csv`` with a row per run, the folders of published
networks, and the tables of its README. ``--tables`` does only that, ``--dry-run`` lists what is missing.
"""

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path

import pandas as pd
import trainings
import yaml
from trainings import keep_run, put_between_marks, run_jobs

from segsearch.count.cost import count
from segsearch.errors import InputError
from segsearch.models.network import build
from segsearch.report.run import printed
from segsearch.run.folder import read_result, read_run
from segsearch.samplers.sampler import uniform
from segsearch.space.load import load_space
from segsearch.space.lower import lower
from segsearch.spec.network import check_size
from segsearch.study.promotion import kendall
from segsearch.study_files import RESULT
from segsearch.training.recipe import Recipe
from segsearch.training.recipes import load_recipe, recipe_names

REPRODUCE = Path(__file__).parents[1] / "studies" / "reproduce"
POINTS = REPRODUCE / "points"
SIZE = (176, 240)
TELLING = 4.0
"""Points of mIoU; runs of one network with other seeds differ by less."""
LEAD = ("sgcpnet1", "eseg_lite_s", "sfnet_df1", "dfanet_a", "fpenet")
QUICK = LEAD[:4]
"""Those that train in less than 0.1 s an image, so that three seeds of each are affordable."""
RANDOM_SEEDS, MOST_MACS, MOST_PARAMS = range(1, 21), 150e6, 8e6
LONG, SHORT = ("strong", 40), ("search_short", 8)
CHOICES: dict[str, dict[str, object]] = {
    "adamw_16_2e-3": {"batch_size": 16, "learning_rate": 2e-3},
    "adamw_16_4e-3": {"batch_size": 16, "learning_rate": 4e-3},
    "adamw_8_2e-3": {"batch_size": 8, "learning_rate": 2e-3},
    "adamw_8_4e-3": {"batch_size": 8, "learning_rate": 4e-3},
    "adamw_8_4e-3_enet": {"batch_size": 8, "learning_rate": 4e-3, "class_weights": "enet"},
    "sgd_8_5e-2": {
        "batch_size": 8,
        "optimizer": "sgd",
        "learning_rate": 0.05,
        "weight_decay": 5e-4,
        "decay_norm": True,
    },
}
"""Forms of ``strong`` that were compared on held out blocks of CamVid's train split, before one was taken."""
CHOSEN_WITH = "sgcpnet1"


@dataclass(frozen=True)
class Job:
    """One training."""

    point: str
    """A named point, or the name of a file in ``points``."""
    recipe: str
    epochs: int
    seed: int = 0
    held_out: bool = False
    """Whether it is scored on blocks of train, and the official val is only reported on."""

    @property
    def name(self) -> str:
        """Of the run's folder."""
        seed = f"_seed{self.seed}" if self.seed else ""
        return f"{self.point}_camvid_{self.recipe}{seed}" if not self.held_out else f"choice_{self.recipe}"

    def words(self, root: str, out: Path) -> list[str]:
        """Write the training as it is typed, behind ``segsearch``."""
        point = self.point if not (POINTS / f"{self.point}.yaml").exists() else str(POINTS / f"{self.point}.yaml")
        data, recipe = "camvid", self.recipe
        if self.held_out:
            data, recipe = str(out / "held_out.yaml"), str(out / f"{self.recipe}.yaml")
            Path(data).write_text(yaml.safe_dump({"name": "camvid", "root": root, "split": "holdout"}), "utf-8")
            form = load_recipe("strong", "camvid", CHOICES[self.recipe]).model_dump(mode="json", exclude_defaults=True)
            Path(recipe).write_text(yaml.safe_dump(form), "utf-8")
        return [
            *("train", point, "--data", data, "--root", root),
            *("--size", "{}x{}".format(*SIZE), "--recipe", recipe, "--epochs", str(self.epochs)),
            *("--seed", str(self.seed), "--out", str(out / self.name)),
        ]


def jobs() -> list[Job]:
    """All trainings, the most telling ones first."""
    drawn = sorted((path.stem for path in POINTS.glob("*.yaml")), key=lambda name: int(name.removeprefix("random_")))
    compared = [Job(point, *length) for point in (*LEAD, *drawn) for length in (LONG, SHORT)]
    paper = [Job("fpenet", "fpenet", 40, seed) for seed in range(3)]
    seeds = [Job(point, *LONG, seed) for seed in (1, 2) for point in QUICK]
    choices = [Job(CHOSEN_WITH, choice, LONG[1], held_out=True) for choice in CHOICES]
    return [*choices, *compared, paper[0], *seeds, *(Job("fpenet", *LONG, seed) for seed in (1, 2)), *paper[1:]]


def draw() -> None:
    """Write the random points: the quick ones of those that the space ``realtime`` gives for the seeds."""
    space = load_space("realtime")
    POINTS.mkdir(parents=True, exist_ok=True)
    for seed in RANDOM_SEEDS:
        point = uniform(space, seed)
        spec = lower(point)
        try:
            check_size(spec, SIZE)
            cost = count(build(spec, 11), SIZE)
        except InputError:
            continue
        if cost.macs <= MOST_MACS and cost.params <= MOST_PARAMS:
            told = f"# realtime, drawn uniformly with seed {seed}; {spec.id}\n"
            (POINTS / f"random_{seed}.yaml").write_text(told + yaml.safe_dump(dict(point), sort_keys=False), "utf-8")


def train(root: str, out: Path, wanted: Sequence[Job], at_once: int) -> None:
    """Run the trainings as commands of their own, each of which goes on where it was stopped."""
    out.mkdir(parents=True, exist_ok=True)
    run_jobs(
        [trainings.Job(name=job.name, words=partial(job.words, root, out)) for job in wanted], out, at_once=at_once
    )


def collect(out: Path) -> pd.DataFrame:
    """Read all finished runs of a folder, one row each."""
    rows = []
    for path in sorted(out.glob(f"*/{RESULT}")):
        file, result = read_run(path.parent), read_result(path.parent)
        assert result is not None
        published = printed(file)
        rows.append(
            {
                "run": path.parent.name,
                "name": file.name,
                "spec_id": file.spec.id,
                "recipe": _called(file.recipe_name, file.recipe, file.commit),
                "recipe_id": file.recipe.id,
                "epochs": file.recipe.epochs,
                "seed": file.seed,
                "miou": round(100 * result.scores.miou, 2),
                "val_miou": None if result.report_scores is None else round(100 * result.report_scores.miou, 2),
                "minutes": round(result.seconds / 60, 1),
                "printed": None if published is None else published.printed,
                "course": _course(path.parent) if file.recipe_name == LONG[0] else None,
                "hardware": file.hardware,
                "torch": file.versions["torch"],
                "commit": file.commit[:7],
            }
        )
    return pd.DataFrame(rows)


def _course(run: Path) -> str:
    """Write the mIoU while a run was trained, as ``4:21.4 8:28.9``: epochs and percent."""
    lines = map(json.loads, (run / "metrics.jsonl").read_text("utf-8").splitlines())
    return " ".join(f"{line['epoch']:.0f}:{100 * line['miou']:.1f}" for line in lines if "miou" in line)


def _called(name: str, recipe: Recipe, commit: str) -> str:
    """Name a recipe, and its version where the file of that name says something else today."""
    if name not in recipe_names():
        return name
    today = load_recipe(name, "camvid", {"epochs": recipe.epochs})
    return name if recipe.id == today.id else f"{name} at {commit[:7]}"


def keep(out: Path, rows: pd.DataFrame) -> None:
    """Copy the folders of named points, without paths of this machine, and weights only where they are small."""
    for name in rows.loc[~_only_a_row(rows), "run"]:
        keep_run(out / name, REPRODUCE / name, root="PATH/TO/CamVid")


def tables(rows: pd.DataFrame) -> Iterator[str]:
    """Write the README's tables."""
    yield "| point | recipe | epochs | seeds | mIoU, mean | spread over seeds | printed | minutes a run |"
    yield "|---|---|---|---|---|---|---|---|"
    for (name, recipe, epochs), group in rows[~_only_a_row(rows)].groupby(["name", "recipe", "epochs"], sort=False):
        links = ", ".join(f"[{seed}]({run})" for seed, run in zip(group.seed, group.run, strict=True))
        spread = f"{group.miou.std():.1f}" if len(group) > 1 else "one run"
        there = group.printed.iloc[0]
        known = "none" if there is None or pd.isna(there) else f"{there} %"
        yield (
            f"| `{name}` | {recipe} | {epochs} | {links} | {group.miou.mean():.1f} % | {spread} | {known} |"
            f" {group.minutes.mean():.0f} |"
        )
    yield from ("", "| form of `strong` | mIoU on held out blocks | on val |", "|---|---|---|")
    for _, row in rows[rows.run.str.startswith("choice_")].iterrows():
        yield f"| {row.run.removeprefix('choice_')} | {row.miou:.1f} % | {row.val_miou:.1f} % |"
    yield ""
    yield from _agreement(rows)


def _only_a_row(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Tell the runs whose folders are not kept."""
    return rows.run.str.startswith(("random_", "choice_")) | (rows.recipe == SHORT[0])


def _agreement(rows: pd.DataFrame) -> Iterator[str]:
    """Set the short trainings beside the long ones."""
    first = rows[(rows.seed == 0) & ~rows.run.str.startswith("choice_")]
    scores = {name: first[first.recipe == name].set_index("name").miou for name, _ in (LONG, SHORT)}
    pairs = pd.DataFrame(scores).dropna()
    if len(pairs) < 3:
        return
    long, short = LONG[0], SHORT[0]
    yield f"| network | {short}, {SHORT[1]} epochs | {long}, {LONG[1]} epochs |"
    yield "|---|---|---|"
    for name, pair in pairs.sort_values(long, ascending=False).iterrows():
        yield f"| `{name}` | {pair[short]:.1f} % | {pair[long]:.1f} % |"
    values = list(zip(pairs[short], pairs[long], strict=True))
    least, most = _interval(values)
    yield ""
    yield (
        f"Kendall's tau between the two orders of {len(values)} networks: **{kendall(values):.2f}**"
        f" (95 % of resampled sets of networks: {least:.2f} to {most:.2f})."
    )
    yield ""
    yield (
        f"Networks more than {TELLING:g} points apart after {long}, {LONG[1]} epochs, are further apart than one"
        " network's seeds. So many pairs of them have the same order before:"
    )
    yield from ("", "| after | networks | pairs in the same order |", "|---|---|---|")
    yield f"| {short}, {SHORT[1]} epochs | {len(values)} | {_in_order(values)} |"
    long_ones = first[(first.recipe == long) & first.course.notna()]
    courses = [dict(map(_at, course.split())) for course in long_ones.course]
    for epoch in sorted(courses[0])[:-1]:
        pairs_then = [(course[epoch], course[LONG[1]]) for course in courses if epoch in course]
        yield f"| {epoch} of the {LONG[1]} epochs of {long} | {len(pairs_then)} | {_in_order(pairs_then)} |"


def _at(word: str) -> tuple[int, float]:
    epoch, _, miou = word.partition(":")
    return int(epoch), float(miou)


def _in_order(pairs: Sequence[tuple[float, float]]) -> str:
    """Count the pairs that are far apart in the second figure, and those of them that the first one orders alike."""
    apart = [(a, b) for a, b in combinations(pairs, 2) if abs(a[1] - b[1]) > TELLING]
    return f"{sum((a[0] - b[0]) * (a[1] - b[1]) > 0 for a, b in apart)} of {len(apart)}"


def _interval(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    chance = random.Random(0)
    found = sorted(kendall([chance.choice(pairs) for _ in pairs]) or 0.0 for _ in range(2000))
    return found[50], found[-51]


def main() -> None:
    """Train what is missing, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", help="where CamVid lies")
    parser.add_argument("--runs", type=Path, default=Path("runs/reproduce"), help="where the runs lie")
    parser.add_argument(
        "--jobs", type=int, default=2, help="trainings at once, each on one thread by OMP_NUM_THREADS=1"
    )
    parser.add_argument("--only", default="", help="part of the names of the runs that are meant")
    parser.add_argument("--tables", action="store_true", help="train nothing")
    parser.add_argument("--dry-run", action="store_true", help="list what is missing")
    asked = parser.parse_args()
    draw()
    stored = pd.read_csv(REPRODUCE / "runs.csv") if (REPRODUCE / "runs.csv").exists() else pd.DataFrame(columns=["run"])
    today = stored if stored.empty else stored[~stored.recipe.str.contains(" at ")]  # of the recipe's newest form
    there = {*today.run, *(path.parent.name for path in asked.runs.glob(f"*/{RESULT}"))}
    wanted = [job for job in jobs() if job.name not in there and asked.only in job.name]
    if asked.dry_run:
        print("\n".join(job.name for job in wanted) or "nothing is missing")
        return
    if not asked.tables:
        if asked.root is None:
            parser.error("--root PATH is needed to train")
        train(asked.root, asked.runs, wanted, asked.jobs)
    if len(found := collect(asked.runs)):
        keep(asked.runs, found)
    rows = pd.concat([each for each in (stored, collect(REPRODUCE), found) if len(each)])
    rows = rows.drop_duplicates("run", keep="last", ignore_index=True)
    order = [job.name for job in jobs()]
    rows = rows.sort_values(
        "run", key=lambda names: names.map(lambda name: order.index(name) if name in order else len(order))
    )
    rows.to_csv(REPRODUCE / "runs.csv", index=False)
    put_between_marks(REPRODUCE / "README.md", "\n".join(tables(rows)))


if __name__ == "__main__":
    main()
