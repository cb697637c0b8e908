"""Rewriting rules from foreign tensor names to ours: encoders of libraries, and public re-implementations.

The rules of all encoders but MobileNetV3 cover every tensor. Checkpoints released by authors are in `released`.
"""

import re
from collections.abc import Callable

Rules = tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]


def renamed(name: str, rules: Rules) -> str | None:
    """Return our name of a released tensor; None if no rule knows it."""
    for pattern, replacement in rules:
        new, hits = re.subn(pattern, replacement, name)
        if hits:
            return new
    return None


_PAIR = {"0": "conv", "1": "norm"}
_STEM: Rules = ((r"^features\.0\.([01])\.", lambda m: f"encoder.stem.convs.0.{_PAIR[m[1]]}."),)
_TIMM_STEM: Rules = (
    (r"^conv_stem\.", "encoder.stem.convs.0.conv."),
    (r"^bn1\.", "encoder.stem.convs.0.norm."),
)

_BRANCH = {
    **{"1.0": "left.0.conv", "1.1": "left.0.norm", "1.2": "left.1.conv", "1.3": "left.1.norm"},
    **{"2.0": "right.0.conv", "2.1": "right.0.norm", "2.3": "right.1.conv", "2.4": "right.1.norm"},
    **{"2.5": "right.2.conv", "2.6": "right.2.norm"},
}

TORCHVISION_SHUFFLENETV2: Rules = (
    (r"^conv1\.([01])\.", lambda m: f"encoder.stem.convs.0.{_PAIR[m[1]]}."),
    (
        r"^stage([234])\.(\d+)\.branch([12]\.\d)\.",
        lambda m: f"encoder.stages.{int(m[1]) - 2}.blocks.{m[2]}.{_BRANCH[m[3]]}.",
    ),
    (r"^conv5\.([01])\.", lambda m: f"encoder.stages.3.blocks.0.{_PAIR[m[1]]}."),
)

_STEPS = ("expand", "depthwise", "squeeze", "project")
_FC = {"1": "reduce", "2": "restore"}


def _efficient(stage: str, block: str, part: str) -> str:
    return f"encoder.stages.{stage}.blocks.{block}.{part}."


def _step(match: re.Match[str], first: int) -> str:
    return _efficient(str(int(match[1]) - 1), match[2], f"{_STEPS[int(match[3]) + first]}.{_PAIR[match[4]]}")


TORCHVISION_EFFICIENTNET: Rules = (
    *_STEM,
    (
        r"^features\.([1-7])\.(\d+)\.block\.\d\.fc([12])\.",
        lambda m: _efficient(str(int(m[1]) - 1), m[2], f"squeeze_inner.{_FC[m[3]]}"),
    ),
    # the first stage widens nothing, so that its blocks lack the first step
    (r"^features\.(1)\.(\d+)\.block\.([02])\.([01])\.", lambda m: _step(m, 1)),
    (r"^features\.([2-7])\.(\d+)\.block\.([013])\.([01])\.", lambda m: _step(m, 0)),
)

_NARROW = {"conv_dw": "depthwise.conv", "bn1": "depthwise.norm", "conv_pw": "project.conv", "bn2": "project.norm"}
_WIDE = {
    **{"conv_pw": "expand.conv", "bn1": "expand.norm", "conv_dw": "depthwise.conv", "bn2": "depthwise.norm"},
    **{"conv_pwl": "project.conv", "bn3": "project.norm"},
}
_SE = {"reduce": "reduce", "expand": "restore"}

TIMM_EFFICIENTNET: Rules = (
    *_TIMM_STEM,
    (
        r"^blocks\.(\d)\.(\d+)\.se\.conv_(reduce|expand)\.",
        lambda m: _efficient(m[1], m[2], f"squeeze_inner.{_SE[m[3]]}"),
    ),
    (r"^blocks\.(0)\.(\d+)\.(conv_dw|bn1|conv_pw|bn2)\.", lambda m: _efficient(m[1], m[2], _NARROW[m[3]])),
    (
        r"^blocks\.([1-6])\.(\d+)\.(conv_pwl|conv_pw|conv_dw|bn[123])\.",
        lambda m: _efficient(m[1], m[2], _WIDE[m[3]]),
    ),
)


def _lite(depths: tuple[int, ...]) -> Rules:
    """Rules of an EfficientNet-Lite with so many blocks in each stage; there blocks are numbered from first to last."""
    names = [f"{stage}.blocks.{block}" for stage, depth in enumerate(depths) for block in range(depth)]
    at = {str(i): f"encoder.stages.{name}" for i, name in enumerate(names)}
    block, steps = rf"^_blocks\.({'|'.join(at)})\._", ("expand", "depthwise", "project")
    return (
        (r"^_conv_stem\.", "encoder.stem.convs.0.conv."),
        (r"^_bn0\.", "encoder.stem.convs.0.norm."),
        (rf"{block}({'|'.join(steps)})_conv\.", lambda m: f"{at[m[1]]}.{m[2]}.conv."),
        (rf"{block}bn([012])\.", lambda m: f"{at[m[1]]}.{steps[int(m[2])]}.norm."),
    )


EFFICIENTNET_LITE0, EFFICIENTNET_LITE1 = _lite((1, 2, 2, 3, 3, 4, 1)), _lite((1, 3, 3, 4, 4, 5, 1))
"""The encoders in the Python packages of EfficientNet-Lite; Lite2 has the names of Lite1."""

_MOBILE = ("0.0", "1.0", "2.0", "3.0", "4.0", "4.1", "5.0", "6.0", "7.0", "8.0", "8.1")
"""Our stage and block of each of MobileNetV3-Small's eleven blocks."""
_TIMM_MOBILE = ("0.0", "1.0", "1.1", "2.0", "2.1", "2.2", "3.0", "3.1", "4.0", "4.1", "4.2")


def _mobile(index: int, part: str) -> str:
    stage, block = _MOBILE[index].split(".")
    return _efficient(stage, block, part)


def _timm_mobile(match: re.Match[str]) -> str:
    index = _TIMM_MOBILE.index(match[1])
    return _mobile(index, (_WIDE if index else _NARROW)[match[2]])


def _mobile_step(match: re.Match[str], steps: dict[str, str]) -> str:
    return _mobile(int(match[1]) - 1, f"{steps[match[2]]}.{_PAIR[match[3]]}")


TORCHVISION_MOBILENETV3: Rules = (
    *_STEM,
    (r"^features\.(1)\.block\.([02])\.([01])\.", lambda m: _mobile_step(m, {"0": "depthwise", "2": "project"})),
    # the last convolution is the third, or the fourth behind a squeeze-excite
    (
        r"^features\.([2-9]|1[01])\.block\.([0123])\.([01])\.",
        lambda m: _mobile_step(m, {"0": "expand", "1": "depthwise", "2": "project", "3": "project"}),
    ),
)
"""MobileNetV3-Small: SGCPNet's has its squeeze-excites elsewhere and two convolutions more, which stay fresh."""

TIMM_MOBILENETV3: Rules = (
    *_TIMM_STEM,
    (r"^blocks\.(0\.0)\.(conv_dw|bn1|conv_pw|bn2)\.", _timm_mobile),
    (r"^blocks\.([13]\.[01]|[24]\.[0-2])\.(conv_pwl|conv_pw|conv_dw|bn[123])\.", _timm_mobile),
)
"""As `TORCHVISION_MOBILENETV3`."""


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
