from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from segsearch.data.dataset import IGNORE
from segsearch.data.palette import CAMVID_CLASSES, CAMVID_COLOURS, paint
from segsearch.data.streets.dataset import Streets
from segsearch.deployment.legend import GAP
from segsearch.models.network import Network, build
from segsearch.run.subject import Subject
from segsearch.run.visualize import IGNORED, RIGHT, WRONG, attention_grey, errors, flow_colours, visualize
from segsearch.space.points import named_point

SIZE = (64, 96)
SCENES = Streets(count=5, seed=1, split="val", size_hw=SIZE)


def subject(name: str) -> Subject:
    return Subject(written=name, segmenter=build(named_point(name).spec, 11).eval())


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_errors_are_red_and_what_is_ignored_grey() -> None:
    label, mask = np.array([[0, 1, IGNORE]], np.uint8), np.array([[0, 2, 2]], np.uint8)
    assert errors(label, mask).tolist() == [[list(RIGHT), list(WRONG), list(IGNORED)]]


def test_flow_is_a_wheel_of_hues_and_white_at_rest() -> None:
    flow = torch.tensor([[[2.0, 0.0, -2.0, 1.0]], [[0.0, 0.0, 0.0, 0.0]]])
    right, rest, left, half = flow_colours(flow)[0].tolist()
    assert (right, rest) == ([255, 0, 0], [255, 255, 255])
    assert left[0] == 0 and min(left[1:]) >= 240, "the opposite of red"
    assert half[0] == 255 and half[1] == half[2] == 128


def test_attention_is_grey_from_least_to_greatest() -> None:
    assert attention_grey(torch.tensor([[[1.0, 3.0, 2.0]]])).tolist() == [[[0] * 3, [255] * 3, [128] * 3]]
    assert attention_grey(torch.ones(1, 1, 2)).max() == 0, "nothing stands out"


@pytest.mark.parametrize(("name", "inside"), [("fpenet", 2), ("sfnet_df1", 2), ("sgcpnet1", 0)])
def test_panels_lie_side_by_side_with_what_the_network_has_inside(tmp_path: Path, name: str, inside: int) -> None:
    looked = subject(name)
    files = visualize(looked, SCENES, tmp_path / "out", count=2)
    assert [path.name for path in files] == ["val_0000.png", "val_0002.png"]
    sheet = pixels(files[1])
    height, width = SIZE
    assert sheet.shape[1] == (4 + inside) * (width + GAP) - GAP and sheet.shape[0] > height + GAP
    image, label = SCENES[2]
    mask = looked.masks()(image)
    expected: list[np.ndarray] = [image, paint(label, CAMVID_COLOURS), paint(mask, CAMVID_COLOURS), errors(label, mask)]
    for place, panel in enumerate(expected):
        left = place * (width + GAP)
        assert np.array_equal(sheet[:height, left : left + width], panel)
    assert sheet[height + GAP :].std() > 0, "the legend"


def test_hooks_are_taken_away(tmp_path: Path) -> None:
    looked = subject("fpenet")
    visualize(looked, SCENES, tmp_path, count=1)
    assert isinstance(looked.segmenter, Network)
    assert not any(module._forward_hooks for module in looked.segmenter.modules())


@dataclass(frozen=True)
class Sky:
    """A model that calls everything sky."""

    path = Path("sky.onnx")
    size_hw = SIZE
    classes, colours = CAMVID_CLASSES, CAMVID_COLOURS
    notes: ClassVar[dict[str, str]] = {}

    def predict(self, image: np.ndarray) -> np.ndarray:
        return np.zeros(image.shape[:2], np.uint8)


def test_a_model_has_no_inside(tmp_path: Path) -> None:
    (path,) = visualize(Subject(written="sky.onnx", segmenter=Sky()), SCENES, tmp_path, count=1)
    assert pixels(path).shape[1] == 4 * (SIZE[1] + GAP) - GAP
