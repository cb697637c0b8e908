"""`Network`: the parts of a spec, joined; and `build`, the one builder for named and sampled points alike."""

import torch
from torch import Tensor, nn

from segsearch.deployment.deployable import Deployable, Seen
from segsearch.models.auxiliary import Auxiliary, AuxiliaryHead, auxiliary_heads
from segsearch.models.context import build_context
from segsearch.models.encoder import Encoder
from segsearch.models.head import build_head, only_finest
from segsearch.models.levels import Levels
from segsearch.models.necks.absorb import absorb_weights
from segsearch.models.necks.base import Site
from segsearch.models.necks.table import build_neck
from segsearch.models.ops import ConvNorm, Features, Resize, Unresized, size_of
from segsearch.models.timm_encoder import TimmEncoder
from segsearch.spec.encoder import TimmSpec
from segsearch.spec.network import NetworkSpec, scaled_size


class Network(Deployable):
    """Encoder, levels, context on the coarsest level, neck, head. Normalised images in, logits of the same size out."""

    def __init__(self, spec: NetworkSpec, classes: int, auxiliary: Auxiliary = "none") -> None:
        super().__init__()
        self.spec, self.classes = spec, classes
        align = spec.align_corners
        self.resize, self.enlarge = Resize(align), Resize(align)
        encoder = spec.encoder
        self.encoder = TimmEncoder(encoder) if isinstance(encoder, TimmSpec) else Encoder(encoder)
        self.levels = Levels(spec.pyramid, spec.encoder)
        channels = dict(self.levels.channels)
        coarsest = max(channels)
        self.context = build_context(spec.context, channels[coarsest], align)
        channels[coarsest] = self.context.out_channels
        site = Site(
            inputs=channels,
            pooled=self.levels.pooled,
            pools_itself=spec.pyramid.at == "neck",
            encoder=self.encoder,
            only_finest=only_finest(spec.head),
            align_corners=align,
        )
        self.neck = build_neck(spec.neck, site)
        self.head = build_head(spec.head, {s: self.neck.channels[s] for s in self.neck.read}, classes, align)
        self.auxiliary = auxiliary_heads(auxiliary, self.encoder.channels, self.neck.channels, classes)

    def forward(self, image: Tensor) -> Tensor:
        """Image (B, 3, H, W), normalised, to logits (B, K, H, W)."""
        return self._outputs(image)[0]

    def supervise(self, image: Tensor) -> tuple[Tensor, ...]:
        """Image (B, 3, H, W) to the logits (B, K, H, W), then each auxiliary head's (B, K, h, w)."""
        logits, encoded, fused = self._outputs(image)
        sources = {"encoder": encoded, "neck": fused}
        return (logits, *(head.on(sources) for head in self._auxiliary()))

    def image_readers(self) -> tuple[nn.Conv2d, ...]:
        """Convolutions that read the image, resized or not, and nothing else; none where they are not known."""
        return (self.encoder.stem.first.conv,) if isinstance(self.encoder, Encoder) else ()

    def coarse_logits(self, seen: Seen) -> tuple[tuple[int, int], bool]:
        """See `Deployable.coarse_logits`."""
        coarse, _ = seen(self.enlarge)
        return size_of(coarse), self.enlarge.align_corners

    def leave_coarse(self) -> None:
        """See `Deployable.leave_coarse`."""
        self.enlarge = Unresized(self.enlarge.align_corners)

    def absorb_weights(self, seen: Seen) -> None:
        """Fold the factors of weighted sums into convolutions: see `necks.absorb`."""
        (image,) = seen(self)
        absorb_weights(self, torch.zeros(image.shape))

    def _auxiliary(self) -> list[AuxiliaryHead]:
        return [head for head in self.auxiliary if isinstance(head, AuxiliaryHead)]

    def _outputs(self, image: Tensor) -> tuple[Tensor, Features, Features]:
        size = size_of(image)
        encoded = self.encoder(self.resize(image, scaled_size(self.spec, size)))
        features = self.levels(encoded)
        coarsest = max(features)
        fused = self.neck.fuse(features | {coarsest: self.context(features[coarsest])})
        logits: Tensor = self.enlarge(self.head(self.neck.smooth(fused)), size)
        return logits, encoded, fused


def build(spec: NetworkSpec, classes: int = 19, auxiliary: Auxiliary = "none") -> Network:
    """Build a network with fresh weights, in train mode. Weights follow torch's global random state.

    Convolutions with BatchNorm are initialised as in He et al. 2015; classifiers and flows keep torch's default.
    """
    network = Network(spec, classes, auxiliary)
    for module in network.modules():
        if isinstance(module, ConvNorm):
            nn.init.kaiming_normal_(module.conv.weight, mode="fan_out", nonlinearity="relu")
    return network
