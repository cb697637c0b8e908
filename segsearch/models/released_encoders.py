"""Names of encoders' tensors in torchvision and timm, as rewriting rules onto ours. All but MobileNetV3 fit whole."""

import re

from segsearch.models.renaming import Rules

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
