"""Whole-training throughput against a PIL + DataLoader baseline: ``python benchmarks/input.py --camvid DIR``.

The same network takes the same kind of steps on views of the same images; only the way that batches come differs. Both
take turns, ``--rounds`` times, in this process. The baseline decodes each file anew, resizes, mirrors, zooms and crops
it with PIL, and stacks in ``--workers`` processes. Writes a table to ``--out``.
"""

import argparse
import platform
import random
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from segsearch.cli.arguments import size_hw
from segsearch.data.augment import Augment
from segsearch.data.config import CamVidData
from segsearch.data.dataset import IGNORE
from segsearch.data.filedataset import FileDataset
from segsearch.data.loader import batches, stream_of
from segsearch.data.normalise import MEAN, STD
from segsearch.data.open import open_data
from segsearch.measure.machine import device_name
from segsearch.models.network import build
from segsearch.space.points import named_point
from segsearch.training.memory_format import memory_format_of
from segsearch.training.recipe import Recipe
from segsearch.training.session import Session

SCALE = (0.5, 2.0)


class Plain(TorchDataset[tuple[Tensor, Tensor]]):
    """The usual way: files through PIL, one view at a time."""

    def __init__(self, data: FileDataset, size: tuple[int, int]) -> None:
        self.pairs, self.size = data.pairs, size

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        height, width = self.size
        image = Image.open(self.pairs[index].image).convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
        label = Image.open(self.pairs[index].label).resize((width, height), Image.Resampling.NEAREST)
        if random.random() < 0.5:
            image, label = (one.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for one in (image, label))
        scale = random.uniform(*SCALE)
        scaled = (round(width * scale), round(height * scale))
        image, label = image.resize(scaled, Image.Resampling.BILINEAR), label.resize(scaled, Image.Resampling.NEAREST)
        left, top = (random.randint(min(0, a - b), max(0, a - b)) for a, b in zip(scaled, (width, height), strict=True))
        box = (left, top, left + width, top + height)
        pixels, ids = np.asarray(image.crop(box)), np.asarray(label.crop(box))
        normal = (torch.from_numpy(pixels / 255).float() - torch.tensor(MEAN)) / torch.tensor(STD)
        return normal.permute(2, 0, 1), torch.from_numpy(np.where(ids > 10, IGNORE, ids)).long()


def plain(data: FileDataset, options: argparse.Namespace) -> Iterator[tuple[Tensor, Tensor]]:
    loader = DataLoader(
        Plain(data, size_hw(options.size)),
        options.batch,
        shuffle=True,
        drop_last=True,
        num_workers=options.workers,
        persistent_workers=options.workers > 0,
        pin_memory=options.device != "cpu",
    )
    while True:
        for image, label in loader:
            yield image.to(options.device, non_blocking=True), label.to(options.device, non_blocking=True)


def ours(data: FileDataset, options: argparse.Namespace) -> Iterator[tuple[Tensor, Tensor]]:
    device = torch.device(options.device)
    return batches(data, options.batch, Augment(scale=SCALE), 0, 0, 10**9, device, stream_of(data, device))


def main() -> None:
    options = _options()
    data = open_data(CamVidData(root=str(options.camvid), size=size_hw(options.size), split="official")).train
    assert isinstance(data, FileDataset)
    device = torch.device(options.device)
    ways = {"PIL + DataLoader": plain(data, options), "segsearch": ours(data, options)}
    sessions = {way: _session(options, device) for way in ways}
    rates: dict[str, list[float]] = {way: [] for way in ways}
    waited: dict[str, list[float]] = {way: [] for way in ways}
    for round_number in range(options.rounds + 1):  # the first one fills caches and starts workers
        for way, stream in ways.items():
            rate, share = _timed(stream, sessions[way], options, device)
            if round_number:
                rates[way].append(rate)
                waited[way].append(share)
                print(f"round {round_number}: {way} {rate:.1f} images/s, waited {share:.1%}", flush=True)
    text = _table(options, rates, waited)
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


def _session(options: argparse.Namespace, device: torch.device) -> Session:
    recipe = Recipe(iterations=10**8, batch_size=options.batch)
    network = build(named_point(options.point).spec, 11)
    network.to(device, memory_format=memory_format_of(network, device, True))  # type: ignore[call-overload]
    return Session(network.train(), recipe, images=367, device=device, class_weights=None)


def _timed(
    stream: Iterator[tuple[Tensor, Tensor]], session: Session, options: argparse.Namespace, device: torch.device
) -> tuple[float, float]:
    """Images a second, and the share of the time in which a step waited for its batch."""
    waited, begun = 0.0, time.perf_counter()
    for _ in range(options.steps):
        asked = time.perf_counter()
        image, label = next(stream)
        waited += time.perf_counter() - asked
        session.step(image, label)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    seconds = time.perf_counter() - begun
    return options.steps * options.batch / seconds, waited / seconds


def _table(options: argparse.Namespace, rates: dict[str, list[float]], waited: dict[str, list[float]]) -> str:
    where = device_name(torch.device(options.device))
    rows = [
        f"| {way} | {statistics.median(rates[way]):.1f} | {min(rates[way]):.1f} to {max(rates[way]):.1f}"
        f" | {100 * statistics.median(waited[way]):.1f} |"
        for way in rates
    ]
    plain_rate, our_rate = (statistics.median(rates[way]) for way in rates)
    head = (
        f"{options.point}, {options.size}, batches of {options.batch}, {options.rounds} rounds of {options.steps}"
        f" steps, {options.workers} worker processes for the baseline, {torch.get_num_threads()} threads, {where}, "
        f"torch {torch.__version__}, Python {platform.python_version()}"
    )
    lines = [
        *("# Whole-training throughput", "", head, ""),
        "| input | images/s, median | of the rounds | waited for data, % |",
        "|---|---|---|---|",
        *(*rows, "", f"Ratio of the medians: {our_rate / plain_rate:.2f}"),
    ]
    return "\n".join(lines) + "\n"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--camvid", type=Path, required=True)
    parser.add_argument("--point", default="fpenet")
    parser.add_argument("--size", default="176x240")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
