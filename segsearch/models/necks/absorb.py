"""Constant weights of sums, taken into the convolutions that make the summed maps."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from segsearch.models.necks.nodes import WeightedSum
from segsearch.models.ops import ConvNorm

_LEAST = 0.05
"""A smaller weight stays where it is: maps that small lose digits in 16 bits."""
_PASSING = ("interpolate", "max_pool2d", "avg_pool2d")
"""A positive factor in front of these is the same factor behind them."""


def absorb_weights(network: nn.Module, example: Tensor) -> None:
    """Change frozen sums, and convolutions before them, in place, so that ``network`` gives what it gave.

    A convolution is scaled if its BatchNorm is folded, no activation follows, and nothing but frozen sums reads what it
    makes, resized, pooled or as it is. ``example`` [B, 3, H, W] is run once to see who reads what.
    """
    if not any(isinstance(module, WeightedSum) and module.frozen for module in network.modules()):
        return
    watch = _Watch()
    handles = [handle for module in network.modules() for handle in watch.over(module)]
    try:
        with torch.no_grad(), watch:
            network(example)
    finally:
        for handle in handles:
            handle.remove()
    for source in dict.fromkeys(watch.sources.values()):
        source.absorb()


class _Source:
    """A linear convolution with every place in a sum that reads its map."""

    def __init__(self, conv: nn.Conv2d) -> None:
        self.conv = conv
        self.uses: list[tuple[int, WeightedSum, int]] = []
        """Elements of the summed map, the sum, the place in it."""
        self.fixed = False
        """Whether something else reads the map, too."""

    def absorb(self) -> None:
        """Scale the convolution by the weight at the largest map; weights of the others become relative to it."""
        movable = [(size, total.frozen[place]) for size, total, place in self.uses if total.frozen[place] >= _LEAST]
        if self.fixed or not movable:
            return
        factor = max(movable)[1]
        for parameter in (self.conv.weight, self.conv.bias):
            if parameter is not None:
                parameter.data = parameter.data * factor
        for _, total, place in self.uses:
            total.refactor(place, total.frozen[place] / factor)


class _Watch(TorchFunctionMode):
    """Follows maps from the convolutions that make them, through what is linear, to whoever reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: dict[int, _Source] = {}
        self._by_conv: dict[nn.Conv2d, _Source] = {}
        self._alive: list[Tensor] = []  # an identity is a map's own only while the map lives
        self._summing = False

    def over(self, module: nn.Module) -> Iterable[Any]:
        """Watch a module that makes maps or sums them; give the handles of its hooks."""
        if isinstance(module, ConvNorm) and module.folded and isinstance(module.act, nn.Identity):
            yield module.register_forward_hook(self._made)
        if isinstance(module, WeightedSum) and module.frozen:
            yield module.register_forward_pre_hook(self._sum)
            yield module.register_forward_hook(self._summed)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """See every function of torch that reads a map."""
        out = func(*args, **(kwargs or {}))
        if self._summing or not any(isinstance(leaf, Tensor) for leaf in pytree.tree_leaves(out)):
            return out
        read = [self.sources[id(leaf)] for leaf in pytree.tree_leaves((args, kwargs)) if id(leaf) in self.sources]
        if func.__name__ in _PASSING and len(read) == 1:
            self._note(out, read[0])
        else:
            for source in read:
                source.fixed = True
        return out

    def _note(self, out: Tensor, source: _Source) -> None:
        self._alive.append(out)
        self.sources[id(out)] = source

    def _made(self, conv_norm: ConvNorm, args: object, out: Tensor) -> None:
        source = self._by_conv.setdefault(conv_norm.conv, _Source(conv_norm.conv))
        source.fixed = source in self.sources.values()  # called a second time
        self._note(out, source)

    def _sum(self, total: WeightedSum, maps: tuple[Tensor, ...]) -> None:
        self._summing = True
        for place, m in enumerate(maps):
            if (source := self.sources.get(id(m))) is not None:
                source.uses.append((m.numel(), total, place))

    def _summed(self, total: WeightedSum, maps: object, out: object) -> None:
        self._summing = False
