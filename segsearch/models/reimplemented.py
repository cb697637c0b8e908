"""Names of the tensors in public re-implementations of papers without released code."""

import re

from segsearch.models.renaming import Rules

_PAIR = {"0": "conv", "1": "norm"}
_KIND = {"conv": "conv", "bn": "norm"}
_FPE_PART = {"1": "expand", "3": "project"}
_MEU_STRIDE = {"1": "4", "2": "2"}
_MEU_SIDE = {"high": "deep", "low": "shallow"}
_MEU_GATE = {"ca": "channel", "sa": "spatial"}


def _fpe(match: re.Match[str]) -> str:
    """Name a block; there a layer is one list, here its first block is a stage of its own."""
    layer, index = int(match[1]), int(match[2])
    if index == 0:
        return f"encoder.stages.{max(0, 2 * layer - 3)}.blocks.0"
    return f"encoder.stages.{2 * layer - 2}.blocks.{index - 1}"


_LAYER = r"^layer([1-3])\.(\d+)\."

FPENET_XIAOYUFENFEI: Rules = (
    (r"^(conv|bn)1\.", lambda m: f"encoder.stem.convs.0.{_KIND[m[1]]}."),
    (rf"{_LAYER}(conv|bn)([13])\.", lambda m: f"{_fpe(m)}.{_FPE_PART[m[4]]}.{_KIND[m[3]]}."),
    (rf"{_LAYER}(conv|bn)2\.(\d)\.", lambda m: f"{_fpe(m)}.branches.{m[4]}.{_KIND[m[3]]}."),
    (rf"{_LAYER}downsample\.([01])\.", lambda m: f"{_fpe(m)}.shortcut.{_PAIR[m[3]]}."),
    (
        r"^meu([12])\.(conv1x1|bn)_(high|low)\.",
        lambda m: f"neck.fusions.{_MEU_STRIDE[m[1]]}.embed_{_MEU_SIDE[m[3]]}.{'norm' if m[2] == 'bn' else 'conv'}.",
    ),
    (r"^meu([12])\.(ca|sa)_conv\.", lambda m: f"neck.fusions.{_MEU_STRIDE[m[1]]}.{_MEU_GATE[m[2]]}.0."),
    (r"^project_layer\.", "head.classify."),
)
"""github.com/xiaoyufenfei/Efficient-Segmentation-Networks."""


def _stage(match: re.Match[str]) -> str:
    """Name a stage; there the first network has the stages that are the encoder's here."""
    network, stage = int(match[1]), int(match[2]) - 2
    return f"neck.networks.{network - 1}.stages.{stage}.0" if network else f"encoder.stages.{stage}"


def _attention(match: re.Match[str]) -> str:
    return f"neck.networks.{int(match[1]) - 1}.attention." if int(match[1]) else "neck.attention."


_SEPARABLE = {"0.conv1": "depthwise", "0.pointwise": "pointwise.conv", "1": "pointwise.norm"}
_BLOCK = r"^encoder\.branch([0-2])\.enc([2-4])\.build\.(\d+)\."

DFANET_HUAIFENG1993: Rules = (
    (r"^encoder\.conv1\.([01])\.", lambda m: f"encoder.stem.convs.0.{_PAIR[m[1]]}."),
    (
        rf"{_BLOCK}conv([123])\.(0\.conv1|0\.pointwise|1)\.",
        lambda m: f"{_stage(m)}.blocks.{m[3]}.convs.{int(m[4]) - 1}.{_SEPARABLE[m[5]]}.",
    ),
    (rf"{_BLOCK}projection\.", lambda m: f"{_stage(m)}.blocks.{m[3]}.shortcut."),
    (r"^encoder\.branch([0-2])\.atten\.fc\.0\.", lambda m: f"{_attention(m)}classify."),
    (r"^encoder\.branch([0-2])\.atten\.fc\.2\.", lambda m: f"{_attention(m)}weigh."),
    (r"^decoder\.conv([0-2])\.([01])\.", lambda m: f"neck.low.projections.{m[1]}.{_PAIR[m[2]]}."),
    (r"^decoder\.conv([3-5])\.([01])\.", lambda m: f"neck.high.projections.{int(m[1]) - 3}.{_PAIR[m[2]]}."),
    (r"^decoder\.conv_add1\.([01])\.", lambda m: f"neck.merge.{_PAIR[m[1]]}."),
    (r"^decoder\.conv_cls\.", "head.classify."),
)
"""github.com/huaifeng1993/DFANet; its FC attention is made of linear layers, which weigh as our 1x1 do."""
