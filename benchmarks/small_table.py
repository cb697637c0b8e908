"""Train every network of a small space for a moment: ``python benchmarks/small_table.py TABLE.csv``.

Makes the table that tests compare samplers on: the choices by their places, mIoU on drawn streets after a short
training, and multiply-adds in millions as the cost, which no load on the machine changes. About three minutes on one
processor core; the same command goes on where it was stopped.
"""

import argparse
import csv
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from segsearch.count.cost import count
from segsearch.engine.prepare import set_up
from segsearch.models.network import build
from segsearch.space.load import load_space, narrow
from segsearch.space.lower import lower
from segsearch.space.nodes import Scalar
from segsearch.space.walk import every_point
from segsearch.study.config import parse_study
from segsearch.trial import train_trial

VARIED: dict[str, list[Scalar]] = {
    "finest": ["P2", "P3"],
    "encoder_width": [0.25, 0.5, 1.0],
    "encoder.fpe.p": [2, 4],
    "encoder.fpe.q": [2, 5],
    "fusion_width": [16, 48],
    "fusion": ["fpn", "up"],
}
HELD: dict[str, list[Scalar]] = {
    "input_scale": [1.0],
    "coarsest": ["P4"],
    "encoder": ["fpe"],
    "encoder.fpe.expansion": [4],
    "encoder.fpe.dilations": ["1"],
    "encoder.fpe.cascade": [False],
    "encoder.fpe.long_skip": [False],
    "context": ["none"],
    "fusion.fpn.style": ["sfnet"],
    "fusion.up.widths": ["constant"],
    "smooth": [False],
    "head": ["plain"],
    "pool": ["avg"],
}
STUDY = {
    "name": "table",
    "data": {"name": "streets", "size": [64, 96], "train": 32, "val": 16},
    "recipe": {"iterations": 40, "batch_size": 4, "learning_rate": 5e-3},
    "trials": 1,
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    path = parser.parse_args(arguments).table
    torch.set_num_threads(1)
    setup = set_up(parse_study(STUDY, "small_table.py"))
    space = narrow(load_space("unified"), {**VARIED, **HELD})
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    done = {tuple(row[: len(VARIED)]) for row in csv.reader(lines[1:])}
    with path.open("a", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        if not lines:
            rows.writerow([*(name.replace(".", "_") for name in VARIED), "miou", "macs_millions"])
        for point in every_point(space):
            places = [str(values.index(point[name])) for name, values in VARIED.items()]
            if tuple(places) in done:
                continue
            spec = lower(point)
            cost = count(build(spec, len(setup.splits.train.classes)), setup.size_hw)
            with tempfile.TemporaryDirectory() as folder:
                result = train_trial(spec, setup, Path(folder), seed=0)
            assert result.scores is not None, result.reason
            rows.writerow([*places, f"{result.scores.miou:.4f}", f"{cost.macs / 1e6:.2f}"])
            file.flush()


if __name__ == "__main__":
    main()
