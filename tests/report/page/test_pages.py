"""Pages without a browser: what they hold, what they refuse, and whether their commands give the same again."""

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from segsearch.report.page.html import ASSETS, SCRIPTS, Page, Section, inert_json, page_html
from segsearch.report.page.page import page_of
from segsearch.report.page.pictures import lying
from segsearch.run.ask import ask
from segsearch.run.folder import check_same, read_run
from segsearch.study.config import load_study
from segsearch.study.overview import overview
from tests.command import refusal, run
from tests.report.page.made import HOSTILE, make_study

REPO = Path(__file__).parents[3]
RUN = REPO / "studies/reproduce/fpenet_camvid_fpenet"
BOARD = REPO / "studies/results/leaderboard_cpu.csv"


def blocks(page: Page, kind: str) -> list[dict]:
    return [block for section in page.sections for block in section.blocks if block["kind"] == kind]


def commands(page: Page) -> dict[str, str]:
    return {block["told"]: block["text"] for block in blocks(page, "command")}


def test_pictures_that_lie_there_are_opened_as_carefully_as_any_image(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (20, 10), "red").save(tmp_path / "pictures/a.png")
    Image.new("RGB", (20, 10), "red").save(tmp_path / "pictures/b.eps")
    (tmp_path / "pictures/b.eps").rename(tmp_path / "pictures/b.png")  # Pillow would hand it to another program
    head = (tmp_path / "pictures/a.png").read_bytes()
    (tmp_path / "pictures/c.png").write_bytes(head[:16] + (30_000).to_bytes(4) * 2 + head[24:])
    assert [name for name, _ in lying(tmp_path)] == ["pictures/a.png"]


def test_libraries_are_the_published_ones_with_their_licences() -> None:
    rows = re.findall(
        r"\| `([\w.]+)` \| `([@\w/.]+)` ([\d.]+), .*\| ISC, `([\w.]+)` \| `(\w{64})` \|",
        (ASSETS / "README.md").read_text(),
    )
    assert {row[0] for row in rows} == {name for name in SCRIPTS if ".min." in name}
    for name, package, version, licence, checksum in rows:
        script = (ASSETS / name).read_bytes()
        assert hashlib.sha256(script).hexdigest() == checksum
        assert f"v{version} Copyright" in script[:200].decode() and package.split("/")[-1] in script[:200].decode()
        assert "Permission to use, copy, modify" in (ASSETS / licence).read_text()


def test_a_page_is_one_file_whose_names_end_nothing() -> None:
    page = Page(
        title=HOSTILE + "\ud800",
        subtitle=HOSTILE,
        sections=(Section(title=HOSTILE, blocks=({"kind": "words", "lines": [HOSTILE]},)),),
    )
    text = page_html(page)
    text.encode()
    assert text.count("<script") == text.count("</script>") == 1 + len(SCRIPTS)
    data = text.partition('id="data">')[2].partition("</script>")[0]
    assert json.loads(data)["sections"][0]["blocks"][0]["lines"] == [HOSTILE] and data.isascii()
    assert not set("<>&\u2028\u2029") & set(inert_json({HOSTILE: HOSTILE}))
    head = text.partition("</head>")[0]
    assert "default-src 'none'" in head and not re.search(r"<(link|script|img)|url\(|@import|https?:", head)


def test_the_commands_of_a_study_give_the_same_study(tmp_path: Path) -> None:
    make_study(tmp_path / "s", trials=3)
    told = commands(page_of(tmp_path / "s"))
    (tmp_path / "streets_cpu_again.yaml").write_text(told["the study's file; save it as streets_cpu_again.yaml"])
    again, config = load_study(tmp_path / "streets_cpu_again.yaml"), overview(tmp_path / "s").file.config
    assert again == config
    assert (
        told["run it again, from the start"] == "segsearch search streets_cpu_again.yaml --out runs/streets_cpu_again"
    )


