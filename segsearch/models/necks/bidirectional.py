"""Top-down and bottom-up paths over all levels: ESeg's BiFPN and SGCPNet's SGCP are two settings of it."""

from abc import abstractmethod

from torch import Tensor, nn

from segsearch.models.necks.base import Neck, Site
from segsearch.models.necks.nodes import Node
from segsearch.models.ops import ConvNorm, Features, Nearest, halving, size_of
from segsearch.spec.neck import BidirectionalSpec


class Bidirectional(Neck):
    """Projects every level to one width, then runs cells of paths (ESeg, section 3.2; SGCPNet, section 3.2).

    In a cell, down and up paths alternate. An up path also reads the inputs of its cell; in the first cell through
    projections of its own if the spec says so. A last up path is not built if the head reads only the finest level,
    which it would not change.
    """

    def __init__(self, spec: BidirectionalSpec, site: Site) -> None:
        super().__init__()
        strides = tuple(sorted((*site.inputs, *(site.pooled if site.pools_itself else ()))))
        self._declare(dict.fromkeys(strides, spec.width), site.only_finest)
        self.laterals = nn.ModuleDict({str(s): _lateral(spec, c) for s, c in site.inputs.items()})
        own = tuple(s for s in strides if s not in site.pooled)
        self.beyond = _Beyond(spec, site.inputs[own[-1]], site.pooled) if site.pools_itself and site.pooled else None
        self.cell = len(spec.paths)
        paths = list(spec.paths * spec.repeats)
        if site.only_finest and paths[-1] == "up":
            paths.pop()
        self.paths = nn.ModuleList(PATHS[path](spec, strides) for path in paths)
        second = own[1:] if own[-1] < strides[-1] else own[1:-1]
        self.skips = nn.ModuleDict(
            {str(s): _lateral(spec, site.inputs[s]) for s in second if spec.separate_skips and "up" in paths}
        )
        if spec.smooth:
            self._smooth_over(strides)

    def fuse(self, features: Features) -> Features:
        """See `Neck`."""
        levels = {s: self.laterals[str(s)](f) for s, f in features.items()}
        if self.beyond is not None:
            levels |= self.beyond(features[max(features)])
        entered = levels | {int(s): skip(features[int(s)]) for s, skip in self.skips.items()}
        for i, path in enumerate(self.paths):
            if i and i % self.cell == 0:
                entered = levels
            levels = path(levels, entered)
        return levels


class _Beyond(nn.Module):
    """Levels coarser than the encoder's: a 1x1 on its last one, then pooling, chained (SGCPNet's code)."""

    def __init__(self, spec: BidirectionalSpec, in_channels: int, strides: tuple[int, ...]) -> None:
        super().__init__()
        self.strides = strides
        self.lateral = _lateral(spec, in_channels)
        self.pools = nn.ModuleList(halving(spec.pool, spec.pool_kernel) for _ in strides)

    def forward(self, x: Tensor) -> Features:
        """Tensor (B, C, H, W) to the levels, each half the one before."""
        levels: Features = {}
        x = self.lateral(x)
        for stride, pool in zip(self.strides, self.pools, strict=True):
            x = levels[stride] = pool(x)
        return levels


class _Path(nn.Module):
    """One path over all levels."""

    @abstractmethod
    def forward(self, levels: Features, entered: Features) -> Features:
        """Levels as they are now, and as they entered the cell, to new levels."""


class _Down(_Path):
    """t_l = Node(x_l, up(t_l+1)), from the coarsest level, which is left as it is, to the finest."""

    def __init__(self, spec: BidirectionalSpec, strides: tuple[int, ...]) -> None:
        super().__init__()
        self.nodes = nn.ModuleDict({str(s): _node(spec, 2) for s in reversed(strides[:-1])})
        self.resize = Nearest()

    def forward(self, levels: Features, entered: Features) -> Features:
        """See `_Path`."""
        out = {max(levels): levels[max(levels)]}
        for name, node in self.nodes.items():
            s = int(name)
            out[s] = node(levels[s], self.resize(out[s * 2], size_of(levels[s])))
        return out


class _Up(_Path):
    """o_l = Node(entered_l, x_l, pool(o_l-1)), from the finest level, which is left as it is, to the coarsest.

    The coarsest level has no top-down input, so its node reads two maps instead of three.
    """

    def __init__(self, spec: BidirectionalSpec, strides: tuple[int, ...]) -> None:
        super().__init__()
        self.nodes = nn.ModuleDict({str(s): _node(spec, 2 if s == strides[-1] else 3) for s in strides[1:]})
        self.pool = halving(spec.pool, spec.pool_kernel)
        self.resize = Nearest()

    def forward(self, levels: Features, entered: Features) -> Features:
        """See `_Path`."""
        out, coarsest = {min(levels): levels[min(levels)]}, max(levels)
        for name, node in self.nodes.items():
            s = int(name)
            # two levels of an encoder may have one size; then the pooled map is smaller than the next level
            pooled = self.resize(self.pool(out[s // 2]), size_of(levels[s]))
            out[s] = node(levels[s], pooled) if s == coarsest else node(entered[s], levels[s], pooled)
        return out


PATHS: dict[str, type[_Down | _Up]] = {"down": _Down, "up": _Up}


def _lateral(spec: BidirectionalSpec, in_channels: int) -> ConvNorm:
    return ConvNorm(in_channels, spec.width, 1, bias=spec.bias, act=False, eps=spec.norm_eps)


def _node(spec: BidirectionalSpec, maps: int) -> Node:
    return Node(maps, spec.width, weights=spec.weights, bias=spec.bias, eps=spec.norm_eps)
