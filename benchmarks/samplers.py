"""Samplers on a table of networks that were all trained: ``python benchmarks/samplers.py --table TABLE.csv --out DIR``.

A table has columns of choices, whole numbers each, then an accuracy (two, early and final, for ``fidelity``) and a
latency. Every sampler runs in Optuna studies of its own:

* ``flat``: all choices at once; ``conditional``: all but the first are named after its value, as in ``op2|3``.
* ``study``: as ``flat``, by `segsearch.samplers.surrogate`, which is told the latency of what was trained alone;
  ``pareto_24`` is ``pareto`` with a start of 24 trials in place of 12, and is there for this mode alone.
* ``gate``: accuracy alone, where only the fastest tenth may be trained.
* ``fidelity``: an early score costs a small part of a training; what goes on costs the rest.

Score: hypervolume of the non-dominated networks, in percent of that of the whole table, with accuracy scaled from its
lower quartile (0) to its best (1) and latency from the least (0) to its 95th percentile (1); for ``gate`` the best
accuracy allowed minus the best found. Only distinct networks count as trainings, and a sampler that proposes one again
is asked anew. Each run is a line of ``runs.jsonl`` as soon as it ends: the same command goes on where it was stopped.
"""

import argparse
import csv
import json
import random
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from segsearch.samplers.pareto_sampler import ParetoSampler
from segsearch.samplers.pareto_sampler.candidates import Candidate, free_strata, key_of
from segsearch.samplers.pareto_sampler.model import Model, Trial
from segsearch.samplers.pareto_sampler.tree import Parameter, Tree
from segsearch.samplers.surrogate import Surrogate
from segsearch.space.nodes import Choice, Space
from segsearch.study.budget import Budget
from segsearch.timing.store import append_line, read_lines

Mode = Literal["flat", "conditional", "study", "gate", "fidelity"]
Params = dict[str, Any]
Cost = Callable[[Params], tuple[float] | None]
MARKS = {
    "flat": (20, 50, 100),
    "conditional": (20, 50, 100),
    "study": (16, 24, 40),
    "gate": (20, 60),
    "fidelity": (80, 90),
}
"""Trainings after which a run is scored; for ``fidelity`` the percents whose cost is told."""
GATE = 0.10
"""Share of the networks, the fastest, that may be trained."""
ASKS = 60
"""Proposals per training after which a run is given up."""
EARLY = 0.06
"""Cost of an early score, in trainings."""
GOES_ON = 1 / 3
MOST_COST = 45.0
MOST_DRAWN, ORDINAL = 20_000, 0.6
"""Networks of a made-up space, and the share of its choices that have an order."""
STARTUP, SPREAD = 12, 60
"""Trials of the start, and how many networks each of ``fidelity`` is chosen from: the least alike to those before."""
SAMPLERS: dict[str, Callable[[int, Cost], BaseSampler]] = {
    "pareto": lambda seed, cost: ParetoSampler(seed=seed, cost=cost),
    "tpe": lambda seed, cost: TPESampler(seed=seed),
    "nsga2": lambda seed, cost: NSGAIISampler(seed=seed, population_size=10),
    "gp": lambda seed, cost: GPSampler(seed=seed, deterministic_objective=True),
    "random": lambda seed, cost: RandomSampler(seed=seed),
}
STARTUPS = {"pareto": STARTUP, "pareto_24": 2 * STARTUP}
"""Trials of the start in ``study``, by what stands for the sampler."""
ROW = dict[str, Any]


def hypervolume(accuracy: Sequence[float], latency: Sequence[float]) -> float:
    """Area that networks dominate, accuracy above 0 and latency below 1."""
    area = best = 0.0
    for a, ms in sorted(zip(accuracy, latency, strict=True), key=lambda pair: (-pair[0], pair[1])):
        # from the most accurate down: each adds the strip between its latency and that of the faster ones to come
        if a > 0 and 1 - ms > best:
            area += a * (1 - ms - best)
            best = 1 - ms
    return area


