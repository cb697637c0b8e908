"""Names of the tensors in released checkpoints, as ordered rewriting rules onto ours. One table per release."""

import re
from collections.abc import Callable, Mapping

from torch import Tensor

from segsearch.errors import InputError

Rules = tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]


def _block(match: re.Match[str], part: str, kind: str) -> str:
    return f"encoder.stages.{int(match[1]) - 1}.blocks.{match[2]}.{part}.{kind}."


_PAIR = {"0": "conv", "1": "norm"}
_LEVELS = {"0": "4", "1": "8", "2": "16"}

SFNET_RESNET: Rules = (
    (r"^layer0\.0\.(0|3|6)\.", lambda m: f"encoder.stem.convs.{int(m[1]) // 3}.conv."),
    (r"^layer0\.0\.(1|4)\.", lambda m: f"encoder.stem.convs.{int(m[1]) // 3}.norm."),
    (r"^layer0\.1\.", "encoder.stem.convs.2.norm."),
    (
        r"^layer([1-4])\.(\d+)\.(conv|bn)([12])\.",
        lambda m: _block(m, f"conv{m[4]}", {"conv": "conv", "bn": "norm"}[m[3]]),
    ),
    (r"^layer([1-4])\.(\d+)\.downsample\.([01])\.", lambda m: _block(m, "shortcut", _PAIR[m[3]])),
    (r"^head\.ppm\.stages\.(\d)\.([12])\.", lambda m: f"context.projections.{m[1]}.{_PAIR[str(int(m[2]) - 1)]}."),
    (r"^head\.ppm\.bottleneck\.([01])\.", lambda m: f"context.bottleneck.{_PAIR[m[1]]}."),
    (r"^head\.fpn_in\.([012])\.([01])\.", lambda m: f"neck.laterals.{_LEVELS[m[1]]}.{_PAIR[m[2]]}."),
    (r"^head\.fpn_out\.([012])\.0\.([01])\.", lambda m: f"neck.smooths.{_LEVELS[m[1]]}.{_PAIR[m[2]]}."),
    (r"^head\.fpn_out_align\.([012])\.down_h\.", lambda m: f"neck.fusions.{_LEVELS[m[1]]}.reduce_deep."),
    (r"^head\.fpn_out_align\.([012])\.down_l\.", lambda m: f"neck.fusions.{_LEVELS[m[1]]}.reduce_shallow."),
    (r"^head\.fpn_out_align\.([012])\.flow_make\.", lambda m: f"neck.fusions.{_LEVELS[m[1]]}.flow."),
    (r"^head\.conv_last\.0\.([01])\.", lambda m: f"head.merge.{_PAIR[m[1]]}."),
    (r"^head\.conv_last\.1\.", "head.classify."),
    (r"^head\.dsn\.([012])\.([01])\.", lambda m: f"auxiliary.{m[1]}.merge.{_PAIR[m[2]]}."),
    (r"^head\.dsn\.([012])\.4\.", lambda m: f"auxiliary.{m[1]}.classify."),
)
"""SFNet's released ResNet networks; `auxiliary` must be built as "neck". Levels are counted from the finest."""

RELEASES: dict[str, Rules] = {"sfnet_resnet": SFNET_RESNET}


def renamed(name: str, rules: Rules) -> str:
    """Return our name of a released tensor.

    Raises:
        InputError: no rule knows the name.

    """
    for pattern, replacement in rules:
        new, hits = re.subn(pattern, replacement, name)
        if hits:
            return new
    raise InputError(name, "is not a tensor of this release")


def from_released(state: Mapping[str, Tensor], release: str) -> dict[str, Tensor]:
    """Rename a released state dict to ours. Raises as `renamed`."""
    return {renamed(name, RELEASES[release]): tensor for name, tensor in state.items()}
