"""What every neck is, and what it is told of its surroundings."""

from abc import abstractmethod
from dataclasses import dataclass

from torch import nn

from segsearch.models.encoder import Encoder
from segsearch.models.ops import Channels, ConvNorm, Features
from segsearch.models.timm_encoder import TimmEncoder


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where a neck stands."""

    inputs: Channels
    """Levels that reach it, ``{stride: C}``; the context is behind them."""
    pooled: tuple[int, ...]
    """Strides beyond the encoder's own, finest first."""
    pools_itself: bool
    """Whether the pooled levels are the neck's to make; otherwise they are among ``inputs``."""
    encoder: Encoder | TimmEncoder
    only_finest: bool
    """The head reads one level alone, so that nothing need be built for the others."""
    align_corners: bool


class Neck(nn.Module):
    """Fuses levels into those that the head reads.

    Attributes:
        channels: ``{stride: C}`` of what `fuse` returns.
        read: the strides among them that `forward` returns, finest first.

    Levels are keyed by their stride as a word inside module dicts, since module names must be words.
    """

    channels: Channels
    read: tuple[int, ...]

    def __init__(self) -> None:
        super().__init__()
        self.smooths = nn.ModuleDict()

    def _declare(self, channels: Channels, only_finest: bool) -> None:
        self.channels = channels
        self.read = (min(channels),) if only_finest else tuple(sorted(channels))

    def _smooth_over(self, strides: tuple[int, ...], relu: bool = True) -> None:
        """Put a 3x3 on each of ``strides`` that the head reads."""
        for s in (s for s in strides if s in self.read):
            self.smooths[str(s)] = ConvNorm(self.channels[s], self.channels[s], act=relu)

    @abstractmethod
    def fuse(self, features: Features) -> Features:
        """Levels to fused levels, before any smoothing."""

    def smooth(self, fused: Features) -> Features:
        """Fused levels to those the head reads, finest first."""
        return {s: self.smooths[str(s)](fused[s]) if str(s) in self.smooths else fused[s] for s in self.read}

    def forward(self, features: Features) -> Features:
        """Levels to those the head reads, finest first."""
        return self.smooth(self.fuse(features))
