"""A dataset and networks small enough to learn within a test."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segsearch.data.dataset import IGNORE, Pair
from segsearch.deployment.images import Fit

_COLOURS = ((200, 40, 40), (40, 200, 40), (40, 40, 200))


class Patches:
    """Noisy images of three colours in random rectangles, void along the left edge; the class is the colour."""

    def __init__(self, images: int = 4, size_hw: tuple[int, int] = (24, 32), seed: int = 0) -> None:
        self.name = "patches"
        self.classes = ("red", "green", "blue")
        self.colours = _COLOURS
        self.fit: Fit = "stretch"
        rng = np.random.default_rng(seed)
        self.pairs = [self._draw(rng, *size_hw) for _ in range(images)]

    def _draw(self, rng: np.random.Generator, height: int, width: int) -> Pair:
        label = np.zeros((height, width), np.uint8)
        top, left = int(rng.integers(2, height // 2)), int(rng.integers(2, width // 2))
        label[top:, :] = 1
        label[:, left : left + width // 3] = 2
        image = np.array(_COLOURS, np.int64)[label] + rng.integers(-25, 26, (height, width, 3))
        label[:, 0] = IGNORE
        return image.astype(np.uint8), label

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Pair:
        return self.pairs[index]

    def content(self) -> dict[str, str]:
        return {"classes": ", ".join(self.classes), "drawn": f"{len(self)} patches"}


class TinyNet(nn.Module):
    """Two convolutions with BatchNorm, dropout, and logits at half size, resized; one auxiliary head on request."""

    def __init__(self, classes: int = 3, width: int = 8, auxiliary: bool = False) -> None:
        super().__init__()
        self.classes = classes
        self.body = nn.Sequential(
            nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Dropout2d(0.1),
        )
        self.head = nn.Conv2d(width, classes, 1)
        self.auxiliary = nn.ModuleList([nn.Conv2d(width, classes, 1)] if auxiliary else [])

    def supervise(self, image: Tensor) -> tuple[Tensor, ...]:
        features = self.body(image)
        logits = nn.functional.interpolate(self.head(features), size=image.shape[-2:], mode="bilinear")
        return (logits, *(head(features) for head in self.auxiliary))

    def forward(self, image: Tensor) -> Tensor:
        return self.supervise(image)[0]


def tiny(seed: int = 0, **choices: Any) -> TinyNet:
    """A TinyNet with the same initial weights for the same seed."""
    torch.manual_seed(seed)
    return TinyNet(**choices)


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    """Whether two networks are equal to the last bit."""
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)
