"""timm's encoders behind one adapter: the only file that imports timm, and only when an encoder is asked for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from segsearch.deployment.deployable import Deployable
from segsearch.deployment.fold_running import fold_by_running, same_maps
from segsearch.errors import InputError, MissingExtraError, one_line
from segsearch.models.ops import Channels, Features
from segsearch.spec.channels import encoder_levels
from segsearch.spec.encoder import TimmSpec

PLACE = "encoder"
HASHED = re.compile(r".*-[0-9a-f]{8,64}\.(pth|safetensors)")
"""File names that contain the first digits of their sha256."""


class TimmEncoder(Deployable):
    """An encoder of timm's; ``channels`` declares what it returns, as every encoder's does.

    Raises:
        MissingExtraError: timm cannot be loaded. InputError: timm has no such encoder, or one that returns other maps.
    """

    channels: Channels

    def __init__(self, spec: TimmSpec) -> None:
        super().__init__()
        self.spec = spec
        self.channels = encoder_levels(spec)
        self.trunk, offer = _trunk(spec.name, len(spec.channels))
        if (offer.finest, offer.channels) != (spec.finest, spec.channels):
            given = Offer(finest=spec.finest, channels=spec.channels, indices=())
            raise InputError(PLACE, f"timm's {spec.name} has {offer}, not {given}")
        self.indices = offer.indices
        self.channels_last = getattr(self.trunk, "output_fmt", "NCHW") == "NHWC"

    def forward(self, image: Tensor) -> Features:
        """Tensor (B, 3, H, W) to every level."""
        maps: list[Tensor] = self.trunk(image)
        if self.channels_last:
            maps = [x.permute(0, 3, 1, 2).contiguous() for x in maps]
        return dict(zip(self.channels, maps, strict=True))

    def fold_norms(self) -> None:
        """Fold every BatchNorm for deployment, in place: timm's have names of their own, and branches to be merged."""
        with same_maps(self.trunk, f"timm's {self.spec.name}"):
            like = next(self.trunk.parameters())
            _timm().utils.reparameterize_model(self.trunk, inplace=True).to(like)  # it makes float32 on the processor
            fold_by_running(self.trunk)

    def fill(self, tensors: Mapping[str, Tensor]) -> bool:
        """Copy the tensors of timm's whole classifier; returns False, with nothing changed, if they are not its own."""
        name = self.spec.name
        try:  # timm checks names only for whole networks, and converts old names on the way
            whole = _created(name, pretrained=True, pretrained_cfg_overlay={"state_dict": dict(tensors)})
        except InputError:
            return False
        overlay = {"state_dict": whole.state_dict()}
        features = {"features_only": True, "out_indices": self.indices}
        donor = _created(name, pretrained=True, pretrained_cfg_overlay=overlay, **features)
        self.trunk.load_state_dict(donor.state_dict())
        return True


@dataclass(frozen=True, kw_only=True)
class Offer:
    """Maps that an encoder of timm returns."""

    finest: int
    """Pk of its first map; each later one has twice the stride."""
    channels: tuple[int, ...]
    indices: tuple[int, ...]
    """Indices of these maps in timm."""

    def __str__(self) -> str:
        return f"P{self.finest}:{','.join(map(str, self.channels))}"


def word_of(name: str) -> str:
    """Ask timm what ``name`` returns and write it as spaces do: ``resnet18@P1:64,64,128,256,512``.

    Raises:
        MissingExtraError: timm cannot be loaded. InputError: no such encoder, or none for dense prediction.
    """
    return f"{name}@{_trunk(name)[1]}"


def published_url(name: str) -> str | None:
    """Address of the weights that timm names first for ``name``; None where their file's name carries no checksum.

    Raises:
        MissingExtraError: timm cannot be loaded.
    """
    config = _timm().get_pretrained_cfg(name)
    url = str(config.url or "") if config is not None else ""
    return url if HASHED.fullmatch(url) else None


def _trunk(name: str, levels: int | None = None) -> tuple[nn.Module, Offer]:
    """Build an encoder with fresh weights that returns its first so many levels, or all of them."""
    _check_size_is_free(name)
    trunk = _created(name, features_only=True)
    info = cast(Any, trunk.feature_info)
    found = zip(info.reduction(), info.channels(), info.out_indices, strict=True)
    kept = [row for row in found if row[0] > 1][:levels]
    finest = kept[0][0].bit_length() - 1 if kept else 1
    if not kept or [stride for stride, _, _ in kept] != [2 ** (finest + i) for i in range(len(kept))]:
        said = f"timm's {name} returns maps of strides {info.reduction()}"
        raise InputError(PLACE, said, "each twice the one before")
    offer = Offer(
        finest=finest,
        channels=tuple(channels for _, channels, _ in kept),
        indices=tuple(index for _, _, index in kept),
    )
    if offer.indices == tuple(info.out_indices):
        return trunk, offer
    return _created(name, features_only=True, out_indices=offer.indices), offer


def _check_size_is_free(name: str) -> None:
    config = _timm().get_pretrained_cfg(name)
    if config is not None and config.fixed_input_size:
        raise InputError(PLACE, f"timm's {name} takes images of one size only, {config.input_size[1:]}")


def _created(name: str, **options: object) -> nn.Module:
    """Build timm's model ``name``; its errors become one line."""
    try:
        return cast(nn.Module, _timm().create_model(name, **{"pretrained": False, **options}))
    except MissingExtraError:
        raise
    except Exception as error:  # timm's model functions raise errors of many types
        problem = f"{type(error).__name__}: {one_line(error)}"
        raise InputError(PLACE, f"timm cannot make '{name}' ({problem})") from error


def _timm() -> Any:
    try:
        import timm
    except (ImportError, RuntimeError) as error:  # a torchvision of another torch raises RuntimeError
        note = f"{one_line(error)}; its torchvision must be built for torch {torch.__version__}"
        raise MissingExtraError("timm", "timm", note) from error
    return timm
