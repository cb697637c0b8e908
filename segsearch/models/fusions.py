"""Pair fusions: (deep, shallow) -> one map of the shallow one's size.

All places of a new one: docs/extend.md.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, Literal, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segsearch.deployment.deployable import Deployable, Seen
from segsearch.models.ops import ConvNorm, Nearest, Resize, conv_of, size_of


class PairFusion(Deployable):
    """Fuses a deep map (B, deep, h, w) into a shallow one (B, shallow, H, W), giving (B, width, H, W)."""

    projects: ClassVar[bool]
    """True: accepts maps of any width. False: the neck has already projected both to ``width``."""

    def __init__(self, deep: int, shallow: int, width: int, align_corners: bool) -> None:
        super().__init__()
        assert self.projects or deep == shallow == width, "the neck projects for fusions that do not"

    @abstractmethod
    def forward(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """Tensors (B, deep, h, w) and (B, shallow, H, W) to (B, width, H, W)."""


@final
class FPN(PairFusion):
    """shallow + up(deep) (Feature Pyramid Networks, figure 3; SFNet's baseline).

    ``nearest``: up by nearest neighbour, ESeg's baseline.
    """

    projects = False

    def __init__(self, deep: int, shallow: int, width: int, align_corners: bool, nearest: bool = False) -> None:
        super().__init__(deep, shallow, width, align_corners)
        self.resize = Nearest() if nearest else Resize(align_corners)

    def forward(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """See `PairFusion`."""
        up: Tensor = self.resize(deep, size_of(shallow))
        return shallow + up


class Warp(Deployable):
    """Samples a map where a flow field points (SFNet, equation 3). Flow is in half pixels of the fine map."""

    zero_flow: Tensor | None
    flow_unit: Tensor | None

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("zero_flow", None)
        self.register_buffer("flow_unit", None)

    def freeze_grid(self, seen: Seen) -> None:
        """Store the sampling grid of zero flow, (1, H, W, 2), and how far one unit of flow moves in it."""
        if (given := seen(self)) is not None:
            height, width = size_of(given[1])
            x, y = torch.linspace(-1.0, 1.0, width), torch.linspace(-1.0, 1.0, height)
            self.zero_flow = torch.stack((x.expand(height, width), y[:, None].expand(height, width)), dim=-1)[None]
            self.flow_unit = torch.tensor((1 / width, 1 / height))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Warp":
        """Convert as any module does, but keep the grid in float32 or better: see `forward`."""
        kept = {name: self._buffers[name] for name in ("zero_flow", "flow_unit")}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, exact in kept.items():
            if exact is not None and (moved := self._buffers[name]) is not None:
                dtype = torch.promote_types(moved.dtype, torch.float32)
                self._buffers[name] = exact.to(moved.device, dtype)
        return self

    def forward(self, deep: Tensor, flow: Tensor) -> Tensor:
        """Tensors (B, C, h, w) and (B, 2, H, W), x then y, to (B, C, H, W)."""
        # half precision would round positions near the border by a pixel or more
        flow = flow.to(torch.promote_types(flow.dtype, torch.float32))
        grid = self._grid(flow)
        # align_corners is True whatever the network's convention: the grid above counts corners as -1 and 1
        warped = F.grid_sample(deep.to(grid.dtype), grid, mode="bilinear", padding_mode="zeros", align_corners=True)
        return warped.to(deep.dtype)

    def _grid(self, flow: Tensor) -> Tensor:
        if self.zero_flow is not None and self.flow_unit is not None:
            return self.zero_flow + flow.permute(0, 2, 3, 1) * self.flow_unit
        height, width = size_of(flow)
        x = torch.linspace(-1.0, 1.0, width, dtype=flow.dtype, device=flow.device)
        y = torch.linspace(-1.0, 1.0, height, dtype=flow.dtype, device=flow.device)
        return torch.stack((x + flow[:, 0] / width, y[:, None] + flow[:, 1] / height), dim=-1)


@final
class FAM(PairFusion):
    """shallow + warp(deep, flow), with a flow predicted from both maps (SFNet's flow alignment module, section 3.2)."""

    projects = False

    def __init__(self, deep: int, shallow: int, width: int, align_corners: bool) -> None:
        super().__init__(deep, shallow, width, align_corners)
        self.reduce_deep = nn.Conv2d(width, width // 2, 1, bias=False)
        self.reduce_shallow = nn.Conv2d(width, width // 2, 1, bias=False)
        self.flow = nn.Conv2d(width // 2 * 2, 2, 3, padding=1, bias=False)
        self.resize = Resize(align_corners)
        self.warp = Warp()

    def forward(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """See `PairFusion`."""
        up = self.resize(self.reduce_deep(deep), size_of(shallow))
        flow = self.flow(torch.cat((up, self.reduce_shallow(shallow)), dim=1))
        warped: Tensor = self.warp(deep, flow)
        return shallow + warped


@final
class MEU(PairFusion):
    """Mutual embedding upsample (FPENet, section 3.2): sum of both maps, each weighted by attention from the other.

    Spatial attention from the shallow map weights the deep one, channel attention from the deep map the shallow one.
    ``attention`` names those that are built (table 6).
    """

    projects = True

    def __init__(
        self,
        deep: int,
        shallow: int,
        width: int,
        align_corners: bool,
        attention: Literal["both", "channel", "spatial", "none"] = "both",
    ) -> None:
        super().__init__(deep, shallow, width, align_corners)
        self.resize = Resize(align_corners)
        self.embed_deep = nn.Sequential(nn.Conv2d(deep, width, 1), nn.ReLU(inplace=True))
        self.embed_shallow = nn.Sequential(nn.Conv2d(shallow, width, 1), nn.ReLU(inplace=True))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.channel = _attention(width) if attention in ("both", "channel") else None
        self.spatial = _attention(1) if attention in ("both", "spatial") else None
        self.resizes_first, self.averages_first = True, True

    def forward(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """See `PairFusion`."""
        high = self._embedded(deep, size_of(shallow))
        low = self.embed_shallow(shallow)
        weighed_low = low if self.channel is None else low * self.channel(self.pool(high))
        weighed_high = high if self.spatial is None else high * self.spatial(self._averaged(low))
        out: Tensor = weighed_low + weighed_high
        return out

    def _embedded(self, deep: Tensor, size_hw: tuple[int, int]) -> Tensor:
        conv, act = self.embed_deep
        x = conv(self.resize(deep, size_hw)) if self.resizes_first else self.resize(conv(deep), size_hw)
        out: Tensor = act(x)
        return out

    def _averaged(self, low: Tensor) -> Tensor:
        return low.mean(dim=1, keepdim=True) if self.averages_first else low

    def project_first(self, seen: Seen) -> None:
        """Apply the 1x1 before the resize, which is cheaper; they commute, as the weights of a resize sum to one."""
        conv = self.embed_deep[0]
        assert isinstance(conv, nn.Conv2d)
        self.resizes_first = conv.out_channels > 2 * conv.in_channels

    def fold_mean(self, seen: Seen) -> None:
        """Fold the mean over channels into the 1x1 that follows it."""
        if self.spatial is not None and self.averages_first:
            conv, act = self.spatial
            assert isinstance(conv, nn.Conv2d)
            embed = self.embed_shallow[0]
            assert isinstance(embed, nn.Conv2d)
            weight = (conv.weight / embed.out_channels).expand(1, embed.out_channels, 1, 1)
            self.spatial = nn.Sequential(conv_of(conv, weight, conv.bias), act)
            self.averages_first = False


@final
class GatedMEU(PairFusion):
    """`MEU` as a public FPENet has it (xiaoyufenfei's).

    The deep map is resized after its 1x1, embeddings have BatchNorm and neither bias nor ReLU, and both attentions have
    no bias and end in a sigmoid. A ReLU precedes the one of the channel attention, which is therefore at least 0.5.
    """

    projects = True

    def __init__(
        self,
        deep: int,
        shallow: int,
        width: int,
        align_corners: bool,
        attention: Literal["both", "channel", "spatial", "none"] = "both",
    ) -> None:
        super().__init__(deep, shallow, width, align_corners)
        self.resize = Resize(align_corners)
        self.embed_deep = ConvNorm(deep, width, 1, act=False)
        self.embed_shallow = ConvNorm(shallow, width, 1, act=False)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.channel = _gate(width, nn.ReLU(inplace=True)) if attention in ("both", "channel") else None
        self.spatial = _gate(1) if attention in ("both", "spatial") else None

    def forward(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """See `PairFusion`."""
        high, low = self.embed_deep(deep), self.embed_shallow(shallow)
        up = self.resize(high, size_of(shallow))
        weighed_low = low if self.channel is None else low * self.channel(self.pool(high))
        weighed_up = up if self.spatial is None else up * self.spatial(low.mean(dim=1, keepdim=True))
        out: Tensor = weighed_low + weighed_up
        return out


def _gate(channels: int, *before: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, channels, 1, bias=False), *before, nn.Sigmoid())


def _attention(channels: int) -> nn.Sequential:
    conv = nn.Conv2d(channels, channels, 1)
    # with a negative start, the ReLU is zero and passes no gradient
    nn.init.ones_(conv.bias)  # type: ignore[arg-type]  # it has one
    return nn.Sequential(conv, nn.ReLU(inplace=True))


@final
class Up(PairFusion):
    """up(1x1(deep)): the shallow map only gives the size (FPENet's decoder without MEU, table 4)."""

    projects = True

    def __init__(self, deep: int, shallow: int, width: int, align_corners: bool) -> None:
        super().__init__(deep, shallow, width, align_corners)
        self.embed_deep = nn.Conv2d(deep, width, 1)
        self.resize = Resize(align_corners)

    def forward(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """See `PairFusion`."""
        out: Tensor = self.resize(self.embed_deep(deep), size_of(shallow))
        return out


FUSIONS: dict[str, type[PairFusion]] = {"fpn": FPN, "fam": FAM, "meu": MEU, "up": Up}