@dataclass(frozen=True)
class Table:
    """All networks of a space with what is known of them."""

    names: tuple[str, ...]
    choices: tuple[tuple[int, ...], ...]
    early: tuple[float, ...]
    """Accuracies early in the training, where they are known; else the final ones."""
    accuracy: tuple[float, ...]
    latency: tuple[float, ...]

    @classmethod
    def read(cls, path: Path) -> "Table":
        """Read a CSV file."""
        header, *rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
        scores = [name for name in header if name.startswith(("accuracy", "miou"))]
        width = header.index(scores[0])
        columns = list(zip(*([float(cell) for cell in row] for row in rows), strict=True))
        choices = tuple(tuple(int(float(cell)) for cell in row[:width]) for row in rows)
        return cls(tuple(header[:width]), choices, columns[width], columns[width + len(scores) - 1], columns[-1])

    @classmethod
    def drawn(cls, seed: int) -> "Table":
        """Make up a space: choices that cost time and bring accuracy alone and in pairs, the latter less and less.

        Three in five effects are ordinal (a width, a depth), the others have no order (an operation); a choice's cost
        and its worth agree only in part. One unit of accuracy is about the spread over networks.
        """
        rng = np.random.default_rng(seed)
        sizes = rng.choice([2, 3, 4, 5, 6], size=int(rng.integers(6, 9)))
        while np.prod(sizes) > MOST_DRAWN:
            sizes[np.argmax(sizes)] -= 1
        rows = np.stack(np.meshgrid(*map(np.arange, sizes), indexing="ij"), -1).reshape(-1, len(sizes))
        worth, time_ms = np.zeros(len(rows)), np.full(len(rows), 1.0)
        for column, size in zip(rows.T, sizes, strict=True):
            order = np.linspace(0, 1, size) if rng.random() < ORDINAL else rng.permutation(np.linspace(0, 1, size))
            share = rng.gamma(1.0)
            time_ms += share * order[column]
            worth += (0.6 * share * order + 0.4 * rng.normal(size=size))[column]
        for _ in range(len(sizes)):
            a, b = rng.choice(len(sizes), 2, replace=False)
            worth += 0.5 * rng.normal(size=(sizes[a], sizes[b]))[rows[:, a], rows[:, b]]
        worth = (worth - worth.mean()) / worth.std()
        accuracy = np.round(-np.logaddexp(0, 1 - 1.2 * worth) + rng.normal(scale=0.02, size=len(rows)), 4)
        names = tuple(f"choice_{number}" for number in range(len(sizes)))
        points, scores = tuple(map(tuple, rows.tolist())), tuple(accuracy.tolist())
        return cls(names, points, scores, scores, tuple((time_ms * rng.normal(1, 0.01, len(rows))).tolist()))

    @cached_property
    def place(self) -> dict[tuple[int, ...], int]:
        """Row of each network."""
        return {choices: place for place, choices in enumerate(self.choices)}

    @cached_property
    def values(self) -> list[list[int]]:
        """Values of each choice, ascending."""
        return [sorted(set(column)) for column in zip(*self.choices, strict=True)]

    def share(self, networks: Sequence[int]) -> float:
        """Hypervolume of some networks in percent of that of all."""
        a, ms = np.array(self.accuracy), np.array(self.latency)
        low = np.quantile(a, 0.25)
        a, ms = (a - low) / (a.max() - low), (ms - ms.min()) / (np.quantile(ms, 0.95) - ms.min())
        some = list(networks)
        return 100 * hypervolume(a[some].tolist(), ms[some].tolist()) / hypervolume(a.tolist(), ms.tolist())

    @cached_property
    def limit(self) -> float:
        """Latency in milliseconds that the gate lets pass."""
        return float(np.quantile(self.latency, GATE))

    def regret(self, networks: Sequence[int]) -> float:
        """Accuracy that the best of some networks lacks to the best allowed."""
        allowed = [a for a, ms in zip(self.accuracy, self.latency, strict=True) if ms <= self.limit]
        return max(allowed) - max(self.accuracy[i] for i in networks)


def conditional_name(name: str, first: int) -> str:
    return f"{name}|{first}"


def ask(table: Table, trial: optuna.Trial, conditional: bool) -> tuple[int, ...]:
    first = trial.suggest_categorical(table.names[0], table.values[0])
    rest = (
        trial.suggest_categorical(conditional_name(name, first) if conditional else name, values)
        for name, values in zip(table.names[1:], table.values[1:], strict=True)
    )
    return (first, *rest)


def cost_of(table: Table, mode: Mode) -> Cost:
    """Latency of a complete point; None where the gate forbids it, and where no network of the table is it."""

    def cost(params: Params) -> tuple[float] | None:
        first = params.get(table.names[0])
        given = [params.get(n, params.get(conditional_name(n, first))) for n in table.names[1:]]  # type: ignore[arg-type]
        place = table.place.get((first, *given))  # type: ignore[arg-type]
        if place is None or (mode == "gate" and table.latency[place] > table.limit):
            return None
        return (table.latency[place],)

    return cost


