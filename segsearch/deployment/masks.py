"""The last resize and the argmax as one: class maps are made by a matrix product, which runtimes do faster."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Size = tuple[int, int]
ROWS_PER_PIXEL = 4
"""Coarse rows that `RowMask` resizes together: more would be multiplied by zero, fewer make small products."""


class PlainMask(nn.Module):
    """Argmax over logits that have the image's size."""

    def forward(self, logits: Tensor) -> Tensor:
        """Logits [B, K, H, W] to class indices, uint8 [B, H, W]."""
        return logits.argmax(1).to(torch.uint8)


class CellMask(nn.Module):
    """Resize by whole numbers without aligned corners, then argmax.

    Between four neighbouring coarse pixels lie ``step[0] * step[1]`` fine ones, which are mixed from the four by the
    same weights in every such cell. The border is a cell, too, with its pixels repeated.
    """

    weights: Tensor

    def __init__(self, step: Size) -> None:
        super().__init__()
        self.step = step
        rows, columns = (_resizing(3, 3 * n, False)[n // 2 : n // 2 + n, :2] for n in step)
        mixed = rows[:, None, :, None] * columns[None, :, None, :]
        self.register_buffer("weights", mixed.reshape(step[0] * step[1], 4))

    def forward(self, logits: Tensor) -> Tensor:
        """Logits [B, K, h, w] to class indices, uint8 [B, h * step[0], w * step[1]]."""
        (batch, classes, height, width), (down, right) = logits.shape, self.step
        padded = F.pad(logits, (1, 1, 1, 1), mode="replicate")
        corners = [padded[..., i : i + height + 1, j : j + width + 1] for i in (0, 1) for j in (0, 1)]
        cells = torch.stack([corner.reshape(batch, classes, -1) for corner in corners], 2)
        mask = (self.weights @ cells).argmax(1).to(torch.uint8)
        mask = mask.reshape(batch, down, right, height + 1, width + 1).permute(0, 3, 1, 4, 2)
        mask = mask.reshape(batch, (height + 1) * down, (width + 1) * right)
        top, left = down - down // 2, right - right // 2
        return mask[:, top : top + height * down, left : left + width * right]


class RowMask(nn.Module):
    """Resize between any sizes, then argmax: columns by the resize, at the coarse height; rows by small matrices.

    Rows are made in blocks, each from the few coarse ones that it lies between.
    """

    weights: Tensor
    reads: Tensor

    def __init__(self, coarse_hw: Size, size_hw: Size, align_corners: bool) -> None:
        super().__init__()
        self.size_hw, self.align_corners = size_hw, align_corners
        block = max(1, ROWS_PER_PIXEL * size_hw[0] // coarse_hw[0])
        parts = torch.split(_resizing(coarse_hw[0], size_hw[0], align_corners), block)
        spans = [(part != 0).any(0).nonzero() for part in parts]
        most = max(int(span[-1] - span[0]) + 1 for span in spans)
        firsts = [min(int(span[0]), coarse_hw[0] - most) for span in spans]
        weights = torch.zeros(len(parts), block, most)
        for i, (part, first) in enumerate(zip(parts, firsts, strict=True)):
            weights[i, : len(part)] = part[:, first : first + most]
        self.register_buffer("weights", weights)
        self.register_buffer("reads", torch.cat([torch.arange(first, first + most) for first in firsts]))

    def forward(self, logits: Tensor) -> Tensor:
        """Logits [B, K, h, w] to class indices, uint8 [B, H, W]."""
        (batch, classes, rows, _), (height, width) = logits.shape, self.size_hw
        wide = F.interpolate(logits, size=(rows, width), mode="bilinear", align_corners=self.align_corners)
        # one column more, as class maps whose sizes are powers of two evict each other from the cache under the argmax
        wide = F.pad(wide, (0, 1)).index_select(2, self.reads)
        blocks = wide.reshape(batch, classes, len(self.weights), -1, width + 1)
        mask = (self.weights @ blocks).argmax(1).to(torch.uint8)
        return mask.reshape(batch, -1, width + 1)[:, :height, :width]


def mask_of(coarse_hw: Size, size_hw: Size, align_corners: bool) -> nn.Module:
    """Choose the form in which logits of ``coarse_hw`` become a mask of ``size_hw``, as after a bilinear resize."""
    step = (size_hw[0] // coarse_hw[0], size_hw[1] // coarse_hw[1])
    if coarse_hw == size_hw:
        return PlainMask()
    if not align_corners and (coarse_hw[0] * step[0], coarse_hw[1] * step[1]) == size_hw:
        return CellMask(step)
    return RowMask(coarse_hw, size_hw, align_corners)


def _resizing(coarse: int, fine: int, align_corners: bool) -> Tensor:
    """Matrix [fine, coarse] that resizes one axis bilinearly."""
    units = torch.eye(coarse)[None, :, :, None]
    return F.interpolate(units, size=(fine, 1), mode="bilinear", align_corners=align_corners)[0, :, :, 0].T.contiguous()
