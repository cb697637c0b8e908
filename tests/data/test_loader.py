import gc
import multiprocessing.util
import os
import pickle
import signal
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segsearch.data import loader
from segsearch.data.augment import PLAIN, Augment, vary
from segsearch.data.dataset import IGNORE, Memory, Pair
from segsearch.data.loader import Place, batches, indices_of, stream_of
from segsearch.data.normalise import MEAN, STD, to_tensor
from segsearch.data.streets.dataset import Streets
from segsearch.deployment.images import Fit
from segsearch.errors import InputError, MachineError

VARIED = Augment(flip=True, scale=(0.5, 2.0), crop=(20, 24))


@pytest.fixture(scope="module")
def streets() -> Streets:
    return Streets(count=5, seed=0, split="train", size_hw=(32, 48))


@given(st.integers(1, 40), st.integers(2, 9), st.integers(0, 2**40))
def test_every_epoch_shows_each_image_once_in_full_batches(count: int, batch_size: int, seed: int) -> None:
    total = -(-3 * count // batch_size)
    stream = [i for k in range(total) for i in indices_of(count, batch_size, seed, k)]
    assert len(stream) == total * batch_size
    for epoch in range(3):
        assert sorted(stream[epoch * count : (epoch + 1) * count]) == list(range(count))


def test_epochs_and_seeds_differ_in_order() -> None:
    epochs = [tuple(indices_of(50, 50, seed, k)) for seed in (0, 1) for k in (0, 1)]
    assert len(set(epochs)) == 4


@settings(max_examples=10)
@given(st.integers(0, 10), st.integers(0, 1000))
def test_a_resumed_stream_goes_on_as_it_would_have(start: int, seed: int) -> None:
    streets = Streets(count=5, seed=0, split="train", size_hw=(32, 48))
    unbroken = list(batches(streets, 3, VARIED, seed, 0, 12))[start:]
    torch.manual_seed(start)  # chance elsewhere must not matter
    resumed = list(batches(streets, 3, VARIED, seed, start, 12))
    assert len(resumed) == 12 - start
    for (a, b), (c, d) in zip(unbroken, resumed, strict=True):
        assert torch.equal(a, c) and torch.equal(b, d)


def test_batches_have_the_promised_shapes_and_values(streets: Streets) -> None:
    for image, label in batches(streets, 4, VARIED, 0, 0, 4):
        assert image.shape == (4, 3, 20, 24) and image.dtype == torch.float32
        assert label.shape == (4, 20, 24) and label.dtype == torch.int64
        assert set(label.unique().tolist()) <= {*range(11), IGNORE}
        assert image.isfinite().all()


def test_without_augmentation_batches_are_the_images(streets: Streets) -> None:
    ((image, label),) = batches(streets, 4, None, 0, 0, 1)
    for k, i in enumerate(indices_of(5, 4, 0, 0)):
        assert torch.equal(label[k], torch.from_numpy(streets[i][1].copy()).long())
        assert torch.equal(image[k : k + 1], to_tensor(streets[i][0][None].copy()))


@pytest.mark.parametrize("place", ["device", "workers"])
def test_batches_are_the_same_wherever_the_images_are(place: Place, streets: Streets) -> None:
    device = torch.device("cpu")
    here = stream_of(streets, device, "memory")
    there = stream_of(streets, device, place)
    for one, other in zip(
        *(batches(streets, 3, VARIED, 7, 2, 9, stream=stream) for stream in (here, there)), strict=True
    ):
        assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])


@pytest.mark.parametrize("place", ["memory", "device", "workers"])
def test_batches_draw_nothing_from_the_chance_of_dropout(place: Place, streets: Streets) -> None:
    before = torch.get_rng_state()
    list(batches(streets, 3, VARIED, 7, 0, 2, stream=stream_of(streets, torch.device("cpu"), place)))
    assert torch.equal(torch.get_rng_state(), before)


