"""Channel attention from global average pooling, used by encoders (DFANet) and contexts."""

from torch import Tensor, nn


class FcAttention(nn.Module):
    """x times a weight per channel: average over the image, C -> hidden -> C (DFANet, section 3.2).

    ``hidden`` is the width of the ImageNet classifier. There is no activation, as the paper names none.
    """

    def __init__(self, channels: int, hidden: int = 1000) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classify = nn.Conv2d(channels, hidden, 1)
        self.weigh = nn.Conv2d(hidden, channels, 1)
        # start near the identity: weights near zero would nearly erase the map
        nn.init.ones_(self.weigh.bias)  # type: ignore[arg-type]  # it has one

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, H, W), weighed."""
        out: Tensor = x * self.weigh(self.classify(self.pool(x)))
        return out


class GatedFcAttention(nn.Module):
    """FcAttention with a ReLU and a sigmoid and no biases, as in huaifeng1993's public DFANet."""

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
