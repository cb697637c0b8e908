"""Weights per channel that the whole image gives: shared by encoders (DFANet) and contexts."""

from torch import Tensor, nn


class FcAttention(nn.Module):
    """x times a weight per channel: average over the image, C -> hidden -> C (DFANet, section 3.2).

    Hidden is the classifier's layer of ImageNet. The paper names no activation, so there is none.
    """

    def __init__(self, channels: int, hidden: int = 1000) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classify = nn.Conv2d(channels, hidden, 1)
        self.weigh = nn.Conv2d(hidden, channels, 1)
        # a fresh network passes its map on instead of shrinking it to almost nothing
        nn.init.ones_(self.weigh.bias)  # type: ignore[arg-type]  # it has one

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W), weighed."""
        out: Tensor = x * self.weigh(self.classify(self.pool(x)))
        return out


class GatedFcAttention(nn.Module):
    """FcAttention with a ReLU and a sigmoid in place of biases (a public DFANet, huaifeng1993's)."""

    def __init__(self, channels: int, hidden: int = 1000) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classify = nn.Conv2d(channels, hidden, 1, bias=False)
        self.act = nn.ReLU(inplace=True)
        self.weigh = nn.Conv2d(hidden, channels, 1, bias=False)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W), weighed."""
        out: Tensor = x * self.gate(self.weigh(self.act(self.classify(self.pool(x)))))
        return out
