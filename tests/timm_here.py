"""timm for the tests that need it: skipped where it is not installed, mended where its torchvision is of another build."""

import importlib
import sys
import warnings
from typing import Any

import pytest
import torch

_KEPT: list[object] = []


def timm_or_skip() -> Any:
    """Return timm. PyPI's torchvision fails on a processor's torch for want of two operators: declare them and retry."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module("timm")
        except ImportError as error:
            pytest.skip(f"timm is not installed: {error}")
        except RuntimeError:
            for name in [n for n in sys.modules if n.split(".")[0] in ("timm", "torchvision")]:
                del sys.modules[name]
            library = torch.library.Library("torchvision", "FRAGMENT")
            for name in ("nms", "qnms"):
                library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            _KEPT.append(library)
            return importlib.import_module("timm")
