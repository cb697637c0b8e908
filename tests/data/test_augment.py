"""Turns and colours; flips, zooms and crops are tried in test_loader."""

import dataclasses
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segsearch.data.augment import RECOLOURINGS, SIGMA, Augment, blur, vary
from segsearch.data.dataset import IGNORE
from segsearch.data.loader import batches
from segsearch.data.normalise import MEAN, STD, to_tensor
from segsearch.data.streets.dataset import Streets
from segsearch.training.recipe import Recipe


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photos(count: int = 6, size_hw: tuple[int, int] = (9, 11)) -> tuple[torch.Tensor, torch.Tensor]:
    """Random images in 0 .. 255, normalised, and labels of no importance."""
    pixels = torch.randint(0, 256, (count, *size_hw, 3), generator=chance(9), dtype=torch.uint8)
    return to_tensor(pixels), torch.zeros(count, *size_hw, dtype=torch.int64)


def colours(image: torch.Tensor) -> torch.Tensor:
    """Undo the normalisation: 0 .. 1."""
    return image * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)


def grey(image: torch.Tensor) -> torch.Tensor:
    return (image * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True)


def test_every_setting_is_a_field_of_recipes_and_every_recolouring_a_setting() -> None:
    names = {field.name for field in dataclasses.fields(Augment)}
    assert names <= set(Recipe.model_fields) and set(RECOLOURINGS) <= names


@settings(max_examples=40)
@given(st.integers(0, 2**60), st.floats(0.5, 2.0), st.booleans(), st.sampled_from([10.0, 90.0, 180.0]))
def test_turned_labels_are_exact_and_of_the_very_place_that_is_seen(
    seed: int, scale: float, flip: bool, degrees: float
) -> None:
    """The image shows where each of its pixels lies, the label says it; distances stay those of one zoom."""
    height, width = 33, 47
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    image = torch.stack([x, y, x]).float().expand(4, -1, -1, -1)
    places = (1000 + y * width + x).expand(4, -1, -1)
    views = Augment(flip=flip, scale=(scale, scale), crop=(24, 40), rotate=degrees)
    seen, marked = vary(image, places, views, chance(seed))
    assert set(marked.unique().tolist()) <= {IGNORE, *range(1000, 1000 + height * width)}
    rows, columns = (marked - 1000) // width, (marked - 1000) % width
    inner = (marked != IGNORE) & (rows > 0) & (rows < height - 1) & (columns > 0) & (columns < width - 1)
    assert (seen[:, 0] - columns).abs()[inner].le(0.501).all()
    assert (seen[:, 1] - rows).abs()[inner].le(0.501).all()
    pairs = inner[:, :, 1:] & inner[:, :, :-1]
    apart = (seen[:, :2, :, 1:] - seen[:, :2, :, :-1]).square().sum(1).sqrt()
    assert torch.allclose(apart[pairs], torch.tensor(1 / scale), atol=1e-3)


def test_turns_go_to_both_sides_as_far_as_asked_and_not_further() -> None:
    y, x = torch.meshgrid(torch.arange(41.0), torch.arange(61.0), indexing="ij")
    image = torch.stack([x, y, x]).expand(300, -1, -1, -1)
    seen, _ = vary(image, torch.zeros(300, 41, 61, dtype=torch.int64), Augment(flip=False, rotate=20), chance())
    step = seen[:, :2, 20, 31] - seen[:, :2, 20, 30]
    angles = torch.rad2deg(torch.atan2(step[:, 1], step[:, 0]))
    assert -20 <= angles.min() < -18 and 18 < angles.max() <= 20
    assert abs(angles.mean()) < 3


def test_colours_take_no_chance_from_the_other_views() -> None:
    image, label = photos()
    views = Augment(scale=(0.5, 2.0), crop=(8, 8))
    plain = vary(image, label, views, chance(3))
    coloured = vary(image, label, dataclasses.replace(views, brightness=0.5), chance(3))
    assert torch.equal(plain[1], coloured[1])


