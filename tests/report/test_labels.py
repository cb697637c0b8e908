import itertools
import random

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from segsearch.report.labels import Label, write_labels
from segsearch.report.plot_names import overlap


def axes(log: bool = False):  # type: ignore[no-untyped-def]
    figure = Figure(figsize=(6, 4), dpi=100)
    FigureCanvasAgg(figure)
    made = figure.add_axes((0.1, 0.1, 0.85, 0.85))
    made.set_xlim(0.5, 20)
    made.set_ylim(0.5, 20)
    if log:
        made.set_xscale("log")
        made.set_yscale("log")
    return made


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_names_never_cover_one_another_nor_leave_the_frame(seed: int, log: bool) -> None:
    rng, where = random.Random(seed), axes(log)
    labels = [
        Label(x=rng.uniform(1, 19), y=rng.uniform(1, 19), text="name" * rng.randint(1, 4), color="red", needed=i < 8)
        for i in range(80)
    ]
    boxes = write_labels(where, labels, [(label.x, label.y) for label in labels])
    assert len(boxes) >= 20
    assert not [pair for pair in itertools.combinations(boxes, 2) if overlap(*pair)]
    left, bottom, right, top = where.bbox.extents
    assert all(b[0] >= left and b[1] >= bottom and b[2] <= right and b[3] <= top for b in boxes)


def test_the_rectangles_are_where_the_text_is() -> None:
    where = axes()
    labels = [Label(x=x, y=10, text=f"mark {x}", color="red") for x in (3, 10, 17)]
    boxes = write_labels(where, labels, [(label.x, label.y) for label in labels])
    renderer = where.figure.canvas.get_renderer()
    for text, box in zip(where.texts, boxes, strict=True):
        drawn = text.get_window_extent(renderer)
        assert (drawn.x0, drawn.y0, drawn.x1, drawn.y1) == pytest.approx(box, abs=1.5)


def test_what_must_be_named_is() -> None:
    where = axes()
    crowd = [(10 + 0.2 * i, 10 + 0.1 * j) for i in range(6) for j in range(6)]
    label = Label(x=10, y=10, text="must be here", color="red", needed=True)
    assert len(write_labels(where, [label], crowd)) == 1
    assert not write_labels(axes(), [Label(x=10, y=10, text="x" * 200, color="red", needed=True)], crowd)
