import math
import random
from pathlib import Path

import pytest
from PIL import Image
from search.builders import record

from segsearch.report.plot import DPI, SIZE_INCHES, plot_study
from segsearch.search.budget import Budget
from segsearch.search.record import TrialRecord

SIZE = tuple(round(side * DPI) for side in SIZE_INCHES)
NAMES = ("fpenet", "sfnet_r18", "eseg_lite_s", "dfanet")


def many(seed: int = 1) -> list[TrialRecord]:
    rng = random.Random(seed)
    records = []
    for i in range(24):
        latency_ms = 2 * 10 ** (1.5 * rng.random())
        miou = None if latency_ms > 25 else min(1.0, 0.3 + 0.1 * math.log10(latency_ms) + 0.05 * rng.random())
        origin = f"named:{NAMES[i]}" if i < len(NAMES) else "sampler"
        records.append(record(i, miou=miou, latency_ms=latency_ms, origin=origin))
    return records


@pytest.mark.parametrize(
    "records",
    [
        many(),
        [],
        [record(0, latency_ms=30.0)],
        [record(0, miou=0.0, latency_ms=30.0)],
        [record(i, miou=1.0, latency_ms=5.0, origin="named:twin") for i in range(3)],
        [record(0, latency_ms=None, state="failed", reason="x")],
    ],
    ids=["many", "none", "rejected", "one", "equal", "unmeasured"],
)
@pytest.mark.parametrize("budget", [None, Budget(fps=40), Budget(params=3)], ids=["free", "40fps", "params"])
def test_the_picture_is_a_png_of_the_promised_size(
    records: list[TrialRecord], budget: Budget | None, tmp_path: Path
) -> None:
    plot_study(records, tmp_path / "p.png", title="a study", budget=budget)
    with Image.open(tmp_path / "p.png") as image:
        assert image.format == "PNG" and image.size == SIZE


def test_equal_records_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        plot_study(many(), tmp_path / name, title="t", budget=Budget(fps=40))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_marks_budget_and_names_are_drawn(tmp_path: Path) -> None:
    """Each ink is there exactly if what it stands for is."""

    def inks(records: list[TrialRecord], budget: Budget | None) -> set[str]:
        plot_study(records, tmp_path / "p.png", title="t", budget=budget)
        with Image.open(tmp_path / "p.png") as image:
            colors = {c for _, c in image.convert("RGB").getcolors(10**6) or []}
        known = {
            "#0b7285": "front",
            "#b8c4ce": "beaten",
            "#d9480f": "paper",
            "#8a97a6": "rejected",
            "#c92a2a": "budget",
        }
        return {known[k] for k in known if tuple(bytes.fromhex(k[1:])) in colors}

    beaten = [record(0, miou=0.5, latency_ms=5.0), record(1, miou=0.4, latency_ms=6.0)]
    frame = inks([], None)
    assert inks(beaten[:1], None) - frame == {"front"}
    assert inks(beaten, None) - frame == {"front", "beaten"}
    assert inks([record(0, miou=0.5, origin="named:x")], Budget(fps=10)) - frame == {"front", "paper", "budget"}


@pytest.mark.parametrize("fps", [3, 8, 30, 400])
def test_the_budget_is_written_inside_the_frame(fps: float, tmp_path: Path) -> None:
    """Ink of the budget's words next to the right edge means that they are cut off there."""
    records = [record(0, miou=0.5, latency_ms=4.0), record(1, miou=0.6, latency_ms=100.0)]
    plot_study(records, tmp_path / "p.png", title="t", budget=Budget(fps=fps))
    with Image.open(tmp_path / "p.png") as image:
        edge = image.convert("RGB").crop((SIZE[0] - 25, 0, SIZE[0], SIZE[1]))
        assert (201, 42, 42) not in {c for _, c in edge.getcolors(10**6) or []}
