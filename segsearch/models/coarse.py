"""A 3x3 convolution over upsampled maps, computed before they are upsampled; used in deployed networks only."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segsearch.models.ops import ConvNorm, Features, Resize, conv_of

Size = tuple[int, int]
MOST_WORK = 0.75
"""A level is filtered before its resize if at most this share of the multiplications is left: moving data costs too."""


def cheaper_before_resize(sizes: Mapping[int, Size], channels: Mapping[int, int]) -> tuple[int, ...]:
    """Strides of levels, by ``sizes`` (H, W) and ``channels``, that a 3x3 is cheaper on before the resize."""
    finest = sizes[min(sizes)]
    return tuple(
        s for s, size in sizes.items() if size != finest and _work_left(size[0], finest[0], channels[s]) <= MOST_WORK
    )


def _work_left(coarse: int, fine: int, channels: int) -> float:
    """Multiplications of `CoarseMerge` for one level of C channels over those of resizing first; h and H in pixels.

    9 C K h W for the filter and 3 h K H W for the rows, against 9 C K H W.
    """
    return coarse / fine + coarse / (3 * channels)


class CoarseMerge(nn.Module):
    """act(3x3(cat(resized levels))), exactly, with ``coarse`` levels filtered at their own height.

    Resize is linear and works on rows and columns apart: up(x) = R x C. With W_t for row t of the filter,
    3x3(up(x)) = sum over t of S_t R (W_t * (x C)), where S_t shifts by one row and fills with zeros.
    So columns are resized, three 1x3 filters run at the coarse height, and one product with the rows' matrix
    [S_-1 R, S_0 R, S_1 R] does the rest, for all coarse levels at once.
    """

    rows: Tensor

    def __init__(
        self,
        merge: ConvNorm,
        sizes: Mapping[int, Size],
        channels: Mapping[int, int],
        coarse: tuple[int, ...],
        align_corners: bool,
    ) -> None:
        super().__init__()
        weights = dict(zip(channels, torch.split(merge.conv.weight, list(channels.values()), dim=1), strict=True))
        self.coarse, self.size = coarse, sizes[min(sizes)]
        self.direct = tuple(s for s in channels if s not in coarse)
        self.resize = Resize(align_corners)
        self.filter = conv_of(merge.conv, torch.cat([weights[s] for s in self.direct], dim=1), merge.conv.bias)
        self.columns = nn.ModuleList(_columns(weights[s]) for s in coarse)
        matrices = [_rows(sizes[s][0], self.size[0], align_corners) for s in coarse]
        self.register_buffer("rows", torch.cat(matrices, dim=1))
        self.act = merge.act

    def forward(self, features: Features) -> Tensor:
        """Levels (B, C, h, w) to (B, K, H, W) at the finest one's size."""
        fine = self.filter(torch.cat([self.resize(features[s], self.size) for s in self.direct], dim=1))
        parts = [self._filtered(features[s], columns) for s, columns in zip(self.coarse, self.columns, strict=True)]
        out: Tensor = self.act(fine + self.rows @ torch.cat(parts, dim=2))
        return out

    def _filtered(self, x: Tensor, columns: nn.Module) -> Tensor:
        """Tensor (B, C, h, w) to (B, K, 3 h, W)."""
        wide = columns(self.resize(x, (x.shape[2], self.size[1])))
        out: Tensor = wide.reshape(x.shape[0], -1, 3 * x.shape[2], self.size[1])
        return out


def _columns(weight: Tensor) -> nn.Conv2d:
    """Weights (K, C, 3, 3) as a 1x3 to 3 K channels, K first."""
    width, channels = weight.shape[:2]
    conv = nn.Conv2d(channels, 3 * width, (1, 3), padding=(0, 1), bias=False)
    conv.weight = nn.Parameter(weight.detach().permute(0, 2, 1, 3).reshape(3 * width, channels, 1, 3).contiguous())
    return conv


def _rows(coarse: int, fine: int, align_corners: bool) -> Tensor:
    """Matrix (H, 3 h): resize of rows, seen from one row above, from the row itself, from one row below."""
    units = torch.eye(coarse)[None, :, :, None]
    up = F.interpolate(units, size=(fine, 1), mode="bilinear", align_corners=align_corners)[0, :, :, 0].T
    none = torch.zeros(1, coarse)
    return torch.cat((torch.cat((none, up[:-1])), up, torch.cat((up[1:], none))), dim=1)
