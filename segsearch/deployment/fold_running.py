"""Folds BatchNorm in networks whose modules we do not know: a run shows which convolution feeds which BatchNorm."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights

from segsearch.deployment.markdown import percent
from segsearch.errors import ProofError

SIDE = 64
"""Height and width of the image of that run, in pixels."""
MOST_DRIFT = 1e-2
"""Largest change allowed, relative to the largest value of a map: above rounding errors (also TF32's), below faults."""
_PLAIN = ("Conv2d", "Conv2dSame")
"""Convolutions that use their weight unchanged; others transform it first (weight standardisation)."""


class Affine(nn.Module):
    """``x * scale + shift``: replaces a BatchNorm that cannot be folded into a convolution."""

    scale: Tensor
    shift: Tensor

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__()
        mean, variance = _statistics(norm)
        scale = torch.rsqrt(variance + norm.eps) * (1 if norm.weight is None else norm.weight)
        shift = -mean * scale + (0 if norm.bias is None else norm.bias)
        self.register_buffer("scale", scale.detach().view(1, -1, 1, 1))
        self.register_buffer("shift", shift.detach().view(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W), each channel scaled and shifted."""
        return x * self.scale + self.shift


def fold_by_running(network: nn.Module) -> None:
    """Fold, in place and in eval mode, each 2-d BatchNorm into the convolution whose map it reads.

    All others become an `Affine`. ``network`` takes images [B, 3, H, W] and returns maps. Functions that also read a
    convolution's map are not detected: call this inside `same_maps`.
    """
    for norm, conv in _fed(network).items():
        after = _after(norm)
        if conv is None:
            _replace(network, norm, nn.Sequential(Affine(norm), *after))
            continue
        mean, variance = _statistics(norm)
        conv.weight, conv.bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, mean, variance, norm.eps, norm.weight, norm.bias
        )
        _replace(network, norm, nn.Sequential(*after))


@contextmanager
def same_maps(network: nn.Module, name: str) -> Iterator[None]:
    """Check that the block of this context does not change a network's maps.

    Raises:
        ProofError: a map has changed.
    """
    before = _maps(network)
    yield
    for expected, found in zip(before, _maps(network), strict=True):
        drift = float((found - expected).abs().max() / expected.abs().max().clamp_min(1e-6))
        if not drift <= MOST_DRIFT:
            raise ProofError(f"{name} cannot be folded: its maps change by {percent(drift)}")


def _fed(network: nn.Module) -> dict[_BatchNorm, nn.Conv2d | None]:
    """Map each BatchNorm that runs to the convolution whose only reader it is, or to None."""
    made: dict[int, tuple[nn.Conv2d, Tensor]] = {}
    fed: dict[_BatchNorm, tuple[nn.Conv2d, Tensor] | None] = {}
    calls: Counter[nn.Module] = Counter()

    def produced(conv: nn.Module, args: tuple[Any, ...], out: Tensor) -> None:
        calls[conv] += 1
        if isinstance(conv, nn.Conv2d) and type(conv).__name__ in _PLAIN:
            made[id(out)] = conv, out  # keeps the tensor alive: Python reuses the id of a freed one

    def reads(norm: _BatchNorm, args: tuple[Any, ...]) -> None:
        calls[norm] += 1
        fed[norm] = made.get(id(args[0]))

    handles = [m.register_forward_hook(produced) for m in network.modules() if isinstance(m, nn.Conv2d)]
    handles += [m.register_forward_pre_hook(reads) for m in network.modules() if isinstance(m, _BatchNorm)]
    try:
        returned = {id(out) for out in _maps(network)}  # GhostNet returns the input of its first BatchNorm
    finally:
        for handle in handles:
            handle.remove()
    readers = Counter(pair[0] for pair in fed.values() if pair is not None)

    def alone(norm: _BatchNorm, conv: nn.Conv2d, out: Tensor) -> bool:
        return calls[norm] == calls[conv] == readers[conv] == 1 and id(out) not in returned

    return {norm: pair[0] if pair is not None and alone(norm, *pair) else None for norm, pair in fed.items()}


def _maps(network: nn.Module) -> Sequence[Tensor]:
    weight = next(network.parameters())
    image = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)).to(weight)
    with torch.no_grad():
        maps: Sequence[Tensor] = network(image)
    return maps


def _statistics(norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None and norm.running_var is not None, "BatchNorm has no running statistics"
    return norm.running_mean, norm.running_var


def _after(norm: _BatchNorm) -> list[nn.Module]:
    """Modules inside a BatchNorm that it applies to its result, as in timm's ``BatchNormAct2d``."""
    return [child for name in ("drop", "act") if isinstance(child := getattr(norm, name, None), nn.Module)]


def _replace(network: nn.Module, old: nn.Module, new: nn.Module) -> None:
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if child is old:
                parent.add_module(name, new)
