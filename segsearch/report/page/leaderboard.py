"""The page of a leaderboard, read from its CSV file: printed mIoU over measured speed, and all figures as a table."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from segsearch.errors import InputError
from segsearch.report.leaderboard_csv import NAME
from segsearch.report.page import blocks
from segsearch.report.page.html import Block, Page, Section

if TYPE_CHECKING:
    import pandas as pd

FIGURES = ("fps", "latency_ms", "latency_p10_ms", "latency_p90_ms", "params", "macs", "published_fps", "published_miou")
WORDS = ("backend", "name", "paper", "size", "device", "precision")
COLUMNS: tuple[tuple[str, blocks.Column], ...] = (
    ("rank", ("rank", 0)), ("name", ("network", blocks.TEXT)), ("paper", ("paper", blocks.TEXT)), ("fps", ("FPS", 1)),
    ("latency_ms", ("ms", 2)), ("latency_p10_ms", ("p10", 2)), ("latency_p90_ms", ("p90", 2)),
    ("steady", ("timing", blocks.TEXT)),
    ("params", ("params", "count")), ("macs", ("MACs", "count")), ("published_fps", ("FPS printed", 1)),
    ("published_fps_device", ("printed on", blocks.TEXT)), ("published_miou", ("mIoU printed", "percent")),
    ("published_miou_split", ("of", blocks.TEXT)),
)  # fmt: skip


def is_leaderboard(path: Path) -> bool:
    """Whether a path is a leaderboard's folder, or a CSV file."""
    return (path / NAME).is_file() or (path.suffix == ".csv" and path.is_file())


def leaderboard_page(path: Path) -> Page:
    """Gather what a leaderboard's page shows.

    Raises:
        InputError: the file cannot be read, or is no leaderboard's.
    """
    file = path / NAME if path.is_dir() else path
    frame = _read(file)
    sections = []
    for protocol, rows in frame.groupby(
        ["backend", "size", "device", "precision", "threads"], sort=False, dropna=False
    ):
        backend, size, device, precision, threads = protocol
        title = f"{backend}, {size} pixels, {precision}, on {device}, {threads} thread{'s' * (threads != 1)}"
        sections.append(Section(title=title, blocks=(_scatter(rows), _speeds(rows), _table(rows, title))))
    count = f"{frame['name'].nunique()} networks, {len(frame)} measurements"
    return Page(
        title=path.stem or "leaderboard",
        subtitle=f"published networks as they were timed here: {count}",
        sections=tuple(sections),
    )


def _read(file: Path) -> "pd.DataFrame":
    import pandas as pd

    try:
        frame = pd.read_csv(file, encoding_errors="replace")
    except OSError as error:
        raise InputError(file, f"cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # pandas' own refusals among them
        raise InputError(file, "is no CSV file", f"what `segsearch leaderboard` writes: {NAME}") from error
    missing = [name for name in (*FIGURES, *WORDS, *dict(COLUMNS), "threads") if name not in frame]
    if missing or frame.empty:
        problem = f"has no column {missing[0]}" if missing else "has no rows"
        raise InputError(file, f"is no leaderboard's: it {problem}", f"what `segsearch leaderboard` writes: {NAME}")
    for name in FIGURES:
        frame[name] = pd.to_numeric(frame[name], errors="coerce")
    frame["steady"] = frame["steady"].map(lambda told: "steady" if told is True else "unsteady")
    return frame


def _scatter(rows: "pd.DataFrame") -> Block:
    shown = rows[rows.published_miou.notna() & (rows.fps > 0)]
    return _dots(
        "mIoU printed, speed measured", "measured FPS", "mIoU printed, %", shown, shown.fps, 100 * shown.published_miou
    )


def _speeds(rows: "pd.DataFrame") -> Block:
    shown = rows[(rows.published_fps > 0) & (rows.fps > 0)]
    return _dots(
        "speed printed and measured", "printed FPS", "measured FPS", shown, shown.published_fps, shown.fps, log_y=True
    )


def _dots(caption: str, x: str, y: str, rows: "pd.DataFrame", xs: Any, ys: Any, *, log_y: bool = False) -> Block:
    told = zip(rows["name"], rows["paper"], xs, ys, rows["steady"], strict=True)
    dots = [
        [str(name), str(paper), round(float(a), 4), round(float(b), 4), steady == "steady"]
        for name, paper, a, b, steady in told
    ]
    return {"kind": "dots", "caption": caption, "x": x, "y": y, "log_y": log_y, "rows": dots}


def _table(rows: "pd.DataFrame", title: str) -> Block:
    plain = [[_cell(value) for value in row] for row in rows[list(dict(COLUMNS))].itertuples(index=False)]
    return blocks.table(title, list(dict(COLUMNS).values()), plain)


def _cell(value: Any) -> str | float | None:
    """Bring pandas' kinds of values to those of JSON."""
    if value is None or value != value:
        return None
    return value if isinstance(value, str) else float(value)
