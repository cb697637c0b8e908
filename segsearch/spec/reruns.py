"""What an aggregate neck runs again, in plain integers: the encoder's stages, on the maps of the network before."""

from dataclasses import dataclass

from segsearch.spec.channels import stage_strides, stages_at, stages_out
from segsearch.spec.encoder import EncoderSpec


@dataclass(frozen=True, kw_only=True)
class Run:
    """The stages at one stride of the encoder, made anew."""

    stride: int
    in_channels: int
    out_channels: int
    pools: bool
    """The encoder reaches this stride before these stages (ResNet's P2): a max-pool stands before them instead."""


def staged(encoder: EncoderSpec, strides: tuple[int, ...]) -> tuple[int, ...]:
    """Those of the levels that stages make, finest first; the others are the stem's."""
    made = set(stage_strides(encoder))
    return tuple(s for s in sorted(strides) if s in made)


def plan_reruns(encoder: EncoderSpec, inputs: dict[int, int], networks: int) -> tuple[tuple[Run, ...], ...]:
    """Plan the runs of each network behind the encoder, from the levels that reach the neck (DFANet, figure 3).

    A run reads what came before it in its own network beside the same run's map of the network before; the first one
    reads that network's last map instead. DFANet A reads 192 + 48, 48 + 96 and 96 + 192 channels this way.
    """
    strides = staged(encoder, tuple(inputs))
    maps, plan = [inputs[s] for s in strides], []
    for _ in range(networks - 1):
        runs: list[Run] = []
        before = maps[-1]
        for stride, beside in zip(strides, maps, strict=True):
            runs.append(_run(encoder, stride, before + (beside if len(strides) > 1 else 0)))
            before = runs[-1].out_channels
        maps = [run.out_channels for run in runs]
        plan.append(tuple(runs))
    return tuple(plan)


def _run(encoder: EncoderSpec, stride: int, in_channels: int) -> Run:
    stages = stages_at(encoder, stride)
    return Run(
        stride=stride,
        in_channels=in_channels,
        out_channels=stages_out(stages, in_channels),
        pools=all(stage.stride == 1 for stage in stages),
    )
