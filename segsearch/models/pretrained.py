"""Published ImageNet weights for encoders: which fit, and how they are brought in. Every other encoder starts fresh."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from segsearch.download import fetch, sha256
from segsearch.models.checkpoint_file import read_state
from segsearch.models.encoder import Encoder
from segsearch.models.released import ENCODERS, from_released
from segsearch.models.timm_encoder import TimmEncoder, published_url
from segsearch.progress import Report, silent
from segsearch.spec.encoder import AnyEncoder, BlockName, EncoderSpec, TimmSpec

IMAGENET = "imagenet"
UNLEARNT = "num_batches_tracked"
"""Closes the names of tensors that only count, and that many files lack."""
_TORCHVISION = "https://download.pytorch.org/models/"

Stages = tuple[tuple[BlockName, int, int], ...]
"""Block, depth and width of each."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """One published file and its encoder's shapes. Strides, dilations and pools are free: no tensor knows them."""

    file: str
    """Carries the first digits of its sha256."""
    stem: int
    stages: Stages

    def fits(self, encoder: EncoderSpec) -> bool:
        """Whether ``encoder`` is this one, or its first stages."""
        given = tuple((stage.block, stage.depth, stage.width) for stage in encoder.stages)
        return encoder.stem.widths == (self.stem,) and given == self.stages[: len(given)]


def _even(block: BlockName, depths: tuple[int, ...], widths: tuple[int, ...]) -> Stages:
    return tuple((block, depth, width) for depth, width in zip(depths, widths, strict=True))


def _resnet(file: str, block: BlockName, depths: tuple[int, ...], width: int) -> Source:
    return Source(file=file, stem=64, stages=_even(block, depths, (width, 2 * width, 4 * width, 8 * width)))


def _shuffle(file: str, width: int, last: int) -> Source:
    stages = _even("shuffle", (4, 8, 4), (width, 2 * width, 4 * width))
    return Source(file=file, stem=24, stages=(*stages, ("conv", 1, last)))


def _efficient(file: str, stem: int, depths: tuple[int, ...], widths: tuple[int, ...]) -> Source:
    return Source(file=file, stem=stem, stages=_even("mbconv", depths, widths))


SOURCES: tuple[Source, ...] = (
    _resnet("resnet18-f37072fd.pth", "basic", (2, 2, 2, 2), 64),
    _resnet("resnet34-b627a593.pth", "basic", (3, 4, 6, 3), 64),
    _resnet("resnet50-0676ba61.pth", "bottleneck", (3, 4, 6, 3), 256),
    _resnet("resnet101-63fe2227.pth", "bottleneck", (3, 4, 23, 3), 256),
    _shuffle("shufflenetv2_x0.5-f707e7126e.pth", 48, 1024),
    _shuffle("shufflenetv2_x1-5666bf0f80.pth", 116, 1024),
    _shuffle("shufflenetv2_x1_5-3c479a10.pth", 176, 1024),
    _shuffle("shufflenetv2_x2_0-8be3c8ee.pth", 244, 2048),
    _efficient(
        "efficientnet_b0_rwightman-7f5810bc.pth", 32, (1, 2, 2, 3, 3, 4, 1), (16, 24, 40, 80, 112, 192, 320)
    ),
    _efficient(
        "efficientnet_b1_rwightman-bac287d4.pth", 32, (2, 3, 3, 4, 4, 5, 2), (16, 24, 40, 80, 112, 192, 320)
    ),
    _efficient(
        "efficientnet_b4_rwightman-23ab8bcd.pth", 48, (2, 4, 4, 6, 6, 8, 2), (24, 32, 56, 112, 160, 272, 448)
    ),
    _efficient(
        "efficientnet_b7_lukemelas-c5b4e57e.pth", 64, (4, 7, 7, 10, 10, 13, 4), (32, 48, 80, 160, 224, 384, 640)
    ),
)  # fmt: skip
"""torchvision's files, all of its first versions, named as torchvision 0.28 names them."""


def source_of(encoder: AnyEncoder) -> str | None:
    """Return the address of the ImageNet weights that are published for an encoder; None where there are none.

    Raises:
        MissingExtraError: it is one of timm's, and timm cannot be loaded.
    """
    if isinstance(encoder, TimmSpec):
        return published_url(encoder.name)
    return next((_TORCHVISION + source.file for source in SOURCES if source.fits(encoder)), None)


def start_from(encoder: Encoder | TimmEncoder, wanted: str, report: Report = silent) -> str | None:
    """Fill an encoder from what a recipe calls ``pretrained``; return the file's name and checksum, None if none fits.

    Args:
        encoder: filled whole or not touched.
        wanted: ``imagenet``, downloaded once, or the path of a file.
        report: told of the download, in bytes.

    Raises:
        InputError: the file cannot be had or read. MissingExtraError: as `source_of`.
    """
    path = Path(wanted)
    if wanted == IMAGENET:
        url = source_of(encoder.spec)
        if url is None:
            return None
        path = fetch(url, report)
    if not fill(encoder, read_state(path)):
        return None
    return f"{path.name}#{sha256(path)[:12]}"


def fill(encoder: Encoder | TimmEncoder, tensors: Mapping[str, Tensor]) -> bool:
    """Fill an encoder from tensors by our names, torchvision's or timm's; whole, or not at all and say False."""
    if isinstance(encoder, TimmEncoder):
        return encoder.fill(tensors)
    wanted = {f"encoder.{name}": tensor for name, tensor in encoder.state_dict().items() if not name.endswith(UNLEARNT)}
    own = ("encoder.stem.", *(f"encoder.stages.{i}." for i in range(len(encoder.stages))))
    for known in (dict(tensors), *(from_released(tensors, release)[0] for release in ENCODERS)):
        # stages beyond its own may be in the file, but no deeper ones: ResNet-34 holds all names of ResNet-18
        here = {name for name in known if name.startswith(own) and not name.endswith(UNLEARNT)}
        if here <= wanted.keys() and all(n in known and known[n].shape == t.shape for n, t in wanted.items()):
            encoder.load_state_dict({name.removeprefix("encoder."): known[name] for name in wanted}, strict=False)
            return True
    return False
