"""One exported point for all tests that look at what an export leaves."""

from pathlib import Path

import pytest

from segsearch.artefacts.point import export_point
from segsearch.deployment.card import Card


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Card, Path]:
    """SGCPNet1 for 64x128 and 5 classes in every form, INT8 too, under a budget that nothing meets."""
    out = tmp_path_factory.mktemp("point") / "model"
    return export_point("sgcpnet1", out=out, size_hw=(64, 128), classes=5, int8=True, fps=1e6, threads=1), out
