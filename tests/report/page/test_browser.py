"""Pages in a real browser: what a person points at, sorts, filters, drags and types, and what must not happen."""

import itertools
import runpy
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from segsearch.report.page.html import write_page
from segsearch.report.page.page import page_of
from segsearch.study.budget import Budget
from segsearch.study.overview import overview
from segsearch.study.pick import candidates, pick
from tests.report.page.made import HOSTILE, finish, make_study, rename

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (Debian: apt-get install chromium)")


@pytest.fixture(scope="module")
def browser() -> Iterator:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    with sync_api.sync_playwright() as play:
        started = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``a`` and ``b``, and ``full`` with final figures."""
    folder = tmp_path_factory.mktemp("made")
    make_study(folder / "a")
    make_study(folder / "b", seed=5, name="other")
    make_study(folder / "full", name='n"ame & <b>bold', seed=2)
    rename(folder / "full", best_of(folder / "full"), HOSTILE)
    finish(folder / "full")
    return folder


def best_of(folder: Path) -> int:
    found = overview(folder)
    return pick(candidates(found.records, found.file.config.budget), "miou").record.number


class Opened:
    """A page that is open: all that the browser complains of, asks the network for, or pops up is noted."""

    def __init__(self, browser, file: Path, **context) -> None:
        self.page = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | context)).new_page()
        self.wrong: list[str] = []
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.wrong.append("a dialog"), dialog.dismiss()))
        self.page.on("request", lambda asked: asked.url.startswith(("file:", "data:")) or self.wrong.append(asked.url))
        self.page.goto(file.as_uri())
        self.page.wait_for_function(
            "document.querySelectorAll('.chart > svg').length === document.querySelectorAll('.chart').length"
        )

    def winner(self) -> str:
        return self.page.inner_text(".winner h3")

    def column(self, heading: str, caption: str = "all trials") -> list[str]:
        grid = self.page.locator(f"table:has(caption:text-is('{caption}'))")
        place = grid.locator("thead th").all_inner_texts().index(heading) + 1
        return grid.locator(f"tbody tr > :nth-child({place})").all_inner_texts()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory):
    """Write the page of one or two folders, once."""
    out = tmp_path_factory.mktemp("pages")

    @cache
    def page(what: Path, other: Path | None = None) -> Path:
        file = out / f"{what.name}-{other and other.name}.html"
        write_page(page_of(what, other), file)
        return file

    return page


@pytest.fixture
def show(browser, written):
    opened: list[Opened] = []

    def write_and_open(*what: Path, **context) -> Opened:
        opened.append(Opened(browser, written(*what), **context))
        return opened[-1]

    yield write_and_open
    assert [each.wrong for each in opened] == [[]] * len(opened)
    for each in opened:
        each.page.context.close()


def test_hover_and_click_tell_a_networks_figures(show, studies: Path) -> None:
    opened = show(studies / "a")
    found = {r.number: r for r in overview(studies / "a").records}[best_of(studies / "a")]
    ring = opened.page.locator(".rings .winning").bounding_box()
    at = ring["x"] + ring["width"] / 2, ring["y"] + ring["height"] / 2
    opened.page.mouse.move(*at)
    tip = opened.page.locator('#front g[aria-label="tip"]').text_content()
    for words in (
        found.name,
        f"mIoU {100 * found.miou:.1f} %",
        f"{found.latency_ms:.2f} ms, {found.fps:.1f} FPS",
        f"trial {found.number}",
    ):
        assert words in tip
    assert "parameters" in tip and "MACs" in tip
    opened.page.mouse.click(*at)
    assert opened.page.inner_text(".detail h3") == found.name
    assert opened.page.locator("tr.lit").inner_text().split()[:2] == [str(found.number), found.name]
    opened.page.locator(".detail summary").click()
    assert str(found.point["encoder"]) in opened.page.inner_text(".detail .facts")


def test_a_table_is_sorted_and_filtered(show, studies: Path) -> None:
    opened = show(studies / "a")
    records = overview(studies / "a").records
    heading = opened.page.get_by_role("button", name="mIoU", exact=True)
    heading.click()
    shown = [float(cell.rstrip(" %")) for cell in opened.column("mIoU") if cell]
    assert shown == sorted(shown) and len(shown) == sum(r.trained for r in records)
    heading.focus()
    opened.page.keyboard.press("Enter")
    assert opened.page.locator("th[aria-sort=descending]").inner_text() == "mIoU"
    cells = opened.column("mIoU")
    assert cells[: len(shown)] == [f"{value:.1f} %" for value in sorted(shown, reverse=True)] and not any(
        cells[len(shown) :]
    )
    opened.page.get_by_label("filter: all trials").fill("Stopped ")
    stopped = [str(r.number) for r in records if r.state == "stopped"]
    assert sorted(opened.column("trial")) == sorted(stopped)
    assert f"{len(stopped)} of {len(records)} rows" in opened.page.inner_text("main")


@pytest.mark.parametrize("name", ["a", "full"])
def test_the_winner_within_any_budget_is_the_one_that_export_takes(show, studies: Path, name: str) -> None:
    opened, found = show(studies / name), overview(studies / name)
    times = sorted(record.latency_ms for record in found.records if record.trained)
    for low, high in itertools.pairwise([0.9 * times[0], *times, 1.1 * times[-1]]):
        limit_ms = (low + high) / 2
        opened.page.evaluate("limited", limit_ms)
        if name == "a":
            inside = [r for r in found.records if r.trained and r.meets(Budget(latency_ms=limit_ms))]
            expected = pick(inside, "miou").record.name if inside else "none"
        else:
            expected = exported(found, limit_ms)
        assert opened.winner() == expected, limit_ms


def exported(found, limit_ms: float) -> str:
    """The finalist that wins within a limit, by `segsearch.study.final`."""
    from segsearch.study.final import ranked, read_final

    final = read_final(found.folder)
    assert final is not None and final.winner is not None
    inside = [f for f in final.finalists if f.latency_ms <= limit_ms]
    return ranked(inside)[0][0].name if inside else "none"


def test_the_budget_is_dragged_typed_and_moved_by_keys(show, studies: Path) -> None:
    opened = show(studies / "a")
    first = opened.winner()
    assert "within 16.67 ms" in opened.page.inner_text(".winner")
    box = opened.page.locator(".handle path").bounding_box()
    opened.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 4)
    opened.page.mouse.down()
    opened.page.mouse.move(box["x"] - 350, box["y"] + 20, steps=5)
    dragged = opened.winner()
    assert dragged not in (first, "none")
    opened.page.mouse.move(box["x"] - 2000, box["y"] + 20, steps=5)
    assert opened.winner() == picked(studies / "a", opened)
    opened.page.mouse.up()
    opened.page.get_by_role("button", name="the study's").click()
    assert opened.winner() == first
    opened.page.get_by_label("least FPS").fill("200")
    opened.page.keyboard.press("Enter")
    assert "within 5.00 ms" in opened.page.inner_text(".winner") and opened.winner() != first
    opened.page.get_by_role("slider").focus()
    opened.page.keyboard.press("End")
    assert "of all" in opened.page.inner_text(".winner")
    opened.page.keyboard.press("Home")
    fastest = min((r for r in overview(studies / "a").records if r.trained), key=lambda r: r.latency_ms)
    assert opened.page.evaluate("view.limit") == pytest.approx(fastest.latency_ms)
    assert opened.winner() == picked(studies / "a", opened)


def test_each_networks_own_latency_as_the_limit_gives_the_winner_of_an_export(show, studies: Path) -> None:
    """A limit that equals a latency to the last digit lets that network in, on the page as in Python."""
    opened = show(studies / "a")
    for record in overview(studies / "a").records:
        if record.trained:
            opened.page.evaluate("ms => limited(ms)", record.least_ms)
            assert opened.winner() == picked(studies / "a", opened) != "none"


def picked(folder: Path, opened: Opened) -> str:
    """Say what `segsearch export` would take within the budget that a page shows."""
    budget = Budget(latency_ms=opened.page.evaluate("view.limit"))
    inside = [r for r in overview(folder).records if r.trained and r.meets(budget)]
    return pick(inside, "miou").record.name if inside else "none"


def test_arrow_keys_walk_over_the_networks_by_latency(show, studies: Path) -> None:
    opened = show(studies / "a")
    trained = sorted((r for r in overview(studies / "a").records if r.trained), key=lambda r: r.latency_ms)
    opened.page.locator("#front").focus()
    for key, place in (("ArrowRight", 0), ("ArrowRight", 1), ("End", -1), ("ArrowLeft", -2), ("Home", 0)):
        opened.page.keyboard.press(key)
        assert opened.page.inner_text(".detail h3") == trained[place].name
        assert opened.page.locator(".rings .selected").count() == 1


def test_states_can_be_told_apart_and_hidden_and_papers_are_named(show, studies: Path) -> None:
    opened, records = show(studies / "a"), overview(studies / "a").records
    legend = opened.page.locator(".legend").first.inner_text()
    for words in ("a paper's network", "rejected", "stopped", "failed", "unsteady"):
        assert words in legend
    names = opened.page.locator("#front .names text").all_text_contents()
    assert {r.name for r in records if r.named and r.trained} <= set(names)
    foot = '#front g[aria-label="rule"] line, #front g[aria-label="dot"] path[d]'
    before = opened.page.locator(foot).count()
    opened.page.locator("#untrained").uncheck()
    assert before - opened.page.locator(foot).count() == sum(not r.trained for r in records)


def test_names_that_are_code_stay_text(show, studies: Path) -> None:
    opened = show(studies / "full")
    assert opened.page.title() == opened.page.inner_text("h1") == 'n"ame & <b>bold'
    assert opened.page.locator("main img, main b, main script").count() == 0
    assert HOSTILE in opened.page.locator("main").evaluate("main => main.textContent")
    assert HOSTILE in opened.page.locator("table.matrix").evaluate("grid => grid.textContent"), "a class"
    opened.page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.owned = 1'}))"
    )
    assert opened.page.evaluate("window.owned") is None, "the policy allows no other script"
    assert any("Content Security Policy" in opened.wrong.pop() for _ in list(opened.wrong))


def test_full_trainings_have_error_bars_and_curves(show, studies: Path) -> None:
    opened = show(studies / "full")
    assert "trained in full" in opened.page.locator(".legend").first.inner_text()
    assert opened.page.locator('#front g[aria-label="rule"][stroke="var(--final)"] line').count() == 4
    assert len(opened.column("standard deviation", "final figures by strong")) == 4
    assert opened.page.locator("figcaption", has_text="over the epochs of the full trainings").count() == 1, (
        "losses are no numbers"
    )


def test_two_studies_share_one_chart(show, studies: Path) -> None:
    opened = show(studies / "a", studies / "b")
    assert opened.page.locator(".winner").count() == 2
    assert "front of other" in opened.page.locator(".legend").first.inner_text()
    assert "hypervolume up to" in opened.page.inner_text("main")
    assert set(opened.column("study")) == {"streets_cpu", "other"}


@pytest.mark.parametrize(
    ("trials", "fps", "words"),
    [(0, 60, "no network has been tried yet"), (1, 1e6, "no network is trained yet"), (1, None, "of all")],
)
def test_little_is_told_as_such(show, tmp_path: Path, trials: int, fps: float | None, words: str) -> None:
    opened = show(make_study(tmp_path / f"{trials}-{fps}", trials=trials, fps=fps))
    assert words in opened.page.inner_text("main")
    opened.page.locator("#front").focus()
    opened.page.keyboard.press("ArrowRight")
    opened.page.get_by_role("slider").press("ArrowLeft")


@pytest.mark.parametrize(
    "context", [{"viewport": {"width": 360, "height": 740}}, {"color_scheme": "dark"}], ids=["phone", "dark"]
)
def test_it_fits_a_phone_and_the_dark(show, studies: Path, context) -> None:
    opened = show(studies / "full", **context)
    assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    ground = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(20, 25, 31)" if context.get("color_scheme") else "rgb(255, 255, 255)")
    assert len(opened.page.pdf(format="A4")) > 10_000


@pytest.mark.nightly
def test_two_thousand_trials(show, written, tmp_path: Path) -> None:
    script = runpy.run_path(str(Path(__file__).parents[3] / "benchmarks/long_study.py"))
    script["make"](tmp_path / "long", 2000)
    opened = show(tmp_path / "long")
    assert 500_000 < written(tmp_path / "long").stat().st_size < 6_000_000
    assert opened.page.evaluate("document.querySelectorAll('*').length") < 12_000, "how long it opens follows from it"
    assert len(opened.column("trial")) == 200
    opened.page.get_by_role("button", name="show all").click()
    assert len(opened.column("trial")) == 2000
