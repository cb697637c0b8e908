"""Small networks with known counts, shaped as the counters expect: named parts, modules for all that is to be seen."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIZE = (32, 48)


class Resize(nn.Upsample):
    """Stands for the project's resize."""

    def forward(self, x: Tensor, size_hw: tuple[int, int]) -> Tensor:  # type: ignore[override]
        return F.interpolate(x, size=size_hw, mode="bilinear", align_corners=False)


class ConvNorm(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, 1, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.conv(x)))


class Mini(nn.Module):
    """Stride 4; one convolution is called twice, one has groups, one has a bias, one linear layer gates channels."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.encoder = nn.Sequential(ConvNorm(3, 8, 2), nn.MaxPool2d(3, 2, 1), ConvNorm(8, 8, groups=4))
        self.levels = nn.ModuleDict({"4": nn.Conv2d(8, 8, 1, bias=False)})
        self.context = nn.Identity()
        self.neck = nn.Linear(8, 8)
        self.head = nn.Conv2d(8, classes, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.resize = Resize()
        self.auxiliary = nn.ModuleList([nn.Conv2d(8, classes, 1)])

    def forward(self, image: Tensor) -> Tensor:
        x = self.encoder(image)
        for _ in range(2):
            x = self.levels["4"](x)
        x = self.context(x)
        gate = self.neck(self.pool(x).flatten(1))
        x = x * gate[..., None, None]
        return self.resize(self.head(x), size_hw=image.shape[-2:])


class Convolutions(nn.Module):
    """Every kind of convolution that torch's own counter sees."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 12, 5, 2, 2)
        self.b = nn.Conv2d(12, 12, 3, 1, 4, dilation=4, groups=12)
        self.c = nn.Conv2d(12, 20, (1, 3), padding=(0, 1))
        self.d = nn.ConvTranspose2d(20, 6, 4, 2, 1, groups=2)
        self.e = nn.Linear(6, 7)

    def forward(self, image: Tensor) -> Tensor:
        x = self.d(self.c(self.b(self.a(image))))
        return self.e(x.permute(0, 2, 3, 1))


def state(network: nn.Module) -> dict[str, object]:
    """What counting and measuring must leave alone."""
    return {
        "keys": list(network.state_dict()),
        "modes": [module.training for module in network.modules()],
        "hooks": [len(module._forward_hooks) for module in network.modules()],
        "devices": {tensor.device for tensor in (*network.parameters(), *network.buffers())},
        "gradients": [p.requires_grad for p in network.parameters()],
        "sums": [float(torch.as_tensor(t).double().sum()) for t in network.state_dict().values()],
    }
