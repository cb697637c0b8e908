"""Search drawn streets by three samplers with equal epochs: ``python benchmarks/streets.py``.

Fifteen studies, five seeds each of ``pareto`` with a rung and a shortlist, ``tpe`` and ``random``, all of which train
nothing over the budget. Writes ``studies/results/streets.csv``, ``.png`` and ``.md``: the area under the front over
whole trainings. About eight minutes a study; the same command goes on where it was stopped.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import yaml

from segsearch.provenance import commit, versions
from segsearch.resources import shipped
from segsearch.study.pareto import figures, hypervolume, undominated
from segsearch.study.store import StudyFolder

RESULTS = Path(__file__).parents[1] / "studies" / "results"
SAMPLERS: dict[str, dict[str, object]] = {"pareto": {"rungs": [2]}, "tpe": {}, "random": {}}
SEEDS, TRIALS = range(5), 18
CHANGED: dict[str, object] = {
    "data": {"name": "streets", "size": [96, 160], "train": 128, "val": 48},
    "recipe": {"epochs": 6, "batch_size": 8, "learning_rate": 2e-3, "scale": [0.75, 1.5], "class_weights": "enet"},
    "points": [],
    "trials": TRIALS,
    "keep": "none",
    "confirm": 0,
}
"""What differs from the quickstart, whose space and budget are searched."""
LEFT_OUT = ("minutes", "startup", "shortlist", "rungs")
TOLD = (6, 12, 18)
"""Whole trainings at which the table tells the area."""


def study(sampler: str, seed: int) -> dict[str, object]:
    """One study as its file says it."""
    base = yaml.safe_load(shipped("studies/quickstart.yaml").read_text("utf-8"))
    kept = {key: value for key, value in base.items() if key not in LEFT_OUT}
    return kept | CHANGED | {"sampler": sampler, "seed": seed} | SAMPLERS[sampler]


def search(folder: Path, sampler: str, seed: int) -> None:
    """Run or go on with one study, as a person would."""
    file, out = folder / f"{sampler}_{seed}.yaml", folder / f"{sampler}_{seed}"
    file.write_text(yaml.safe_dump(study(sampler, seed), sort_keys=False), "utf-8")
    with (folder / f"{sampler}_{seed}.log").open("a") as log:
        command = [sys.executable, "-m", "segsearch", "search", str(file), "--out", str(out)]
        done = subprocess.run(command, stdout=log, stderr=log, check=False)
    print(f"{out.name}: {'done' if done.returncode == 0 else f'exit code {done.returncode}, see {log.name}'}")


def grown(folder: Path) -> pd.DataFrame:
    """Give the area under each study's front after each training, in mIoU times milliseconds, by one reference."""
    found = {}
    for sampler in SAMPLERS:
        for seed in SEEDS:
            store = StudyFolder(folder / f"{sampler}_{seed}")
            if store.path.is_dir():
                found[sampler, seed] = sorted(store.records(), key=lambda r: (r.finished_at, r.number))
                budget = store.read_study().config.budget
    inside = [r for records in found.values() for r in records if r.trained and r.meets(budget)]
    reference = (min(r.miou for r in inside), budget.limits["latency_ms"])
    rows = []
    for (sampler, seed), records in found.items():
        points, total, measured, begun = list[tuple[float, ...]](), 0.0, 0, 0
        for record in records:
            measured += record.latency is not None
            begun += record.share > 0
            total += record.share
            if record.trained and record.meets(budget):
                points = undominated([*points, figures(record, budget)], lambda p: (*p[1:], -p[0]))[0]
            if record.share:
                area, best = hypervolume(points, reference), max((p[0] for p in points), default=None)
                rows.append((sampler, seed, round(total, 3), begun, measured, round(area, 4), best))
    names = ["sampler", "seed", "trainings", "networks_trained", "networks_measured", "area", "best_miou"]
    frame = pd.DataFrame(rows, columns=names)
    ends = frame.groupby(["seed", "sampler"]).trainings.max().unstack()
    whole = ends.index[(ends > TRIALS - 1).all(axis=1)]  # seeds that every sampler has finished
    return frame[frame.seed.isin(whole)]


