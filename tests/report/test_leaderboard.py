import io
import itertools
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console

from segsearch.leaderboard.board import Board, board_of
from segsearch.leaderboard.run import Leaderboard
from segsearch.report import leaderboard_plot
from segsearch.report.labels import overlap
from segsearch.report.leaderboard import shown, write_leaderboard
from segsearch.report.leaderboard_md import markdown, order_lines
from segsearch.space.points import named_point, named_points
from segsearch.timing import LatencyStore
from tests.leaderboard.boards import board, every_point, protocol

SFNETS = {"sfnet_r18": 50.0, "sfnet_df1": 40.0, "sfnet_df2": 30.0}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Board:
    return every_point(tmp_path_factory.mktemp("boards"))


def of(*boards: Board, failed: dict[str, str] | None = None) -> Leaderboard:
    return Leaderboard(boards=boards, failed=failed or {})


def test_the_picture_is_rendered_from_a_stored_file(tmp_path: Path) -> None:
    """What lies on disk is all that is needed; the same file gives the same bytes."""
    board(tmp_path / "stored", SFNETS)
    points, pictures = [named_point(name) for name in SFNETS], list[bytes]()
    for name in ("a.png", "b.png"):
        read = board_of(LatencyStore(tmp_path / "stored" / "measured.jsonl"), protocol(), points)
        leaderboard_plot.plot_boards([read], tmp_path / name, title="t")
        pictures.append((tmp_path / name).read_bytes())
    assert pictures[0] == pictures[1]
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (1950, 900)
        colors = {color for _, color in image.convert("RGB").getcolors(10**6) or []}
    assert tuple(bytes.fromhex(leaderboard_plot.color_of("sfnet")[1:])) in colors


def test_all_points_two_boards_and_none(whole: Board, tmp_path: Path) -> None:
    for name, boards in (("one", [whole]), ("two", [whole, whole]), ("none", [board(tmp_path, {})])):
        leaderboard_plot.plot_boards(boards, tmp_path / name, title="t")
        with Image.open(tmp_path / name) as image:
            assert image.size == (1950, 900 * len(boards))


def test_no_name_covers_another(whole: Board) -> None:
    for dots in (leaderboard_plot.accuracy_dots(whole), leaderboard_plot.speed_dots(whole)):
        figure = Figure(figsize=(6, 4.2), dpi=150)
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
        axes.set(xscale="log", xlim=(1, 2000), ylim=(min(d[1] for d in dots) - 2, max(d[1] for d in dots) + 2))
        boxes = leaderboard_plot.label_dots(axes, dots)
        assert len(boxes) >= 10
        assert not [pair for pair in itertools.combinations(boxes, 2) if overlap(*pair)]
        marks = [axes.transData.transform(dot[:2]) for dot in dots]
        assert not [box for box in boxes for x, y in marks if overlap(box, (x - 5, y - 5, x + 5, y + 5))]


def test_a_colour_per_paper() -> None:
    papers = {point.paper for point in named_points().values()}
    assert len({leaderboard_plot.color_of(paper) for paper in papers}) == len(papers)


def test_the_table_is_read_back(whole: Board, tmp_path: Path) -> None:
    paths = write_leaderboard(of(whole), tmp_path, command="segsearch leaderboard")
    assert [path.name for path in paths] == ["leaderboard.csv", "leaderboard.png", "leaderboard.md"]
    frame = pd.read_csv(paths[0])
    assert list(frame["name"]) == [entry.point.name for entry in whole.entries]
    assert frame.latency_ms.is_monotonic_increasing and frame["rank"].tolist() == list(range(1, len(frame) + 1))
    row = frame.set_index("name").loc["sfnet_r18"]
    assert (row.published_fps, row.published_fps_device) == (26, "GTX 1080Ti, TensorRT")
    assert bool(row.published_fps_same_size) and row.published_miou == 0.787
    assert frame.set_index("name").loc["eseg_s_p5"].isna().published_fps


def test_the_note_says_which_speeds_hold_up(tmp_path: Path) -> None:
    made = board(tmp_path, SFNETS)
    text = markdown(of(made), command="segsearch leaderboard --size 1024x2048")
    assert text.startswith("# Published networks under one protocol\n\nWritten by `segsearch leaderboard --size")
    (order,) = re.findall(r"\| GTX 1080Ti, runtime TensorRT, 1024x2048 \|(.*)\|", text)
    assert [cell.strip() for cell in order.split("|")] == ["3", "0.33", "2 of 3", "1", "0", "sfnet_df1 / sfnet_df2"]
    assert "| `sfnet_df1` | `sfnet_df2` | 1.98x | 0.75x | 2.64 | no | GTX 1080Ti, TensorRT, 1024x2048 |" in text
    assert "sfnet_df1 is printed 1.98x as fast as sfnet_df2" in order_lines(made)[2]


def test_what_is_not_steady_is_marked_everywhere(tmp_path: Path) -> None:
    made = board(tmp_path, SFNETS)
    first, *others = made.entries
    why = "other programs used 61 % of the processor"
    restless = {"steady": False, "unsteady": why, "process_medians_ms": (first.latency.median_ms, 90.0, 7.0)}
    marked = replace(first, latency=first.latency.model_copy(update=restless))
    made = replace(made, entries=(marked, *others))
    text, name = markdown(of(made), command="c"), first.point.name
    assert f"1 of {1 + len(others)} measurements were not steady" in text
    assert f"| `{name}` | {first.latency.fps:.2f} | {first.latency.median_ms:.2f} ! | 7.00-90.00 |" in text
    assert text.count(" ! |") == 1
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(shown(of(made)))
    printed = console.export_text()
    assert f"{first.latency.median_ms:.2f} !" in printed and "! not steady" in printed
    frame = pd.read_csv(write_leaderboard(of(made), tmp_path, command="c")[0]).set_index("name")
    row = frame.loc[name]
    assert (row.steady, row.unsteady, row.latency_least_ms, row.latency_most_ms) == (False, why, 7.0, 90.0)
    assert frame.steady.sum() == len(others)


def test_nothing_printed_nothing_to_compare(tmp_path: Path) -> None:
    made = board(tmp_path, {"eseg_s_p5": 1.0})
    assert order_lines(made) == ["No two points have a printed speed: there is no order to compare."]
    assert "No pair swaps." in markdown(of(made), command="c")


def test_two_backends_and_what_failed(tmp_path: Path) -> None:
    left = board(tmp_path, SFNETS)
    right = board(tmp_path, {name: 3 * ms for name, ms in SFNETS.items()}, backend="onnxruntime")
    found = of(left, right, failed={"fpenet": "too little memory"})
    line = "Kendall's tau 1.00 over 3 networks, latency x 3.000 in geometric mean"
    text = markdown(found, command="c")
    assert line in text and "- fpenet: too little memory" in text
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(shown(found))
    assert line in console.export_text()
