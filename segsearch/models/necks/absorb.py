"""Folds constant weights of sums into the convolutions that produce the summed maps."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from segsearch.models.necks.nodes import WeightedSum
from segsearch.models.ops import ConvNorm

_LEAST = 0.05
"""Smaller weights are not folded: maps scaled down that far would lose precision in 16-bit formats."""
_PASSING = ("interpolate", "max_pool2d", "avg_pool2d")
"""Functions that a positive factor commutes with."""


def absorb_weights(network: nn.Module, example: Tensor) -> None:
    """Change frozen sums and the convolutions before them in place; the outputs of ``network`` stay the same.

    A convolution is scaled if its BatchNorm is folded, no activation follows, and nothing but frozen sums reads what it
    produces, resized, pooled or as it is. ``example`` [B, 3, H, W] is run once to find the readers of every map.
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
    """A linear convolution, and every operand of a sum that reads its map."""

    def __init__(self, conv: nn.Conv2d) -> None:
        self.conv = conv
        self.uses: list[tuple[int, WeightedSum, int]] = []
        """Elements of the summed map, the sum, the index of the operand."""
        self.fixed = False
        """Whether anything else reads the map."""

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
            total.set_factor(place, total.frozen[place] / factor)


class _Watch(TorchFunctionMode):
    """Tracks maps from the convolutions that produce them, through linear functions, to whatever reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: dict[int, _Source] = {}
        self._by_conv: dict[nn.Conv2d, _Source] = {}
        self._alive: list[Tensor] = []  # kept alive: Python reuses the id of a freed tensor
        self._summing = False

    def over(self, module: nn.Module) -> Iterable[Any]:
        """Register hooks on a module that produces or sums maps; yields their handles."""
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
        """Intercept every function of torch."""
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
