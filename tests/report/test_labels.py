import itertools
import random
from dataclasses import replace

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from segsearch.report.labels import Box, Label, crosses, overlap, write_labels


def axes(log: bool = False):
    figure = Figure(figsize=(6, 4), dpi=100)
    FigureCanvasAgg(figure)
    made = figure.add_axes((0.1, 0.1, 0.85, 0.85))
    made.set_xlim(0.5, 20)
    made.set_ylim(0.5, 20)
    if log:
        made.set_xscale("log")
        made.set_yscale("log")
    return made


def square(where, mark: tuple[float, float], side: float = 8.0) -> Box:
    x, y = where.transData.transform(mark)
    return x - side / 2, y - side / 2, x + side / 2, y + side / 2


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_names_never_cover_one_another_nor_leave_the_frame(seed: int, log: bool) -> None:
    rng, where = random.Random(seed), axes(log)
    labels = [
        Label(x=rng.uniform(1, 19), y=rng.uniform(1, 19), text="name" * rng.randint(1, 4), color="red", needed=i < 8)
        for i in range(80)
    ]
    boxes = write_labels(where, labels, [(label.x, label.y) for label in labels])
    assert len(boxes) >= 15
    assert not any(overlap(box, square(where, (label.x, label.y))) for box in boxes for label in labels)
    assert not [pair for pair in itertools.combinations(boxes, 2) if overlap(*pair)]
    left, bottom, right, top = where.bbox.extents
    assert all(b[0] >= left and b[1] >= bottom and b[2] <= right and b[3] <= top for b in boxes)


def test_the_rectangles_are_where_the_text_is() -> None:
    where = axes()
    labels = [Label(x=x, y=10, text=f"mark {x}", color="red") for x in (3, 10, 17)]
    boxes = write_labels(where, labels, [(label.x, label.y) for label in labels])
    renderer = where.figure.canvas.get_renderer()
    for text, box in zip([text for text in where.texts if text.get_text()], boxes, strict=True):
        drawn = text.get_window_extent(renderer)
        assert (drawn.x0, drawn.y0, drawn.x1, drawn.y1) == pytest.approx(box, abs=1.5)


CROWD = [(10 + 0.4 * i, 10 + 0.3 * j) for i in range(6) for j in range(6)]


def test_what_must_be_named_is_named_beside_the_crowd() -> None:
    where = axes()
    label = Label(x=10, y=10, text="must be here", color="red")
    assert not write_labels(where, [replace(label, x=11.2, y=10.9)], CROWD), "near places are taken"
    (box,) = write_labels(where, [replace(label, x=11.2, y=10.9, needed=True)], CROWD)
    assert not any(overlap(box, square(where, mark)) for mark in CROWD)
    assert not write_labels(axes(), [Label(x=10, y=10, text="x" * 200, color="red", needed=True)], CROWD)


def test_a_short_form_stands_in_where_a_name_has_no_place() -> None:
    where = axes()
    write_labels(where, [Label(x=10, y=10, text="x" * 200, short="#12", color="red")], [(10, 10)])
    assert [text.get_text() for text in where.texts] == ["#12"]


def test_names_keep_off_what_is_taken_and_off_lines_where_they_can() -> None:
    where = axes()
    x, y = where.transData.transform((10, 10))
    label = Label(x=10, y=10, text="name", color="red")
    right, left = (x + 1, y - 20, x + 200, y + 20), (x - 200, y - 20, x - 1, y + 20)
    (box,) = write_labels(where, [label], [(10, 10)], taken=[right])
    assert box[2] < x
    (box,) = write_labels(axes(), [label], [(10, 10)], lines=[(x + 20, 0, x + 20, 999)])
    assert box[2] < x + 20
    assert not write_labels(axes(), [label], [(10, 10)], taken=[right, left])


def test_lines_to_far_names_cross_neither_names_nor_one_another() -> None:
    where = axes()
    rng = random.Random(1)
    labels = [
        Label(x=10 + rng.random(), y=10 + rng.random(), text=f"network {i}", color="red", needed=True)
        for i in range(14)
    ]
    boxes = write_labels(where, labels, [(label.x, label.y) for label in labels])
    leaders = [text for text in where.texts if not text.get_text()]
    assert len(leaders) >= 3 and len(boxes) >= 8
    scale = where.figure.dpi / 72
    lines = []
    for text in leaders:
        (x, y), (across, up) = where.transData.transform(text.xy), text.get_position()
        lines.append((x + scale * across, y + scale * up, x, y))
    for line in lines:
        end = (line[0], line[1])
        own = [box for box in boxes if box[0] - 1 <= end[0] <= box[2] + 1 and box[1] - 1 <= end[1] <= box[3] + 1]
        assert not [box for box in boxes if box not in own and crosses(line, box)]


@pytest.mark.parametrize("seed", range(3))
def test_a_line_crosses_a_rectangle_if_one_of_many_points_on_it_lies_inside(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(100):
        x, y, x_end, y_end = (rng.uniform(0, 10) for _ in range(4))
        left, bottom = rng.uniform(0, 8), rng.uniform(0, 8)
        box = (left, bottom, left + rng.uniform(0.5, 4), bottom + rng.uniform(0.5, 4))
        steps = [i / 2000 for i in range(2001)]
        points = [(x + t * (x_end - x), y + t * (y_end - y)) for t in steps]
        inside = any(box[0] <= px <= box[2] and box[1] <= py <= box[3] for px, py in points)
        wide = (box[0] - 0.02, box[1] - 0.02, box[2] + 0.02, box[3] + 0.02)
        assert crosses((x, y, x_end, y_end), wide if inside else box) == inside or crosses((x, y, x_end, y_end), wide)
    assert not crosses((0, 5, 0, 9), (1, 1, 2, 2)) and crosses((1.5, 0, 1.5, 9), (1, 1, 2, 2))
