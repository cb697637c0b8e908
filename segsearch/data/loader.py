"""Batches for training: an endless shuffled stream whose place is one number, from wherever the images fit."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from segsearch.data.augment import PLAIN, Augment, vary
from segsearch.data.dataset import LIMIT_BYTES, Dataset, Pair
from segsearch.data.normalise import to_tensor
from segsearch.errors import InputError, MachineError, one_line

_SHUFFLE, _VARY = 1, 2  # two random streams that never meet

Place = Literal["device", "memory", "workers"]
"""Where decoded images are kept: all of them on the device, in this process, or nowhere: processes read them anew."""
Stream = Callable[[Iterable[list[int]]], Iterator[tuple[Tensor, Tensor]]]
"""From the indices of each batch to images uint8 (B, H, W, 3) and labels uint8 (B, H, W) on the device."""

DEVICE_SHARE = 0.5
"""Of a GPU's free memory that images may take; the rest is for the network."""
MOST_WORKERS = 8


def batches(
    dataset: Dataset,
    batch_size: int,
    augment: Augment | None,
    seed: int,
    start: int,
    total: int,
    device: torch.device | str = "cpu",
    stream: Stream | None = None,
    share: Callable[[list[int]], list[int]] | None = None,
    rank: int = 0,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Give batches ``start`` .. ``total - 1`` of a stream.

    Batch k depends on (seed, k) alone, so a run that resumes at k sees what it would have seen. Every epoch shows each
    image once in a new order; a batch that an epoch cannot fill takes the rest from the next, so all batches are full.
    ``stream``: as `stream_of` gives it, to be used again; by default a new one. ``share`` takes the part of a batch
    that is this process's, out of several, which draws the views of its images by its ``rank``.

    Yields:
        image float32 (B, 3, h, w), normalised, and label int64 (B, h, w), on ``device``.

    Raises:
        InputError: an image or label turns out to be unreadable. MachineError: a process that reads them died.
    """
    stream = stream or stream_of(dataset, torch.device(device))
    whole = (indices_of(len(dataset), batch_size, seed, k) for k in range(start, total))
    orders = whole if share is None else map(share, whole)
    for k, (images, labels) in enumerate(stream(orders), start=start):
        generator = torch.Generator().manual_seed(_mixed(seed, _VARY, k, *([rank] if rank else [])))
        yield vary(to_tensor(images), labels.long(), augment or PLAIN, generator)


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


def stream_of(dataset: Dataset, device: torch.device, place: Place | None = None) -> Stream:
    """Return the way from a dataset to the device; batches are the same for each place.

    Args:
        dataset: images of one size.
        device: where batches are wanted.
        place: by default the first of these where all images fit: the device, if it is a GPU; this process's memory,
            up to `LIMIT_BYTES`; else processes that read them again and again.

    Raises:
        InputError: an image or label turns out to be unreadable.
    """
    return _STREAMS[place or _place(dataset, device)](dataset, device)


def _place(dataset: Dataset, device: torch.device) -> Place:
    needed = len(dataset) * sum(array.nbytes for array in dataset[0])
    if device.type == "cuda" and needed <= DEVICE_SHARE * torch.cuda.mem_get_info(device)[0]:
        return "device"
    return "memory" if needed <= LIMIT_BYTES else "workers"


def _from_device(dataset: Dataset, device: torch.device) -> Stream:
    image, label = dataset[0]
    images = torch.empty(len(dataset), *image.shape, dtype=torch.uint8, device=device)
    labels = torch.empty(len(dataset), *label.shape, dtype=torch.uint8, device=device)
    for index in range(len(dataset)):
        for kept, array in zip((images, labels), dataset[index], strict=True):
            kept[index] = torch.tensor(array)

    def stream(orders: Iterable[list[int]]) -> Iterator[tuple[Tensor, Tensor]]:
        for order in orders:
            chosen = torch.tensor(order, device=device)
            yield images[chosen], labels[chosen]

    return stream


def _from_memory(dataset: Dataset, device: torch.device) -> Stream:
    def stream(orders: Iterable[list[int]]) -> Iterator[tuple[Tensor, Tensor]]:
        for order in orders:
            images, labels = _stacked([dataset[index] for index in order])
            yield images.to(device), labels.to(device)

    return stream


def _from_workers(dataset: Dataset, device: torch.device) -> Stream:
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    def stream(orders: Iterable[list[int]]) -> Iterator[tuple[Tensor, Tensor]]:
        loader: DataLoader[Pair] = DataLoader(
            _Careful(dataset),  # type: ignore[arg-type]  # it asks for what has a length and items
            batch_sampler=orders,
            num_workers=max(1, min(MOST_WORKERS, here - 1)),
            collate_fn=_collated,
            worker_init_fn=_quiet,
            multiprocessing_context="spawn",  # a fork of a process with threads, or with a GPU, may hang
            pin_memory=device.type == "cuda",
            generator=torch.Generator(),  # else it draws from that of the training, which then depends on the place
        )
        iterator = iter(loader)
        try:
            for batch in iterator:
                if isinstance(batch, InputError):
                    raise batch
                yield batch[0].to(device, non_blocking=True), batch[1].to(device, non_blocking=True)
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            if iterator._shutdown:  # type: ignore[attr-defined]
                return  # all batches were given: a worker was killed as it ended
            raise MachineError(f"this machine: a process that reads images ended: {one_line(error)}") from error
        finally:
            # here, and not when it is collected: a worker that aborts as it ends is an error that nobody could catch
            with contextlib.suppress(RuntimeError):
                iterator._shutdown_workers()  # type: ignore[attr-defined]

    return stream


_STREAMS: dict[Place, Callable[[Dataset, torch.device], Stream]] = {
    "device": _from_device,
    "memory": _from_memory,
    "workers": _from_workers,
}


@dataclass(frozen=True)
class _Careful:
    """Gives errors instead of raising them: of those raised in a worker, torch keeps the text alone."""

    dataset: Dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Pair | InputError:
        try:
            return self.dataset[index]
        except InputError as error:
            return error


def _collated(pairs: Sequence[Pair | InputError]) -> tuple[Tensor, Tensor] | InputError:
    wrong = next((pair for pair in pairs if isinstance(pair, InputError)), None)
    return wrong or _stacked([pair for pair in pairs if not isinstance(pair, InputError)])


def _quiet(worker: int) -> None:
    """Leave Ctrl-C to the process that trains, which ends this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _stacked(pairs: Sequence[Pair]) -> tuple[Tensor, Tensor]:
    images, labels = zip(*pairs, strict=True)
    return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(labels))


def _mixed(*numbers: int) -> int:
    """Mix numbers into one seed of 63 bits."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
