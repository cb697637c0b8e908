"""The table of published figures: fresh, complete, and honest about what does not match."""

from pathlib import Path

import pytest

from segsearch.describe import Compared, compare_all
from segsearch.errors import InputError
from segsearch.report.published import COMMAND, markdown

TABLE = Path(__file__).parents[2] / "docs/published_vs_ours.md"


@pytest.fixture(scope="module")
def compared() -> Compared:
    return compare_all()


def test_the_table_is_what_its_command_writes(compared: Compared) -> None:
    assert TABLE.read_text() == markdown(compared), f"write it anew: {COMMAND}"


def test_what_does_not_match_says_why(compared: Compared) -> None:
    silent = [
        f"{point.name} {c.row.metric} {c.row.printed} ({c.row.where}): {c.residual:+.2%}"
        for point, rows in compared
        for c in rows
        if c.same_digits is False and not c.row.note
    ]
    assert not silent


def residuals(compared: Compared, paper: str, convention: str) -> dict[str, float]:
    return {
        f"{point.name} {c.row.printed}": c.residual
        for point, rows in compared
        for c in rows
        if point.paper == paper and c.row.convention == convention and c.residual is not None
    }


def test_sfnets_nineteen_figures(compared: Compared) -> None:
    """Its contexts have no layers in the paper and are not among them."""
    found = {
        name: residual
        for name, residual in residuals(compared, "sfnet", "sfnet").items()
        if name.split()[0] not in ("sfnet_r18_aspp", "sfnet_r18_denseaspp", "sfnet_r18_nonlocal")
    }
    assert len(found) == 19
    assert max(map(abs, found.values())) < 0.006


def test_fpenets_digits_all_match(compared: Compared) -> None:
    rows = [c for point, rows in compared if point.paper == "fpenet" for c in rows if c.ours is not None]
    assert len({(c.row.printed, c.row.where) for c in rows}) >= 15
    assert all(c.same_digits for c in rows)


def test_esegs_figures_by_the_profilers_rule(compared: Compared) -> None:
    found = residuals(compared, "eseg", "tfprof")
    bifpn = {name: r for name, r in found.items() if "deeplab" not in name}
    assert max(map(abs, bifpn.values())) < 0.003


def test_one_paper() -> None:
    assert {point.paper for point, _ in compare_all("sgcpnet")} == {"sgcpnet"}
    with pytest.raises(InputError, match=r"paper: 'x' has no named points \(allowed: dfanet, eseg, "):
        compare_all("x")
