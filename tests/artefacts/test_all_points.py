"""The papers' networks, and networks nobody has written down, through onnxruntime and OpenVINO: a few, and all."""

from pathlib import Path

import pytest

from segsearch.space.nodes import Point
from segsearch.space.points import named_points

from .proofs import drawn, named, proven

ALL = {name: point.choices for name, point in named_points().items()} | {f"seed{n}": drawn(n) for n in range(200)}


def check(point: Point, size_hw: tuple[int, int], folder: Path) -> None:
    """`proven` raises where fewer than 99.9 % of the pixels agree, and `to_onnx` where the linter finds something."""
    forms = proven(point, size_hw, folder)
    assert all(form.agreement.fraction >= 0.999 and form.agreement.classes_seen > 1 for form in forms.values())


@pytest.mark.parametrize("name", [pytest.param("sfnet_r18", marks=pytest.mark.nightly), "sgcpnet1", "seed22"])
def test_a_few_points_are_proven(name: str, tmp_path: Path) -> None:
    check(ALL[name], (64, 128), tmp_path)


def test_the_torch_form_too(tmp_path: Path) -> None:
    forms = proven(named("sgcpnet1"), (64, 128), tmp_path, ("onnx", "pt2"))
    assert forms["pt2"].agreement.fraction >= 0.999


@pytest.mark.nightly
@pytest.mark.parametrize("name", ALL)
def test_every_point_is_proven(name: str, tmp_path: Path) -> None:
    check(ALL[name], (128, 256), tmp_path)
