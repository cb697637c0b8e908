"""Where the real CamVid lies, if anywhere: ``SEGSEARCH_CAMVID``, or ``shared/data/camvid`` beside the repository."""

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data" / "camvid"


def camvid_or_skip() -> Path:
    root = Path(os.environ.get("SEGSEARCH_CAMVID") or _BESIDE)
    if not (root / "trainannot").is_dir():
        pytest.skip(f"CamVid is not at {root}: set SEGSEARCH_CAMVID to a folder with train, trainannot, val, valannot")
    return root
