from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segsearch.report.canvas import DPI
from segsearch.report.curves import PANELS, SIZE_INCHES, curves_figure, plot_curves
from segsearch.report.run import beside, printed, scores_table
from segsearch.space.points import named_point
from segsearch.training.scores import Scores

SCORES = Scores(miou=0.6612, iou={"a": 0.6612, "b": None}, pixel_accuracy=0.9, images=101, confusion=((9, 1), (0, 0)))


@dataclass
class Data:
    name: str = "camvid"
    size: tuple[int, int] = (360, 480)
    split: str = "official"


@dataclass
class File:
    """What these lines need of a run."""

    name: str
    point: Any
    data: Data


def of(point: str, **data: Any) -> Any:
    return File(point, named_point(point).choices, Data(**data))


def told(file: Any) -> list[str]:
    row = printed(file)
    assert row is not None
    return list(beside(SCORES, file, row))


def test_ours_stands_beside_the_printed_figure_with_what_differs() -> None:
    line, note = told(of("fpenet"))
    assert line == "ours 66.1 %, printed 65.4 % (fpenet, table 8, test)"
    assert note == "note: ours is of 101 images of val, seen at 360x480; the printed one is of test at 360x480"
    assert "val, which it learnt from, too, seen" in told(of("fpenet", split="trainval"))[1]


def test_the_row_of_the_same_size_is_taken_and_then_that_of_val() -> None:
    size = {"name": "cityscapes", "split": ""}
    assert told(of("fpenet", **size, size=(512, 1024))) == ["ours 66.1 %, printed 67.2 % (fpenet, table 6, val)"]
    assert "printed 70.1 % (fpenet, table 7, test)" in told(of("fpenet", **size, size=(768, 1536)))[0]


@pytest.mark.parametrize("file", [of("fpenet", name="streets"), of("fpenet_p3q7"), File("mine", {}, Data())])
def test_nothing_is_set_beside_what_no_paper_has(file: Any) -> None:
    assert printed(file) is None


def test_another_network_under_a_papers_name_is_not_the_papers() -> None:
    file = of("fpenet")
    file.point = file.point | {"input_scale": 0.5}
    assert printed(file) is None


def test_every_class_has_its_row() -> None:
    table = scores_table(SCORES)
    assert [list(column.cells) for column in table.columns] == [["a", "b"], ["66.1 %", "absent"], ["100.0 %", "0.0 %"]]


LINES = [
    {"step": 10, "epoch": 1.0, "loss": 2.0, "rate": 0.01, "seconds": 1.0},
    {"step": 10, "epoch": 1.0, "miou": 0.25, "pixel_accuracy": 0.5, "seconds": 1.5},
    {"step": 20, "epoch": 2.0, "loss": 1.0, "rate": 0.005, "seconds": 2.5},
]


def test_curves_show_the_lines_and_the_printed_figure(tmp_path: Path) -> None:
    figure = curves_figure(LINES, title="x", printed=65.4)
    drawn = {axes.get_ylabel(): axes.lines[0].get_xydata().tolist() for axes in figure.axes}
    assert drawn == {
        PANELS["loss"]: [[1, 2], [2, 1]],
        PANELS["rate"]: [[1, 0.01], [2, 0.005]],
        PANELS["miou"]: [[1, 25]],
    }
    assert np.asarray(figure.axes[-1].lines[1].get_ydata()).tolist() == [65.4, 65.4]
    plot_curves(LINES, tmp_path / "a.png", title="x")
    plot_curves([], tmp_path / "b.png", title="nothing yet")
    for name in "ab":
        assert np.asarray(Image.open(tmp_path / f"{name}.png")).shape[:2] == tuple(
            round(s * DPI) for s in SIZE_INCHES[::-1]
        )
