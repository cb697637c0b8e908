"""Batches for training: an endless shuffled stream whose place is one number."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from segsearch.data.augment import PLAIN, Augment, vary
from segsearch.data.dataset import Dataset
from segsearch.data.normalise import to_tensor

_SHUFFLE, _VARY = 1, 2  # two streams of chance that never meet


def batches(
    dataset: Dataset,
    batch_size: int,
    augment: Augment | None,
    seed: int,
    start: int,
    total: int,
    device: torch.device | str = "cpu",
) -> Iterator[tuple[Tensor, Tensor]]:
    """Give batches ``start`` .. ``total - 1`` of a stream.

    Batch k depends on (seed, k) alone, so a run that resumes at k sees what it would have seen. Every epoch shows each
    image once in a new order; a batch that an epoch cannot fill takes the rest from the next, so all batches are full.

    Yields:
        image float32 (B, 3, h, w), normalised, and label int64 (B, h, w), on ``device``.

    Raises:
        InputError: an image or label turns out to be unreadable.
    """
    for k in range(start, total):
        image, label = _stack(dataset, indices_of(len(dataset), batch_size, seed, k), device)
        generator = torch.Generator().manual_seed(_mixed(seed, _VARY, k))
        yield vary(image, label, augment or PLAIN, generator)


def indices_of(count: int, batch_size: int, seed: int, k: int) -> list[int]:
    """Images of batch k, out of ``count``."""
    orders: dict[int, list[int]] = {}
    chosen = []
    for place in range(k * batch_size, (k + 1) * batch_size):
        epoch, offset = divmod(place, count)
        if epoch not in orders:
            orders[epoch] = np.random.default_rng([seed, _SHUFFLE, epoch]).permutation(count).tolist()
        chosen.append(orders[epoch][offset])
    return chosen


def _stack(dataset: Dataset, indices: Sequence[int], device: torch.device | str) -> tuple[Tensor, Tensor]:
    pairs = [dataset[i] for i in indices]
    images = torch.from_numpy(np.stack([image for image, _ in pairs])).to(device)
    labels = torch.from_numpy(np.stack([label for _, label in pairs])).to(device)
    return to_tensor(images), labels.long()


def _mixed(*numbers: int) -> int:
    """Mix numbers into one seed of 63 bits."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
