"""A small network with what exporters trip over: pyramid pooling, a flow warp, dropout, auxiliary heads."""

from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segsearch.models.necks.nodes import WeightedSum

N = TypeVar("N", bound=nn.Module)

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZE = (97, 203)
CLASSES = ("road", "car", "tree", "sky", "pole")
COLOURS = ((128, 64, 128), (0, 0, 142), (107, 142, 35), (70, 130, 180), (153, 153, 153))


class ConvNorm(nn.Module):
    def __init__(self, given: int, width: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(given, width, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.conv(x)))


class Pyramid(nn.Module):
    """Pyramid pooling whose bins 2, 3, 6 do not divide odd sizes."""

    def __init__(self, width: int, align_corners: bool) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.pools = nn.ModuleList(nn.AdaptiveAvgPool2d(bins) for bins in (1, 2, 3, 6))
        self.dropout = nn.Dropout2d(0.5)

    def forward(self, x: Tensor) -> Tensor:
        size, align = x.shape[-2:], self.align_corners
        ups = [F.interpolate(pool(x), size=size, mode="bilinear", align_corners=align) for pool in self.pools]
        return self.dropout(x + sum(ups))


class Warp(nn.Module):
    """Flow alignment: deep features are sampled where a learned flow points."""

    def __init__(self, width: int, align_corners: bool) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.flow = nn.Conv2d(2 * width, 2, 3, padding=1)

    def forward(self, deep: Tensor, shallow: Tensor) -> Tensor:
        height, width = shallow.shape[-2:]
        size, align = (height, width), self.align_corners
        flow = self.flow(torch.cat([shallow, F.interpolate(deep, size=size, mode="bilinear", align_corners=align)], 1))
        rows = torch.linspace(-1, 1, height, dtype=deep.dtype).view(1, height, 1).expand(1, height, width)
        columns = torch.linspace(-1, 1, width, dtype=deep.dtype).view(1, 1, width).expand(1, height, width)
        grid = torch.stack([columns, rows], -1) + flow.permute(0, 2, 3, 1) / 8
        return F.grid_sample(deep, grid, mode="bilinear", padding_mode="border", align_corners=True) + shallow


class Small(nn.Module):
    def __init__(self, classes: int = len(CLASSES), align_corners: bool = False) -> None:
        super().__init__()
        self.classes, self.align_corners = classes, align_corners
        self.encoder = nn.ModuleList([ConvNorm(3, 8, stride=2), ConvNorm(8, 16, stride=2), ConvNorm(16, 16, stride=2)])
        self.context = Pyramid(16, align_corners)
        self.neck = Warp(16, align_corners)
        self.head = nn.Sequential(ConvNorm(16, 16, groups=16), nn.Dropout(0.1), nn.Conv2d(16, classes, 1))
        self.auxiliary = nn.ModuleList([nn.Conv2d(16, classes, 1)])

    def supervise(self, image: Tensor) -> tuple[Tensor, ...]:
        shallow = self.encoder[1](self.encoder[0](image))
        deep = self.encoder[2](shallow)
        logits = self.head(self.neck(self.context(deep), shallow))
        logits = F.interpolate(logits, size=image.shape[-2:], mode="bilinear", align_corners=self.align_corners)
        return logits, *(head(deep) for head in self.auxiliary)

    def forward(self, image: Tensor) -> Tensor:
        return self.supervise(image)[0]


def randomized(network: N, seed: int = 0) -> N:
    """Give every weight and BatchNorm statistic a value far from its neutral one, so that a lost one shows."""
    random = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_(0, 0.5, generator=random)
            module.running_var.uniform_(0.3, 3, generator=random)
            module.weight.data.uniform_(0.5, 2, generator=random)
            module.bias.data.normal_(0, 0.5, generator=random)
        if isinstance(module, nn.Conv2d):
            module.weight.data.normal_(0, module.weight[0].numel() ** -0.5, generator=random)
        if isinstance(module, WeightedSum) and module.kind != "plain":
            module.weights.data.uniform_(-0.3, 2, generator=random)
    return network


def pictures(count: int, size_hw: tuple[int, int] = SIZE, seed: int = 0) -> list[np.ndarray]:
    """Images [H, W, 3] with soft regions and noise on them."""
    random = np.random.default_rng(seed)
    coarse = torch.from_numpy(random.uniform(0, 255, (count, 3, 5, 7)))
    soft = F.interpolate(coarse, size=size_hw, mode="bicubic").permute(0, 2, 3, 1).numpy()
    noisy = soft + random.normal(0, 8, soft.shape)
    return list(noisy.clip(0, 255).astype(np.uint8))