class Bad:
    """Pairs of which one cannot be read, and one ends the process that reads it."""

    name, classes, colours = "bad", ("a", "b"), ((0, 0, 0), (1, 1, 1))
    fit: Fit = "stretch"

    def __init__(self, fatal: bool) -> None:
        self.fatal = fatal

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Pair:
        if index == 3 and self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        if index == 3:
            raise InputError("3.png", "cannot be read", "a file")
        return np.zeros((2, 3, 3), np.uint8), np.zeros((2, 3), np.uint8)

    def content(self) -> dict[str, str]:
        return {}


def test_a_worker_passes_on_what_it_cannot_read() -> None:
    data = Bad(fatal=False)
    with pytest.raises(InputError, match=r"^3\.png: cannot be read \(allowed: a file\)$"):
        list(batches(data, 2, None, 0, 0, 2, stream=stream_of(data, torch.device("cpu"), "workers")))


def test_a_worker_that_is_killed_is_the_machines_fault() -> None:
    data = Bad(fatal=True)
    with pytest.raises(MachineError, match="this machine: a process that reads images ended: DataLoader worker"):
        list(batches(data, 2, None, 0, 0, 2, stream=stream_of(data, torch.device("cpu"), "workers")))


class Aborts(Bad):
    """Its process is killed as it ends, as happens where C++ threads outlive it on a busy machine."""

    def __getitem__(self, index: int) -> Pair:
        if multiprocessing.parent_process() is not None:
            multiprocessing.util.Finalize(None, os.abort, exitpriority=0)
        return super().__getitem__(0)


def test_a_worker_that_is_killed_as_it_ends_harms_nobody() -> None:
    data = Aborts(fatal=False)
    assert len(list(batches(data, 2, None, 0, 0, 2, stream=stream_of(data, torch.device("cpu"), "workers")))) == 2
    gc.collect()


def test_images_that_do_not_fit_are_read_by_workers(streets: Streets, monkeypatch: pytest.MonkeyPatch) -> None:
    assert loader._place(streets, torch.device("cpu")) == "memory"
    monkeypatch.setattr(loader, "LIMIT_BYTES", 5 * 32 * 48 * 4 - 1)
    assert loader._place(streets, torch.device("cpu")) == "workers"


def test_normalise() -> None:
    image = np.zeros((1, 2, 3, 3), np.uint8)
    image[0, 1, 2] = (255, 128, 0)
    tensor = to_tensor(image)
    assert tensor.shape == (1, 3, 2, 3) and tensor.is_contiguous()
    expected = [(v / 255 - m) / s for v, m, s in zip((255, 128, 0), MEAN, STD, strict=True)]
    assert tensor[0, :, 1, 2].tolist() == pytest.approx(expected, abs=1e-5)


def pattern(size_hw: tuple[int, int] = (32, 48)) -> tuple[torch.Tensor, torch.Tensor]:
    """An image that shows its own label: channel 0 is the label's value."""
    label = torch.arange(size_hw[0])[:, None] // 4 + torch.arange(size_hw[1])[None, :] // 4
    label = (label % 7).long().expand(6, -1, -1).contiguous()
    return torch.stack([label.float()] * 3, dim=1), label


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_plain_changes_nothing() -> None:
    image, label = pattern()
    seen, marked = vary(image, label, PLAIN, chance())
    assert torch.equal(seen, image) and torch.equal(marked, label)


def test_flip_mirrors_image_and_label_together_exactly() -> None:
    image, label = pattern()
    seen, marked = vary(image, label, Augment(), chance())
    mirrored = [torch.equal(marked[k], label[k].flip(1)) for k in range(6)]
    assert 0 < sum(mirrored) < 6
    assert torch.equal(seen[:, 0], marked.float())


@settings(max_examples=30)
@given(
    st.integers(0, 2**60),
    st.floats(0.4, 1.5),
    st.floats(1.0, 2.0),
    st.booleans(),
    st.integers(8, 60),
    st.integers(8, 60),
)
def test_image_and_label_go_through_the_same_grid(
    seed: int, low: float, ratio: float, flip: bool, height: int, width: int
) -> None:
    image, label = pattern()
    settings = Augment(flip=flip, scale=(low, low * ratio), crop=(height, width))
    seen, marked = vary(image + 10, label, settings, chance(seed))
    assert marked.shape == (6, height, width) and seen.shape == (6, 3, height, width)
    inside = marked != IGNORE
    assert inside.any()
    assert int(marked[inside].max()) <= 6
    flat = (seen[:, 0] - seen[:, 0].round()).abs() < 1e-4
    flat &= seen[:, 0] >= 10
    agree = (seen[:, 0] - 10).round().long() == marked
    assert agree[flat & inside].float().mean() > 0.85  # the rest: means of two classes that happen to be whole
    assert (seen[:, 0][~inside] < 16).all()