def search(table: Table, mode: Mode, sampler: str, seed: int) -> ROW:
    """Run one study; return its scores and what it asked for in vain."""
    directions = ["maximize"] if mode == "gate" else ["maximize", "minimize"]
    study = optuna.create_study(directions=directions, sampler=SAMPLERS[sampler](seed, cost_of(table, mode)))  # type: ignore[arg-type]
    trained, asks, refused = dict[int, None](), 0, 0
    while len(trained) < MARKS[mode][-1] and asks < ASKS * MARKS[mode][-1]:
        trial, asks = study.ask(), asks + 1
        place = table.place.get(ask(table, trial, mode == "conditional"))
        if place is None or (mode == "gate" and table.latency[place] > table.limit):
            refused += 1
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            continue
        values = [table.accuracy[place], table.latency[place]][: len(directions)]
        study.tell(trial, values)
        trained[place] = None
    order = list(trained)
    score = table.regret if mode == "gate" else table.share
    return {"scores": [score(order[:mark]) for mark in MARKS[mode]], "refused": refused, "repeats": asks - len(order)}


def learn(table: Table, startup: int, seed: int) -> ROW:
    """Search as a study does by ``sampler: pareto``: latencies are predicted from those of the networks trained."""
    axes = {n: Choice(options=tuple(map(str, v))) for n, v in zip(table.names, table.values, strict=True)}
    surrogate = Surrogate(Space(name="table", axes=axes), Budget(), seed=seed, startup=startup)
    trained, refused = list[int](), 0
    for number in range(1, MARKS["study"][-1] + 1):
        for point in surrogate.ask(number, ASKS):
            place = table.place.get(tuple(int(point[name]) for name in table.names))
            if place is not None and place not in trained:
                break
            refused += 1
        else:
            break
        surrogate.began(number, point)
        latency = SimpleNamespace(median_ms=table.latency[place], memory_mib=None)
        # what a study writes down of a trial, as far as the surrogate reads it
        record: Any = SimpleNamespace(number=number, params=None, macs=None, latency=latency, rungs=(), trained=True)
        record.miou = table.accuracy[place]
        surrogate.ended(record)
        trained.append(place)
    return {"scores": [table.share(trained[:mark]) for mark in MARKS["study"]], "refused": refused, "repeats": 0}


def apart(table: Table, place: int, others: Sequence[int]) -> int:
    """Count the choices in which a network differs from the nearest of others."""
    mine = table.choices[place]
    return min((sum(a != b for a, b in zip(mine, table.choices[i], strict=True)) for i in others), default=0)


