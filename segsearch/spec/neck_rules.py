"""Laws between a neck and the levels it is given. Each names the class whose construction needs it."""

from collections.abc import Iterator

from segsearch.spec.channels import encoder_levels, pyramid_levels, stages_at
from segsearch.spec.context import ContextSpec, context_width
from segsearch.spec.encoder import AnyEncoder, TimmSpec
from segsearch.spec.neck import AggregateSpec, BidirectionalSpec, NeckSpec, PyramidSpec, TopDownSpec
from segsearch.spec.reruns import plan_reruns, staged

PROJECTING = frozenset({"meu", "up"})
"""Fusions that bring both maps to their width themselves; the others are handed maps of one width."""


def neck_complaints(encoder: AnyEncoder, pyramid: PyramidSpec, context: ContextSpec, neck: NeckSpec) -> Iterator[str]:
    """Everything that is wrong between a neck and the levels before it."""
    yield from _levels_made_for_it(encoder, pyramid, neck)
    if isinstance(neck, TopDownSpec):
        yield from _one_width_per_fusion(pyramid, context, neck)
        yield from _options_of_its_fusion(pyramid, neck)
    elif isinstance(neck, BidirectionalSpec):
        yield from _paths_take_turns(neck)
    elif isinstance(neck, AggregateSpec):
        yield from _stages_to_run_again(encoder, pyramid, context, neck)
        yield from _public_code_has_its_marks(encoder, pyramid, context, neck)


def _levels_made_for_it(encoder: AnyEncoder, pyramid: PyramidSpec, neck: NeckSpec) -> Iterator[str]:
    """models.levels.Levels: only a bidirectional neck reads every level through convolutions of its own."""
    bidirectional = isinstance(neck, BidirectionalSpec)
    if pyramid.at == "neck" and not bidirectional:
        yield f"pyramid.at: a {neck.kind} neck pools no levels itself"
    if pyramid.expand:
        own = sum(2**pyramid.finest <= s <= 2**pyramid.coarsest for s in encoder_levels(encoder))
        if not bidirectional:
            yield f"pyramid.expand: a {neck.kind} neck may leave a widened level unread"
        if len(pyramid.expand) != own:
            yield f"pyramid.expand: {own} levels of the encoder need as many widths, got {len(pyramid.expand)}"


def _one_width_per_fusion(pyramid: PyramidSpec, context: ContextSpec, neck: TopDownSpec) -> Iterator[str]:
    """models.necks.topdown: as many widths as fusions, all equal where the fusion adds maps without projecting them."""
    fusions, widths = pyramid.coarsest - pyramid.finest, neck.widths
    if len(widths) != fusions:
        yield f"neck.widths: {fusions + 1} levels need {fusions} widths, got {len(widths)}"
    if neck.fusion in PROJECTING or not widths:
        return
    if len(set(widths)) > 1:
        yield f"neck.widths: {neck.fusion} adds maps of one width, got {sorted(set(widths))}"
    elif (width := context_width(context)) not in (None, widths[0]):
        yield f"context.width: {neck.fusion} needs the neck's {widths[0]}, got {width}"


OPTIONS = {
    "warps": ("fam", None),
    "attention": ("meu", "both"),
    "code": ("meu", "paper"),
    "style": ("fpn", "sfnet"),
}
"""Options of one fusion alone: which one, and the default, which the others keep."""


def _options_of_its_fusion(pyramid: PyramidSpec, neck: TopDownSpec) -> Iterator[str]:
    """models.necks.topdown: an option of one fusion means nothing in another, and two specs would be one network."""
    fused = range(pyramid.finest, pyramid.coarsest)
    for option, (fusion, default) in OPTIONS.items():
        if getattr(neck, option) != default and neck.fusion != fusion:
            yield f"neck.{option}: is an option of {fusion}, got {neck.fusion}"
    if neck.warps is not None and (
        not neck.warps or list(neck.warps) != sorted(set(neck.warps)) or not set(neck.warps) < set(fused)
    ):
        known = ", ".join(map(str, fused))
        yield f"neck.warps: must be some but not all of the fused levels {known}, each once, got {list(neck.warps)}"


def _paths_take_turns(neck: BidirectionalSpec) -> Iterator[str]:
    """models.necks.bidirectional: down, up, down...: only so is every node read by a later one."""
    turns = tuple("up" if i % 2 else "down" for i in range(len(neck.paths)))
    if neck.paths != turns:
        yield f"neck.paths: must be down and up in turns, down first, got {', '.join(neck.paths)}"
    if neck.separate_skips and "up" not in neck.paths:
        yield "neck.separate_skips: there is no up path to read them"


def _stages_to_run_again(
    encoder: AnyEncoder, pyramid: PyramidSpec, context: ContextSpec, neck: AggregateSpec
) -> Iterator[str]:
    """models.necks.aggregate: only what stages made can be made again, and their blocks must take the wider maps."""
    if isinstance(encoder, TimmSpec):
        yield f"neck: an aggregate neck runs the encoder's stages again, timm's {encoder.name} has none that can be"
        return
    last = max(encoder_levels(encoder))
    if 2**pyramid.coarsest > last:
        yield f"pyramid.coarsest: an aggregate neck ends with the encoder, at P{last.bit_length() - 1}"
    if encoder.taps:
        yield "neck: an aggregate neck runs whole stages again, this encoder hands on maps from inside them"
    inputs = pyramid_levels(encoder, pyramid)
    if not staged(encoder, tuple(inputs)):
        yield "neck: an aggregate neck needs a level that a stage makes"
        return
    inputs[max(inputs)] = context_width(context) or inputs[max(inputs)]
    for run in (run for network in plan_reruns(encoder, inputs, neck.networks) for run in network):
        first = stages_at(encoder, run.stride)[0]
        branches = len(first.dilations)
        if first.block == "fpe" and first.expansion * run.in_channels % branches:
            inner = f"{first.expansion} x {run.in_channels}"
            yield f"neck: {branches} branches must divide {inner} channels where the stages run again"


def _public_code_has_its_marks(
    encoder: AnyEncoder, pyramid: PyramidSpec, context: ContextSpec, neck: AggregateSpec
) -> Iterator[str]:
    """models.necks.aggregate: one 1x1 reads the last maps of all later networks; and one network has one id."""
    if neck.code == "paper" or isinstance(encoder, TimmSpec):
        return
    if neck.networks == 1 and neck.decoder != "both":
        yield f"neck.code: a single network without both decoders is the paper's, got {neck.code}"
    inputs = pyramid_levels(encoder, pyramid)
    if not staged(encoder, tuple(inputs)):
        return
    inputs[max(inputs)] = context_width(context) or inputs[max(inputs)]
    widths = {runs[-1].out_channels for runs in plan_reruns(encoder, inputs, neck.networks)}
    if neck.decoder != "none" and len(widths) > 1:
        yield f"neck.code: {neck.code} reads all later last maps by one 1x1, got {sorted(widths)} channels"
