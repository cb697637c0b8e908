"""Every block by its word. All places of a new one: docs/extend.md."""

from collections.abc import Callable

from torch import nn

from segsearch.models.blocks.basic import BasicBlock, BottleneckBlock, ConvBlock
from segsearch.models.blocks.fpe import FPEBlock, ProjectedFPEBlock
from segsearch.models.blocks.inverted import FusedBlock, MBConvBlock, MobileBlock
from segsearch.models.blocks.separable import BiasedSeparableBlock, SeparableBlock
from segsearch.models.blocks.shuffle import ShuffleBlock
from segsearch.spec.encoder import BlockName, StageSpec

BLOCKS: dict[BlockName, Callable[[int, StageSpec, int], nn.Module]] = {
    "basic": BasicBlock,
    "bottleneck": BottleneckBlock,
    "conv": ConvBlock,
    "fpe": FPEBlock,
    "fpe_projected": ProjectedFPEBlock,
    "fused": FusedBlock,
    "mbconv": MBConvBlock,
    "mobile": MobileBlock,
    "separable": SeparableBlock,
    "separable_biased": BiasedSeparableBlock,
    "shuffle": ShuffleBlock,
}
