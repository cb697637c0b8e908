"""The table of published figures: fresh, complete, and honest about what does not match."""

from pathlib import Path

import pytest

from segsearch.errors import InputError
from segsearch.published import compare_all
from segsearch.report.published import COMMAND, OPENING, markdown
from segsearch.space.points import named_points

TABLE = (Path(__file__).parents[2] / "docs/published_vs_ours.md").read_text()
ROWS = [
    (name.strip("| `"), figure, *cells, note.strip(" |"))
    for line in TABLE.splitlines()
    if line.startswith("| `")
    for name, figure, *cells, note in [line.split(" | ")]
]
SLOW = pytest.mark.nightly


def test_every_figure_that_the_point_files_print_has_its_row() -> None:
    """Of what is counted: params and FLOPs."""
    printed = [
        (name, row.where, row.printed)
        for name, point in named_points().items()
        for row in point.published
        if row.metric in ("params", "flops")
    ]
    assert {(name, where, figure) for name, _, where, figure, *_ in ROWS} <= set(printed)
    assert len(ROWS) > 100 and TABLE.startswith(OPENING)


@pytest.mark.parametrize(
    "paper", ["sgcpnet", "fpenet", *(pytest.param(slow, marks=SLOW) for slow in ("dfanet", "eseg", "sfnet"))]
)
def test_the_table_is_what_its_command_writes(paper: str) -> None:
    compared = compare_all(paper)
    assert {point.paper for point, _ in compared} == {paper}
    assert markdown(compared).removeprefix(OPENING).strip() in TABLE, f"write it anew: {COMMAND}"


def test_what_does_not_match_says_why() -> None:
    assert not [row for row in ROWS if row[6] != "same" and not row[7]]


def residuals(paper: str, convention: str) -> dict[str, float]:
    """Of this paper's figures that are counted by this rule; 0 where the digits are the same."""
    return {
        f"{name} {printed}": 0.0 if residual == "same" else float(residual.rstrip("%")) / 100
        for name, _, _, printed, rule, _, residual, _ in ROWS
        if named_points()[name].paper == paper and rule.split(",")[0] == convention
    }


def test_sfnets_nineteen_figures() -> None:
    """Its contexts have no layers in the paper and are not among them."""
    found = {
        name: residual
        for name, residual in residuals("sfnet", "sfnet").items()
        if name.split()[0] not in ("sfnet_r18_aspp", "sfnet_r18_denseaspp", "sfnet_r18_nonlocal")
    }
    assert len(found) == 19
    assert max(map(abs, found.values())) < 0.006


def test_fpenets_digits_all_match() -> None:
    rows = [row for row in ROWS if named_points()[row[0]].paper == "fpenet"]
    assert len({(row[2], row[3]) for row in rows}) >= 15
    assert all(row[6] == "same" for row in rows)


def test_esegs_figures_by_the_profilers_rule() -> None:
    found = residuals("eseg", "tfprof")
    bifpn = {name: r for name, r in found.items() if "deeplab" not in name}
    assert bifpn and max(map(abs, bifpn.values())) < 0.003


def test_an_unknown_paper() -> None:
    with pytest.raises(InputError, match=r"paper: 'x' has no named points \(allowed: dfanet, eseg, "):
        compare_all("x")