def climb(table: Table, sampler: str, seed: int) -> ROW:
    """Score early, and let a third go on: by the model, or at random; return the trainings spent per percent."""
    rng, begun, ended, cost = random.Random(seed), list[int](), list[int](), 0.0
    spent = dict[int, float]()
    names = tuple(
        Parameter(name, CategoricalDistribution(values), stem=name)
        for name, values in zip(table.names, table.values, strict=True)
    )
    tree = Tree(names, {})
    points = [dict(zip(table.names, choices, strict=True)) for choices in table.choices]
    known = [Candidate(key_of(p), p, (ms,)) for p, ms in zip(points, table.latency, strict=True)]

    def told(place: int) -> Trial:
        values = (table.accuracy[place], -table.latency[place]) if place in ended else None
        return Trial(points[place], known[place].costs, values, rungs=(table.early[place],))

    def fitted() -> Model:
        trials, worst = [told(place) for place in begun], [max(table.latency)]
        return Model(tree, trials, objectives=2, priced=(1,), startup=STARTUP, worst=worst, rungs=1)

    while cost < MOST_COST and len(spent) < len(MARKS["fidelity"]) and len(begun) < len(points):
        paused = [place for place in begun if place not in ended]
        if len(ended) + 1 <= GOES_ON * len(begun):
            if sampler == "pareto":
                ended.append(paused[int(np.argmax(fitted().improvement_of([told(p) for p in paused])))])
            else:
                ended.append(rng.choice(paused))
            cost += 1 - EARLY
            share = table.share(ended)
            spent |= {mark: cost for mark in MARKS["fidelity"] if share >= mark and mark not in spent}
            continue
        free = sorted(set(range(len(points))) - set(begun))
        if sampler == "random" or len(begun) < STARTUP:
            strata = free_strata(STARTUP, table.latency, [table.latency[p] for p in begun])
            if sampler == "pareto" and strata:
                low, high = strata[len(strata) // 2]
                free = [place for place in free if low <= table.latency[place] < high]
            some = rng.sample(free, min(len(free), SPREAD if sampler == "pareto" else 1))
            begun.append(max(some, key=lambda place: apart(table, place, begun)))
        else:
            begun.append(free[int(np.argmax(fitted().improvement([known[place] for place in free])))])
        cost += EARLY
    return {"scores": [spent.get(mark, MOST_COST) for mark in MARKS["fidelity"]], "refused": 0, "repeats": 0}


def run(table: Table, mode: Mode, sampler: str, seed: int) -> ROW:
    start = time.process_time()
    if mode == "fidelity":
        found = climb(table, sampler, seed)
    elif mode == "study" and sampler in STARTUPS:
        found = learn(table, STARTUPS[sampler], seed)
    else:
        found = search(table, mode, sampler, seed)
    return {"mode": mode, "sampler": sampler, "seed": seed, "cpu_seconds": time.process_time() - start, **found}


def summary(rows: Sequence[ROW]) -> list[ROW]:
    """Mean and standard error over seeds per way and sampler."""
    found = []
    for mode, sampler in dict.fromkeys((row["mode"], row["sampler"]) for row in rows):
        these = [row for row in rows if (row["mode"], row["sampler"]) == (mode, sampler)]
        scores = np.array([row["scores"] for row in these])
        errors = scores.std(0, ddof=1) / len(these) ** 0.5 if len(these) > 1 else np.zeros(scores.shape[1])
        found.append(
            {
                "mode": mode,
                "sampler": sampler,
                "seeds": len(these),
                "marks": list(MARKS[mode]),
                "mean": scores.mean(0).round(2).tolist(),
                "standard_error": errors.round(2).tolist(),
                "refused": float(np.mean([row["refused"] for row in these])),
                "cpu_seconds": float(np.mean([row["cpu_seconds"] for row in these])),
            }
        )
    return found


TITLES = {
    "flat": "Flat: hypervolume in percent after so many trainings",
    "conditional": "Conditional: the same, all choices but the first named after its value",
    "study": "Study: the same, all choices at once; latency is known of what was trained alone",
    "gate": "Gate: accuracy short of the best allowed after so many trainings; refused: proposals over the limit",
    "fidelity": "Fidelity: cost in trainings to so many percent of hypervolume",
}


def markdown(found: Sequence[ROW]) -> str:
    lines = list[str]()
    for mode in dict.fromkeys(row["mode"] for row in found):
        these = [row for row in found if row["mode"] == mode]
        marks = [
            f"{'@' if mode != 'fidelity' else ''}{mark}{' %' if mode == 'fidelity' else ''}" for mark in MARKS[mode]
        ]
        lines += ["", f"## {TITLES[mode]}", "", f"| sampler | seeds | {' | '.join(marks)} | refused | CPU s a run |"]
        lines += ["|---" * (4 + len(marks)) + "|"]
        for row in these:
            cells = [f"{m:.1f} ± {e:.1f}" for m, e in zip(row["mean"], row["standard_error"], strict=True)]
            facts = f"{row['refused']:.1f} | {row['cpu_seconds']:.1f}"
            lines.append(f"| {row['sampler']} | {row['seeds']} | {' | '.join(cells)} | {facts} |")
    return "\n".join(lines).strip() + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--table", type=Path, help="CSV file; of two accuracies for fidelity")
    source.add_argument("--drawn", type=int, metavar="SEED", help="a made-up space in place of a file")
    parser.add_argument("--out", type=Path, required=True, help="folder of runs.jsonl, samplers.json and samplers.md")
    parser.add_argument("--modes", nargs="+", choices=list(MARKS), default=["flat", "conditional", "gate"])
    parser.add_argument(
        "--samplers",
        nargs="+",
        choices=list(dict.fromkeys((*SAMPLERS, *STARTUPS))),
        default=["pareto", "tpe", "nsga2", "random"],
    )
    parser.add_argument("--seeds", type=int, default=20)
    chosen = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore")
    table = Table.read(chosen.table) if chosen.table else Table.drawn(chosen.drawn)
    runs = chosen.out / "runs.jsonl"
    rows = read_lines(runs)
    done = {(row["mode"], row["sampler"], row["seed"]) for row in rows}
    for mode in chosen.modes:
        for sampler in chosen.samplers:
            for seed in range(chosen.seeds):
                if (mode, sampler, seed) not in done:
                    rows.append(run(table, mode, sampler, seed))
                    append_line(runs, rows[-1])
                    print(f"{mode} {sampler} seed {seed}: {rows[-1]['scores']}", file=sys.stderr, flush=True)
    found = summary(rows)
    (chosen.out / "samplers.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (chosen.out / "samplers.md").write_text(markdown(found), encoding="utf-8")
    print(markdown(found), end="")


if __name__ == "__main__":
    main()
