"""Names of the tensors in released checkpoints, as ordered rewriting rules onto ours. One table per release."""

import re
from collections.abc import Mapping

from torch import Tensor

from segsearch.models.renaming import (
    DFANET_HUAIFENG1993,
    EFFICIENTNET_LITE0,
    EFFICIENTNET_LITE1,
    FPENET_XIAOYUFENFEI,
    TIMM_EFFICIENTNET,
    TIMM_MOBILENETV3,
    TORCHVISION_EFFICIENTNET,
    TORCHVISION_MOBILENETV3,
    TORCHVISION_SHUFFLENETV2,
    Rules,
    renamed,
)

_PAIR = {"0": "conv", "1": "norm"}
_KIND = {"conv": "conv", "bn": "norm"}


def _block(match: re.Match[str], part: str, kind: str) -> str:
    return f"encoder.stages.{int(match[1]) - 1}.blocks.{match[2]}.{part}.{kind}."


_RESNET_STAGES: Rules = (
    (r"^layer([1-4])\.(\d+)\.(conv|bn)([123])\.", lambda m: _block(m, f"conv{m[4]}", _KIND[m[3]])),
    (r"^layer([1-4])\.(\d+)\.downsample\.([01])\.", lambda m: _block(m, "shortcut", _PAIR[m[3]])),
)

TORCHVISION_RESNET: Rules = (
    (r"^conv1\.", "encoder.stem.convs.0.conv."),
    (r"^bn1\.", "encoder.stem.convs.0.norm."),
    *_RESNET_STAGES,
)
"""torchvision's and timm's ResNet: the encoder alone, with the plain stem."""


def _sfnet(trunk: Rules, strides: tuple[int, ...]) -> Rules:
    """Rules of SFNet's released networks, whose head counts its levels from the finest; `auxiliary` built as "neck"."""
    level = {str(i): str(stride) for i, stride in enumerate(strides)}
    part = {"down_h": "reduce_deep", "down_l": "reduce_shallow", "flow_make": "flow"}
    return (
        *trunk,
        (r"^head\.ppm\.stages\.(\d)\.([12])\.", lambda m: f"context.projections.{m[1]}.{_PAIR[str(int(m[2]) - 1)]}."),
        (r"^head\.ppm\.bottleneck\.([01])\.", lambda m: f"context.bottleneck.{_PAIR[m[1]]}."),
        (r"^head\.fpn_in\.([012])\.([01])\.", lambda m: f"neck.laterals.{level[m[1]]}.{_PAIR[m[2]]}."),
        (r"^head\.fpn_out\.([012])\.0\.([01])\.", lambda m: f"neck.smooths.{level[m[1]]}.{_PAIR[m[2]]}."),
        (
            r"^head\.fpn_out_align\.([012])\.(down_h|down_l|flow_make)\.",
            lambda m: f"neck.fusions.{level[m[1]]}.{part[m[2]]}.",
        ),
        (r"^head\.conv_last\.0\.([01])\.", lambda m: f"head.merge.{_PAIR[m[1]]}."),
        (r"^head\.conv_last\.1\.", "head.classify."),
        (r"^head\.dsn\.([012])\.([01])\.", lambda m: f"auxiliary.{m[1]}.merge.{_PAIR[m[2]]}."),
        (r"^head\.dsn\.([012])\.4\.", lambda m: f"auxiliary.{m[1]}.classify."),
    )


_DEEP_RESNET: Rules = (
    (r"^layer0\.0\.(0|3|6)\.", lambda m: f"encoder.stem.convs.{int(m[1]) // 3}.conv."),
    (r"^layer0\.0\.(1|4)\.", lambda m: f"encoder.stem.convs.{int(m[1]) // 3}.norm."),
    (r"^layer0\.1\.", "encoder.stem.convs.2.norm."),
    *_RESNET_STAGES,
)