def test_bicubic_images_and_nearest_labels() -> None:
    image, label = photos()
    label = torch.randint(0, 9, label.shape, generator=chance())
    views = Augment(scale=(0.5, 2.0)), Augment(scale=(0.5, 2.0), interpolation="bicubic")
    linear, cubic = (vary(image, label, each, chance(1)) for each in views)
    assert torch.equal(linear[1], cubic[1]) and not torch.allclose(linear[0], cubic[0])


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_colours_by_hand(name: str) -> None:
    """Colours around the middle, so that nothing is clipped."""
    pixels = 0.4 + 0.2 * torch.rand(200, 3, 5, 5, generator=chance())
    image = (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    label = torch.zeros(200, 5, 5, dtype=torch.int64)
    strength: dict[str, Any] = {name: 0.5}
    after = colours(vary(image, label, Augment(flip=False, **strength), chance())[0])
    origin = {
        "brightness": torch.zeros(200, 1, 1, 1),
        "contrast": grey(pixels).mean((1, 2, 3), keepdim=True),
        "saturation": grey(pixels),
    }[name]
    far = (pixels - origin).abs().flatten(1).max(1).values > 0.02
    index = (pixels - origin).abs().flatten(1).argmax(1)
    rows = torch.arange(200)
    factors = ((after - origin).flatten(1) / (pixels - origin).flatten(1))[rows, index]
    assert far.all() and 0.5 <= factors.min() < 0.55 and 1.45 < factors.max() <= 1.5
    assert torch.allclose(after, origin + (pixels - origin) * factors.view(-1, 1, 1, 1), atol=1e-4)


def test_colours_are_clipped() -> None:
    image, label = photos()
    after = colours(vary(image, label, Augment(flip=False, brightness=1.0, contrast=1.0, saturation=1.0), chance())[0])
    assert after.min() >= -1e-5 and after.max() <= 1 + 1e-5


def test_blur_is_a_gaussian_with_a_probability() -> None:
    dot = torch.zeros(400, 3, 19, 19)
    dot[:, :, 9, 9] = 1.0
    seen = blur(dot, 0.3, chance())
    assert torch.allclose(seen.sum((2, 3)), torch.ones(400, 3), atol=1e-5)
    blurred = seen[:, 0, 9, 9] < 1
    assert 0.2 < blurred.float().mean() < 0.4 and torch.allclose(seen[~blurred], dot[~blurred], atol=1e-6)
    one = seen[seen[:, 0, 9, 9].argmin(), 0]
    ratio = float(one[9, 10] / one[9, 9])  # exp(-1 / (2 sigma ** 2))
    sigma = math.sqrt(-1 / (2 * math.log(ratio)))
    assert SIGMA[0] < sigma <= SIGMA[1]
    assert float(one[12, 8]) == pytest.approx(float(one[9, 9]) * ratio ** (3**2 + 1**2), rel=1e-3)


def test_outside_stays_the_mean_colour_whatever_the_colours_do() -> None:
    image, label = photos()
    views = Augment(scale=(0.4, 0.4), brightness=1.0, blur=1.0)
    seen, marked = vary(image, label, views, chance())
    outside = torch.nn.functional.max_pool2d((marked != IGNORE).float()[:, None], 3, 1, 1)[:, 0] == 0
    assert outside.any() and not seen.movedim(1, -1)[outside].any()


def test_one_seed_gives_one_batch() -> None:
    streets = Streets(count=5, seed=0, split="train", size_hw=(32, 48))
    views = Augment(scale=(0.5, 2.0), rotate=15, brightness=0.3, contrast=0.3, saturation=0.3, blur=0.5)
    one, same, other = (list(batches(streets, 3, views, seed, start, 3)) for seed, start in ((1, 0), (1, 1), (2, 0)))
    for (a, b), (c, d) in zip(one[1:], same, strict=True):
        assert torch.equal(a, c) and torch.equal(b, d)
    assert not torch.equal(one[0][0], other[0][0])
