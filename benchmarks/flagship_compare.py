"""How found networks are set beside the yardstick: means over seeds, a paired bootstrap, and the rules of the goal."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DRAWS, STRETCH = 4000, 10
"""Of the bootstrap; neighbouring images that are drawn together."""
POINTS, SAVING = 1.0, 0.25
"""Of the goal: points of mIoU at no more latency, or the share of latency that is saved at no less mIoU."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """One network with all its seeds.

    Attributes:
        name: a named point, or ``first_12``.
        latency_ms: of its file.
        hits: int64 S, N, K: of each seed, image and class, the pixels that are right.
        unions: int64 S, N, K: those that are labelled or predicted as the class.
    """

    name: str
    latency_ms: float
    hits: NDArray[np.int64]
    unions: NDArray[np.int64]

    @property
    def mious(self) -> list[float]:
        """In percent, of each seed."""
        found: list[float] = miou(self.hits.sum(1), self.unions.sum(1)).tolist()
        return found

    @property
    def miou(self) -> float:
        """Mean over the seeds, in percent."""
        return statistics.fmean(self.mious)

    @property
    def standard_error(self) -> float | None:
        """Of that mean, in points; None for a single seed."""
        return None if len(self.hits) < 2 else statistics.stdev(self.mious) / len(self.hits) ** 0.5


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A found network against one of the yardstick.

    Attributes:
        points: of mIoU, the found one's mean minus the other's.
        low, high: 95 % interval of that.
        saved: share of the other's latency that the found one does not need; below 0 it is slower.
    """

    found: Network
    other: Network
    points: float
    low: float
    high: float
    saved: float

    @property
    def ahead(self) -> bool:
        """Whether it is better by as much as the goal asks, at no more latency, and surely better."""
        return self.saved >= 0 and self.points >= POINTS and self.low > 0

    @property
    def quicker(self) -> bool:
        """Whether it is faster by as much as the goal asks, and surely no worse."""
        return self.saved >= SAVING and self.points >= 0 and self.low > 0


def miou(hits: NDArray[np.int64] | Floats, unions: NDArray[np.int64] | Floats) -> Floats:
    """Mean IoU in percent of counts ..., K; classes that are neither labelled nor predicted are left out of it."""
    present = unions > 0
    ious = np.where(present, hits / np.maximum(unions, 1), 0.0)
    result: Floats = 100 * ious.sum(-1) / present.sum(-1)
    return result


def difference(found: Network, other: Network, draws: int = DRAWS) -> Difference:
    """Compare two networks that were scored on the same images, in the same order."""
    chance = np.random.default_rng(0)
    often = drawn_images(found.hits.shape[1], draws, chance)
    spread = _resampled(found, often, chance) - _resampled(other, often, chance)
    low, high = np.percentile(spread, (2.5, 97.5)).tolist()
    return Difference(
        found=found,
        other=other,
        points=found.miou - other.miou,
        low=low,
        high=high,
        saved=1 - found.latency_ms / other.latency_ms,
    )


def drawn_images(images: int, draws: int, chance: np.random.Generator) -> Floats:
    """Draw images with replacement, in stretches of neighbours that go on at the beginning: how often each, R, N.

    Every draw has as many images as there are.
    """
    length = max(1, min(STRETCH, images // 4))
    starts = chance.integers(images, size=(draws, -(-images // length), 1))
    taken = ((starts + np.arange(length)) % images).reshape(draws, -1)[:, :images]
    often = np.zeros((draws, images))
    np.add.at(often, (np.arange(draws)[:, None], taken), 1)
    return often


def _resampled(network: Network, often: Floats, chance: np.random.Generator) -> Floats:
    """Mean mIoU in percent, R, of images taken as ``often`` says (R, N), over seeds drawn with replacement."""
    hits, unions = (np.einsum("rn,snk->rsk", often, counts.astype(float)) for counts in (network.hits, network.unions))
    mious = miou(hits, unions)
    seeds = chance.integers(len(network.hits), size=mious.shape)
    result: Floats = np.take_along_axis(mious, seeds, axis=1).mean(1)
    return result


def most_accurate(found: Sequence[Difference]) -> Difference | None:
    """Give the best of those that are as fast as the other or faster; of equals the faster one."""
    return max((d for d in found if d.saved >= 0), key=lambda d: (d.points, d.saved), default=None)


def fastest(found: Sequence[Difference]) -> Difference | None:
    """Give the fastest of those that are as accurate as the other or better; of equals the better one."""
    return max((d for d in found if d.points >= 0), key=lambda d: (d.saved, d.points), default=None)


def met(found: Sequence[Difference]) -> Difference | None:
    """Give the network by which the goal is met, the most accurate of several; None where it is not."""
    return max((d for d in found if d.ahead or d.quicker), key=lambda d: (d.ahead, d.points), default=None)


def front(networks: Sequence[Network]) -> list[Network]:
    """Give the networks to which no other is both as fast and as accurate, fastest first."""
    chosen: list[Network] = []
    for network in sorted(networks, key=lambda n: (n.latency_ms, -n.miou)):
        if not chosen or network.miou > chosen[-1].miou:
            chosen.append(network)
    return chosen