@pytest.mark.parametrize("name", ["fpenet_camvid_fpenet", "sgcpnet1_camvid_strong_seed1", "eseg_lite_s_camvid_strong"])
def test_the_commands_of_a_run_give_the_same_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = read_run(REPO / "studies/reproduce" / name)
    told = commands(page_of(REPO / "studies/reproduce" / name))
    for heading, text in told.items():
        if "; save it as " in heading:
            Path(heading.partition("; save it as ")[2]).write_text(text)
    words = told["train it again"].split()
    given = dict(zip(words[3::2], words[4::2], strict=True))
    assert words[:2] == ["segsearch", "train"]
    again = ask(
        words[2], given["--data"], recipe=given["--recipe"], seed=int(given["--seed"]), device=given["--device"]
    )
    check_same(file, again, tmp_path)


def test_a_run_has_curves_classes_and_the_printed_figure() -> None:
    page = page_of(RUN)
    tiles = {name: value for name, value, _ in blocks(page, "tiles")[0]["rows"]}
    assert (tiles["mIoU"], tiles["printed mIoU"]) == ("47.1 %", "65.4 %")
    curves = {block["y"]: block for block in blocks(page, "lines")}
    assert curves["mIoU of val"]["rule"] == ("printed: 65.4 %", 0.654) and {"loss", "learning rate"} < curves.keys()
    (confusion,) = blocks(page, "matrix")
    rows = dict(confusion["rows"])
    assert rows["Road"][3] == pytest.approx(0.945, abs=0.001) and sum(rows["Pole"]) == pytest.approx(1)
    assert len(page_html(page)) < 2_000_000


def test_a_leaderboard_has_every_network_on_both_charts_that_show_it() -> None:
    page = page_of(BOARD)
    accuracy, speed = blocks(page, "dots")[:2]
    assert len(blocks(page, "table")) == len(page.sections) and not accuracy["log_y"] and speed["log_y"]
    assert "sgcpnet_td1" in {row[0] for row in accuracy["rows"]}
    assert "NaN" not in page_html(page).partition('id="data">')[2].partition("</script>")[0]


def test_pictures_that_lie_there_are_shown_and_what_is_none_is_passed_over(tmp_path: Path) -> None:
    make_study(tmp_path / "s", trials=3)
    (tmp_path / "s/winner").mkdir()
    (tmp_path / "s/pictures").mkdir()
    Image.new("RGB", (3000, 600), "red").save(tmp_path / "s/winner/example.png")
    (tmp_path / "s/pictures/none.png").write_text(HOSTILE)
    page = page_of(tmp_path / "s", None, 2)
    ((caption, url),) = blocks(page, "pictures")[0]["items"]
    assert caption == "winner/example.png" and url.startswith("data:image/webp;base64,") and len(url) < 20_000
    assert any("predictions were not drawn: " in line for block in blocks(page, "words") for line in block["lines"])


def test_the_verb_writes_beside_what_it_is_of(tmp_path: Path) -> None:
    make_study(tmp_path / "s", trials=3)
    done = run("report", tmp_path / "s", "--pictures", "0")
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 's/report.html'}\n"), done
    assert (tmp_path / "s/report.html").stat().st_size < 2_000_000
    shutil.copy(BOARD, tmp_path / "board.csv")
    for _ in range(2):  # the second one replaces the first
        assert run("report", "board.csv", "--out", "board.html", cwd=tmp_path).stdout == "board.html\n"
    (tmp_path / "report.html").write_text("<!doctype html>\nmine")
    assert "report.html' exists and is not a page of `segsearch report`" in refusal("report", tmp_path / "board.csv")


def test_what_has_no_page_is_refused_in_one_line(tmp_path: Path) -> None:
    assert "is neither a study's folder, nor a run's, nor a leaderboard's" in refusal("report", tmp_path)
    assert "--compare: is for two studies" in refusal("report", RUN, "--compare", RUN)
    make_study(tmp_path / "s", trials=1)
    assert "is not the folder of a study" in refusal("report", tmp_path / "s", "--compare", tmp_path)
    for content, problem in (
        ("a,b\n1,2\n", "it has no column fps"),
        ("", "is no CSV file"),
        (BOARD.read_text().partition("\n")[0], "it has no rows"),
    ):
        (tmp_path / "x.csv").write_text(content)
        assert problem in refusal("report", tmp_path / "x.csv")
    (tmp_path / "r").mkdir()
    shutil.copy(RUN / "run.json", tmp_path / "r")
    assert "has no result and no metrics yet" in refusal("report", tmp_path / "r", "--pictures", "0")