def _df(stages: tuple[str, ...]) -> Rules:
    """Rules of a DF trunk whose stages are so named, such as ``2_1``."""
    at = {name: str(i) for i, name in enumerate(stages)}
    stage, block = rf"^backbone\.stage({'|'.join(stages)})\.(\d+)\.", "encoder.stages.{}.blocks.{}.{}.{}."
    return (
        (r"^backbone\.stage1\.(0|3)\.", lambda m: f"encoder.stem.convs.{int(m[1]) // 3}.conv."),
        (r"^backbone\.stage1\.(1|4)\.", lambda m: f"encoder.stem.convs.{int(m[1]) // 3}.norm."),
        (rf"{stage}(conv|bn)([12])\.", lambda m: block.format(at[m[1]], m[2], f"conv{m[4]}", _KIND[m[3]])),
        (rf"{stage}downsample\.([01])\.", lambda m: block.format(at[m[1]], m[2], "shortcut", _PAIR[m[3]])),
    )


_DF1, _DF2 = _df(("2", "3", "4", "5")), _df(("2_1", "2_2", "3_1", "3_2", "4_1", "4_2"))

_MOBILE = {
    **{"2": "0.blocks.0", "3.0": "1.blocks.0", "3.1": "2.blocks.0"},
    **{"4.0": "3.blocks.0", "4.1": "4.blocks.0", "4.2": "4.blocks.1", "4.3": "5.blocks.0", "4.4": "6.blocks.0"},
    **{"5.0": "7.blocks.0", "5.1": "8.blocks.0", "5.2": "8.blocks.1"},
}
"""SGCPNet's layers to our stages, which end wherever a block's shape changes."""
_MOBILE_PART = {"1": "expand", "2": "depthwise", "3": "project"}
_SQUEEZE = {"1": "reduce.conv", "2": "reduce.norm", "4": "restore.conv", "5": "restore.norm"}
_NODE = {
    "depthwise_conv.conv": "conv.depthwise",
    "pointwise_conv.conv": "conv.pointwise.conv",
    "bn": "conv.pointwise.norm",
}
_LATERAL = {"0.conv": "conv", "1": "norm"}


def _node(path: int, level: str, part: str) -> str:
    return f"neck.paths.{path}.nodes.{2 ** int(level)}.{part}"


_LAYER = r"^l(2|3\.[01]|4\.[0-4]|5\.[0-2])\."
_CONV = r"(depthwise_conv\.conv|pointwise_conv\.conv|bn)\."

SGCPNET: Rules = (
    (r"^l1\.([01])\.", lambda m: f"encoder.stem.convs.0.{_PAIR[m[1]]}."),
    (
        rf"{_LAYER}(conv|bn)([123])\.",
        lambda m: f"encoder.stages.{_MOBILE[m[1]]}.{_MOBILE_PART[m[3]]}.{_KIND[m[2]]}.",
    ),
    (rf"{_LAYER}se\.se\.([1245])\.", lambda m: f"encoder.stages.{_MOBILE[m[1]]}.squeeze_out.{_SQUEEZE[m[2]]}."),
    (rf"{_LAYER}shortcut\.([01])\.", lambda m: f"encoder.stages.{_MOBILE[m[1]]}.shortcut.{_PAIR[m[2]]}."),
    (r"^conv([345])\.", lambda m: f"levels.expansions.{2 ** int(m[1])}."),
    (
        r"^sgcp\.td_bu\.unit\.0\.p([345])_down_channel\.(0\.conv|1)\.",
        lambda m: f"neck.laterals.{2 ** int(m[1])}.{_LATERAL[m[2]]}.",
    ),
    (
        r"^sgcp\.td_bu\.unit\.0\.p([45])_down_channel_2\.(0\.conv|1)\.",
        lambda m: f"neck.skips.{2 ** int(m[1])}.{_LATERAL[m[2]]}.",
    ),
    (r"^sgcp\.td_bu\.unit\.0\.p5_to_p6\.(0\.conv|1)\.", lambda m: f"neck.beyond.lateral.{_LATERAL[m[1]]}."),
    (rf"^sgcp\.td_bu\.unit\.0\.conv([3-6])_up\.{_CONV}", lambda m: _node(0, m[1], _NODE[m[2]] + ".")),
    (rf"^sgcp\.td_bu\.unit\.0\.conv([4-7])_down\.{_CONV}", lambda m: _node(1, m[1], _NODE[m[2]] + ".")),
    (r"^sgcp\.td_bu\.unit\.0\.p([3-6])_w1$", lambda m: _node(0, m[1], "sum.weights")),
    (r"^sgcp\.td_bu\.unit\.0\.p([4-7])_w2$", lambda m: _node(1, m[1], "sum.weights")),
    (rf"^sgcp\.td\.conv([3-6])_up\.{_CONV}", lambda m: _node(2, m[1], _NODE[m[2]] + ".")),
    (r"^sgcp\.td\.p([3-6])_w1$", lambda m: _node(2, m[1], "sum.weights")),
    (r"^classifier\.", "head.classify."),
)
"""SGCPNet's released network."""