def at(rows: pd.DataFrame, trainings: float) -> pd.Series:
    """Each study's last area by then, with sampler and seed as index."""
    return rows[rows.trainings <= trainings + 0.01].groupby(["sampler", "seed"], sort=False).area.last()


def table(rows: pd.DataFrame) -> str:
    """Mean and range over the seeds, in percent of the largest area that any study reached."""
    most = rows.area.max()
    lines = [
        f"| sampler | {' | '.join(f'{n} trainings' for n in TOLD)} | networks trained | best mIoU |",
        "|---" * (len(TOLD) + 3) + "|",
    ]
    for sampler in SAMPLERS:
        cells = []
        for count in TOLD:
            areas = 100 * at(rows, count).get(sampler, pd.Series(dtype=float)) / most
            cells.append(f"{areas.mean():.0f} % ({areas.min():.0f} to {areas.max():.0f})" if len(areas) else "none")
        own = rows[rows.sampler == sampler].groupby("seed")
        cells += [f"{own.networks_trained.last().mean():.0f}", f"{100 * own.best_miou.last().mean():.1f} %"]
        lines.append(f"| {sampler} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def picture(rows: pd.DataFrame, path: Path) -> None:
    """Draw the mean of each sampler's area, with the range of its seeds."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    counts = range(1, TRIALS + 1)
    for sampler, colour in zip(SAMPLERS, ("#0072b2", "#d55e00", "#7f7f7f"), strict=True):
        areas = pd.DataFrame({n: at(rows, n).get(sampler, pd.Series(dtype=float)) for n in counts}).fillna(0)
        axes.plot(counts, areas.mean(), color=colour, label=sampler + (" with a rung" if SAMPLERS[sampler] else ""))
        axes.fill_between(counts, areas.min(), areas.max(), color=colour, alpha=0.15, linewidth=0)
    axes.set(xlabel="whole trainings (equal epochs)", ylabel="area under the front, mIoU x ms", xlim=(1, TRIALS))
    axes.legend(frameon=False, loc="lower right")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=130)


def main(arguments: Sequence[str] | None = None) -> None:
    """Search what is missing, then write the three files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/streets"), help="where the studies lie")
    parser.add_argument("--jobs", type=int, default=2, help="studies at once, each on one thread by OMP_NUM_THREADS=1")
    parser.add_argument("--tables", action="store_true", help="search nothing")
    asked = parser.parse_args(arguments)
    asked.runs.mkdir(parents=True, exist_ok=True)
    if not asked.tables:
        with ThreadPoolExecutor(asked.jobs) as pool:
            for seed in SEEDS:
                for sampler in SAMPLERS:
                    pool.submit(search, asked.runs, sampler, seed)
    rows = grown(asked.runs)
    rows.to_csv(RESULTS / "streets.csv", index=False)
    picture(rows, RESULTS / "streets.png")
    told = ", ".join(f"{name} {version}" for name, version in versions().items())
    (RESULTS / "streets.md").write_text(
        f"""# Three samplers on drawn streets

The area under the front of mIoU and latency (onnxruntime, one thread) within the budget, in percent of the largest
that any study reached: mean and range of {rows.seed.nunique()} seeds. {TRIALS} whole trainings of 6 epochs each; of
`pareto`, networks that were stopped after 2 epochs count a third. No study trains a network over the budget. mIoU is
that of the search, on 48 validation images.

{table(rows)}
![area under the front over trainings](streets.png)

`python benchmarks/streets.py`, commit {commit()[:7]}, {told}.
""",
        "utf-8",
    )


if __name__ == "__main__":
    main()
