"""Necks: from a few choices to explicit levels and widths. Each is a pure function, looked up in `NECK_CHOICES`.

A choice without effect (the kind of pooling where no level is pooled) is lowered to its default, so that equal networks
have equal specs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import cast, get_args

from segsearch.space.numbers import Choices, level, rounded
from segsearch.spec.channels import encoder_levels, pooled_strides, pyramid_levels
from segsearch.spec.encoder import AnyEncoder
from segsearch.spec.neck import (
    AggregateSpec,
    BidirectionalSpec,
    FusionName,
    NeckSpec,
    Path,
    PyramidSpec,
    SkipSpec,
    TopDownSpec,
    Weights,
)
from segsearch.spec.words import Pool


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Arguments of every neck: the choices that all fusions share, and the encoder."""

    encoder: AnyEncoder
    finest: int
    coarsest: int
    pool: Pool
    width: int
    smooth: bool
    only_finest: bool
    """Whether the head reads only the finest level."""

    def pyramid(self) -> PyramidSpec:
        """Return the chosen levels; those coarser than the encoder's are pooled from its last one."""
        levels = PyramidSpec(finest=self.finest, coarsest=self.coarsest)
        pooled = pooled_strides(self.encoder, levels)
        return levels.model_copy(update={"pool": self.pool}) if pooled else levels


Lowered = tuple[PyramidSpec, NeckSpec]


def fpn(choices: Choices, shared: Shared) -> Lowered:
    """SFNet's baseline, or ESeg's."""
    return topdown("fpn", choices, shared, style="eseg" if choices["style"] == "eseg" else "sfnet")


def fam(choices: Choices, shared: Shared) -> Lowered:
    """FAM (SFNet) on all fused levels, or on those named, such as ``"P3,P4"``; if none of these is fused, an FPN."""
    fused = range(shared.finest, shared.coarsest)
    if choices["levels"] == "all":
        return topdown("fam", choices, shared)
    named = [level(word) for word in str(choices["levels"]).split(",")]
    warps = tuple(at for at in fused if at in named)
    if fused and not warps:
        return topdown("fpn", choices, shared)
    return topdown("fam", choices, shared, warps=None if len(warps) == len(fused) else warps)


def meu(choices: Choices, shared: Shared) -> Lowered:
    """MEU (FPENet): with both attentions, one or none; as in the paper or as in public code."""
    return topdown("meu", choices, shared, attention=choices["attention"], code=choices["code"])


def topdown(fusion: FusionName, choices: Choices, shared: Shared, **options: object) -> Lowered:
    """Fuse pairs of levels from the coarsest to the finest; ``options`` are passed to this fusion's spec."""
    pyramid = shared.pyramid()
    levels = tuple(pyramid_levels(shared.encoder, pyramid).values())
    if len(levels) == 1:
        # a single level is not fused, so every choice gives the same network and must give the same spec
        return pyramid, TopDownSpec(fusion="fpn", widths=())
    widths = {"encoder": levels[:-1], "deeper": levels[1:]}
    data = {
        "fusion": fusion,
        "widths": widths.get(str(choices.get("widths")), (shared.width,) * (len(levels) - 1)),
        "smooth": shared.smooth,
        **options,
    }
    return pyramid, TopDownSpec.model_validate(data)


def bifpn(choices: Choices, shared: Shared) -> Lowered:
    """BiFPN: ``repeats`` cells of a top-down and a bottom-up path (ESeg, section 3.2).

    If the head reads only the finest level, a single cell has no bottom-up path, as it would have no effect.
    """
    pyramid = shared.pyramid()
    alone = shared.finest == shared.coarsest
    repeats = 1 if alone else int(choices["repeats"])
    return pyramid, BidirectionalSpec(
        kind="bidirectional",
        width=shared.width,
        paths=_paths(("down", "up"), shared, repeats),
        repeats=repeats,
        weights="softmax" if alone else cast(Weights, choices["weights"]),
        smooth=shared.smooth,
    )