@settings(max_examples=40)
@given(st.integers(0, 2**60), st.floats(0.4, 2.5), st.booleans(), st.tuples(st.integers(5, 60), st.integers(5, 60)))
def test_the_label_is_of_the_very_place_that_is_seen(
    seed: int, scale: float, flip: bool, crop: tuple[int, int]
) -> None:
    """The image shows where each of its pixels lies, the label says it: both agree to half a pixel, odd sizes too."""
    height, width = 33, 47
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    image = torch.stack([x, y]).float().expand(4, -1, -1, -1)
    places = (1000 + y * width + x).expand(4, -1, -1)
    seen, marked = vary(image, places, Augment(flip=flip, scale=(scale, scale), crop=crop), chance(seed))
    rows, columns = (marked - 1000) // width, (marked - 1000) % width
    inner = (marked != IGNORE) & (rows > 0) & (rows < height - 1) & (columns > 0) & (columns < width - 1)
    assert (seen[:, 0] - columns).abs()[inner].le(0.501).all()
    assert (seen[:, 1] - rows).abs()[inner].le(0.501).all()


def test_crops_come_from_everywhere() -> None:
    places = torch.arange(32 * 48).view(1, 32, 48).expand(400, -1, -1)
    _, marked = vary(torch.zeros(400, 3, 32, 48), places, Augment(flip=False, crop=(28, 44)), chance())
    rows, columns = marked[:, 0, 0] // 48, marked[:, 0, 0] % 48
    assert set(rows.tolist()) == set(columns.tolist()) == set(range(5))


def test_beyond_the_image_lies_the_mean_colour_and_nothing_to_learn() -> None:
    image, label = pattern()
    seen, marked = vary(image + 10, label, Augment(flip=False, scale=(0.5, 0.5)), chance())
    assert seen.shape == image.shape
    share = (marked == IGNORE).float().mean(dim=(1, 2))
    assert torch.allclose(share, torch.full((6,), 0.75), atol=0.06)
    assert (seen[:, 0][marked == IGNORE] == 0).float().mean() > 0.9


def test_crop_without_scale_is_a_window_of_the_label() -> None:
    _, _label = pattern()
    codes = torch.arange(32 * 48).view(1, 32, 48)  # beyond classes, but exact in float32
    _, marked = vary(torch.zeros(1, 3, 32, 48), codes, Augment(flip=False, crop=(10, 12)), chance(4))
    rows, columns = marked[0] // 48, marked[0] % 48
    assert (rows[1:] - rows[:-1] == 1).all() and (columns[:, 1:] - columns[:, :-1] == 1).all()


def test_a_full_memory_keeps_what_it_has_and_a_copy_starts_empty() -> None:
    def pair() -> Pair:
        return np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.uint8)

    memory = Memory(limit_bytes=33)
    kept = [memory.put(k, pair()) for k in range(3)]
    assert memory.used_bytes == 32
    assert memory.get(0) is kept[0] and memory.get(1) is kept[1] and memory.get(2) is None
    with pytest.raises(ValueError, match="read-only"):
        kept[0][0][0] = 1
    assert pickle.loads(pickle.dumps(memory)).get(0) is None


def test_chance_is_spread_over_the_batch(streets: Streets) -> None:
    settings = Augment(flip=False, scale=(0.5, 2.0))
    labels = [label for _, label in batches(streets, 5, settings, 0, 0, 6)]
    outside = Counter(bool((one == IGNORE).float().mean() > 0.3) for batch in labels for one in batch)
    assert outside[True] > 2 and outside[False] > 2
    assert all(not torch.equal(a, b) for a, b in pairwise(labels))
