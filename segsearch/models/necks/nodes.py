"""Parts of bidirectional necks and weighted heads."""

from typing import Literal

import torch
from torch import Tensor, nn

from segsearch.deployment.deployable import Deployable
from segsearch.models.ops import ConvNorm
from segsearch.spec.neck import Weights


class WeightedSum(Deployable):
    """Sum of maps, each times one learnt weight (EfficientDet, section 3.3; ESeg, section 3.2; SGCPNet's SW-Sum).

    softmax: w = softmax(w). relu: w = relu(w) / (sum relu(w) + 1e-4). plain: no weights.
    """

    weights: nn.Parameter

    def __init__(self, maps: int, kind: Weights) -> None:
        super().__init__()
        self.kind = kind if maps > 1 else "plain"
        self.frozen: tuple[float, ...] = ()
        if self.kind != "plain":
            self.weights = nn.Parameter(torch.ones(maps))

    def factors(self) -> tuple[Tensor, ...]:
        """Factors of the maps; not for a plain sum."""
        if self.kind == "softmax":
            return tuple(self.weights.softmax(0).unbind())
        positive = self.weights.relu()
        return tuple((positive / (positive.sum() + 1e-4)).unbind())

    def freeze_scalars(self) -> None:
        """Turn the learnt weights into constants for deployment; the output stays the same."""
        if not self.frozen and self.kind != "plain":
            self.frozen = tuple(torch.stack(self.factors()).detach().tolist())
            del self.weights

    def set_factor(self, place: int, factor: float) -> None:
        """Replace the factor of the map at ``place``; only for a frozen sum."""
        self.frozen = (*self.frozen[:place], factor, *self.frozen[place + 1 :])

    def forward(self, *maps: Tensor) -> Tensor:
        """Tensors (B, C, H, W), all of one shape, to one of it."""
        if self.kind == "plain":
            terms = list(maps)
        elif self.frozen:
            used = [(m, w) for m, w in zip(maps, self.frozen, strict=True) if w] or [(maps[0], 0.0)]
            terms = [m if w == 1 else m * w for m, w in used]
        else:
            terms = [m * w for m, w in zip(maps, self.factors(), strict=True)]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total

    def extra_repr(self) -> str:
        """Show the kind in ``print(network)``."""
        return self.kind


class Separable(nn.Module):
    """Depthwise 3x3, then 1x1 with BatchNorm and an optional activation."""

    def __init__(
        self,
        in_channels: int,
        width: int,
        *,
        bias: bool = False,
        eps: float = 1e-3,
        activation: Literal["none", "relu", "silu"] = "none",
    ) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False)
        self.pointwise = ConvNorm(in_channels, width, 1, bias=bias, activation=activation, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W) to (B, width, H, W)."""
        out: Tensor = self.pointwise(self.depthwise(x))
        return out


class Node(nn.Module):
    """Weighted sum, swish, separable 3x3 with no activation (EfficientDet's node, as ESeg and SGCPNet use it)."""

    def __init__(self, maps: int, width: int, *, weights: Weights, bias: bool, eps: float) -> None:
        super().__init__()
        self.sum = WeightedSum(maps, weights)
        self.act = nn.SiLU()
        self.conv = Separable(width, width, bias=bias, eps=eps)

    def forward(self, *maps: Tensor) -> Tensor:
        """Tensors (B, C, H, W), all of one shape, to one of it."""
        out: Tensor = self.conv(self.act(self.sum(*maps)))
        return out