EXPANSION = {1: Fraction(1), 2: Fraction(3, 2), 3: Fraction(5, 3), 4: Fraction(7, 3), 5: Fraction(10, 3)}
"""Expansion by level: SGCPNet widens 24, 48 and 96 channels to 40, 112 and 320 (section 3.1); P1 and P2 extrapolate."""


MOST_EXPANDED = 1024
"""Upper limit of the expansion, in channels: coarse levels of wide encoders are wide enough."""


def _expanded(stride: int, channels: int) -> int:
    ratio = EXPANSION.get(stride.bit_length() - 1, EXPANSION[5])
    return rounded(min(float(channels * ratio), float(max(channels, MOST_EXPANDED))))


def sgcp(choices: Choices, shared: Shared) -> Lowered:
    """SGCP: top-down, bottom-up and top-down paths; coarse levels are pooled inside the neck (SGCPNet, section 3.2)."""
    pyramid = PyramidSpec(finest=shared.finest, coarsest=shared.coarsest)
    pooled = bool(pooled_strides(shared.encoder, pyramid))
    own = {s: c for s, c in pyramid_levels(shared.encoder, pyramid).items() if s <= max(encoder_levels(shared.encoder))}
    expand = tuple(_expanded(s, c) for s, c in own.items())
    paths = _paths(cast("tuple[Path, ...]", tuple(str(choices["paths"]).split(","))), shared)
    alone = shared.finest == shared.coarsest
    inner = len(own) > 1 if pooled else len(own) > 2
    pyramid = pyramid.model_copy(
        update={"at": "neck" if pooled else "encoder", "expand": expand if choices["high_features"] else ()}
    )
    pools = pooled or ("up" in paths and not alone)
    return pyramid, BidirectionalSpec(
        kind="bidirectional",
        width=shared.width,
        paths=paths,
        weights="softmax" if alone else "relu" if choices["weighted"] else "plain",
        pool="avg" if pools and choices["pool"] == "avg" else "max",
        pool_kernel=5 if pools and choices["pool_kernel"] == 5 else 3,
        separate_skips=inner and "up" in paths and choices["skips"] == "separate",
        bias=True,
        smooth=shared.smooth,
    )


def _paths(wanted: tuple[Path, ...], shared: Shared, repeats: int = 1) -> tuple[Path, ...]:
    if shared.finest == shared.coarsest:
        return ("down",)
    unread = shared.only_finest and repeats == 1 and wanted[-1] == "up"
    return wanted[:-1] if unread else wanted


def dfa(choices: Choices, shared: Shared) -> Lowered:
    """DFANet's networks over the encoder's own levels: pooled levels have no stages that could be repeated."""
    last = min(shared.coarsest, max(encoder_levels(shared.encoder)).bit_length() - 1)
    networks, decoder = int(choices["networks"]), str(choices["decoder"])
    only_last = networks == 1 and decoder != "both"
    pyramid = PyramidSpec(finest=last if only_last else min(shared.finest, last), coarsest=last)
    data = {
        "kind": "aggregate",
        "networks": networks,
        "decoder": decoder,
        "smooth": shared.smooth,
        # paper and code differ only in later networks and in the decoder named both
        "code": "paper" if only_last else choices["code"],
        **({} if decoder == "none" else {"width": shared.width}),
    }
    return pyramid, AggregateSpec.model_validate(data)


def deeplab(choices: Choices, shared: Shared) -> Lowered:
    """DeepLabV3+'s decoder (ESeg, table 8)."""
    low = {} if shared.finest == shared.coarsest else {"low": int(choices["low"])}
    data = {"kind": "skip", "width": shared.width, "smooth": shared.smooth, **low}
    return shared.pyramid(), SkipSpec.model_validate(data)


NECK_CHOICES: dict[str, Callable[[Choices, Shared], Lowered]] = {
    # pair fusions that have no options
    **{fusion: partial(topdown, fusion) for fusion in get_args(FusionName)},
    "fpn": fpn,
    "fam": fam,
    "meu": meu,
    "bifpn": bifpn,
    "sgcp": sgcp,
    "dfa": dfa,
    "deeplab": deeplab,
}
