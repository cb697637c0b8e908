"""Base class of necks, and the arguments that all of them take."""

from abc import abstractmethod
from dataclasses import dataclass

from torch import nn

from segsearch.models.encoder import Encoder
from segsearch.models.ops import Channels, ConvNorm, Features
from segsearch.models.timm_encoder import TimmEncoder


@dataclass(frozen=True, kw_only=True)
class Site:
    """What a neck is built for: its inputs, encoder and head."""

    inputs: Channels
    """Levels that the neck receives, ``{stride: C}``, the coarsest one after the context module."""
    pooled: tuple[int, ...]
    """Strides beyond the encoder's own, finest first."""
    pools_itself: bool
    """Whether the neck pools the levels ``pooled`` itself; otherwise they are among ``inputs``."""
    encoder: Encoder | TimmEncoder
    only_finest: bool
    """Whether the head reads only the finest level, so that nothing is built for the others."""
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
