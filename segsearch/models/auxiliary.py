"""Auxiliary heads: extra logits in training for a direct gradient to deep layers (deep supervision); never deployed."""

from typing import Literal

from torch import Tensor, nn

from segsearch.models.ops import Channels, ConvNorm, Features

Auxiliary = Literal["none", "encoder", "neck", "both"]


class AuxiliaryHead(nn.Module):
    """3x3 with bias, BatchNorm, ReLU, dropout, 1x1 classifier (PSPNet's deep supervision; SFNet, section 4.1)."""

    def __init__(
        self, source: Literal["encoder", "neck"], stride: int, in_channels: int, width: int, classes: int
    ) -> None:
        super().__init__()
        self.source, self.stride = source, stride
        self.merge = ConvNorm(in_channels, width, bias=True)
        self.dropout = nn.Dropout2d(0.1)
        self.classify = nn.Conv2d(width, classes, 1)

    def on(self, sources: dict[str, Features]) -> Tensor:
        """Logits (B, K, h, w) of the map this head was built for."""
        logits: Tensor = self(sources[self.source][self.stride])
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, C, h, w) to logits (B, K, h, w)."""
        logits: Tensor = self.classify(self.dropout(self.merge(x)))
        return logits


def auxiliary_heads(kind: Auxiliary, encoder: Channels, neck: Channels, classes: int) -> nn.ModuleList:
    """Build the heads that ``kind`` asks for.

    ``encoder``: one on the encoder's last level but one. Its width is what SFNet's published parameters need.
    ``neck``: one on every fused level, the coarsest left out.
    """
    heads = []
    if kind in ("encoder", "both"):
        stride = sorted(encoder)[-2] if len(encoder) > 1 else max(encoder)
        last = encoder[max(encoder)]
        width = max(last // 4, min(256, last))
        heads.append(AuxiliaryHead("encoder", stride, encoder[stride], width, classes))
    if kind in ("neck", "both"):
        heads += [AuxiliaryHead("neck", s, neck[s], neck[s], classes) for s in sorted(neck)[:-1]]
    return nn.ModuleList(heads)
