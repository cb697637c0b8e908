"""Every family by its word. All places of a new one: docs/extend.md."""

from collections.abc import Callable

from segsearch.space.families.df import df
from segsearch.space.families.efficientnet import efficientnet, efficientnet_lite
from segsearch.space.families.fpe import fpe
from segsearch.space.families.mobilenetv3 import mobilenetv3
from segsearch.space.families.resnet import resnet
from segsearch.space.families.shufflenetv2 import shufflenetv2
from segsearch.space.families.timm import timm
from segsearch.space.families.xception import xception
from segsearch.space.numbers import Choices
from segsearch.spec.encoder import AnyEncoder

FAMILIES: dict[str, Callable[[Choices, float], AnyEncoder]] = {
    "resnet": resnet,
    "df": df,
    "shufflenetv2": shufflenetv2,
    "xception": xception,
    "efficientnet": efficientnet,
    "efficientnet_lite": efficientnet_lite,
    "mobilenetv3": mobilenetv3,
    "fpe": fpe,
    "timm": timm,
}