RELEASES: dict[str, Rules] = {
    "dfanet_huaifeng1993": DFANET_HUAIFENG1993,
    "fpenet_xiaoyufenfei": FPENET_XIAOYUFENFEI,
    "sfnet_resnet": _sfnet(_DEEP_RESNET, (4, 8, 16)),
    "sfnet_df1": _sfnet(_DF1, (16, 32)),
    "sfnet_df1_paper": _sfnet(_DF1, (8, 16)),
    "sfnet_df2": _sfnet(_DF2, (8, 16)),
    "sgcpnet": SGCPNET,
    "torchvision_resnet": TORCHVISION_RESNET,
    "timm_resnet": TORCHVISION_RESNET,
    "torchvision_shufflenetv2": TORCHVISION_SHUFFLENETV2,
    "torchvision_efficientnet": TORCHVISION_EFFICIENTNET,
    "timm_efficientnet": TIMM_EFFICIENTNET,
    "torchvision_mobilenetv3": TORCHVISION_MOBILENETV3,
    "timm_mobilenetv3": TIMM_MOBILENETV3,
    "efficientnet_lite0": EFFICIENTNET_LITE0,
    "efficientnet_lite1": EFFICIENTNET_LITE1,
    "efficientnet_lite2": EFFICIENTNET_LITE1,
}

LIBRARIES: dict[str, tuple[str, ...]] = {
    library: tuple(release for release in RELEASES if release.startswith(library))
    for library in ("torchvision", "timm", "efficientnet_lite")
}
"""Releases of each library: the encoder says which of them is meant."""
ENCODERS: tuple[str, ...] = tuple(release for releases in LIBRARIES.values() for release in releases)

RELEASE_OF: dict[str, str] = {
    "dfanet_huaifeng1993": "dfanet_huaifeng1993",
    "fpenet_xiaoyufenfei": "fpenet_xiaoyufenfei",
    **dict.fromkeys(("sfnet_r18", "sfnet_r50", "sfnet_r101"), "sfnet_resnet"),
    **dict.fromkeys(("sfnet_r18_released", "sfnet_r50_released", "sfnet_r101_released"), "sfnet_resnet"),
    "sfnet_df1": "sfnet_df1_paper",
    "sfnet_df1_released": "sfnet_df1",
    **dict.fromkeys(("sfnet_df2", "sfnet_df2_released"), "sfnet_df2"),
    **dict.fromkeys(("sgcpnet1", "sgcpnet2", "sgcpnet_max5", "sgcpnet_avg3"), "sgcpnet"),
}
"""How the tensors of a named point are called in the checkpoints of its authors, or of those who built it again."""


def from_released(state: Mapping[str, Tensor], release: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Rename a released state dict to ours; also return the names that no rule knows."""
    names = {name: renamed(name, RELEASES[release]) for name in state}
    known = {new: state[name] for name, new in names.items() if new is not None}
    return known, tuple(name for name, new in names.items() if new is None)
