"""Two points side by side."""

import pytest

from segsearch.describe import differ
from segsearch.errors import InputError
from segsearch.report.diff import difference


def test_what_differs_is_the_flow_alone() -> None:
    found = differ("sfnet_r18", "sfnet_r18_no_fam", (96, 96), 19)
    assert found.choices == {
        "fusion": ("fam", "fpn"),
        "fusion.fam.levels": ("all", None),
        "fusion.fpn.style": (None, "sfnet"),
    }
    parts = found.as_json()["parts"]
    assert parts["neck"]["params"][0] - parts["neck"]["params"][1] == 3 * 18_688
    assert all(p["params"][0] == p["params"][1] for name, p in parts.items() if name != "neck")
    assert not found.same_network


def test_a_point_and_itself() -> None:
    found = differ("fpenet", "fpenet", (64, 64), 19)
    assert (found.choices, found.same_network) == ({}, True)
    difference(found)


def test_a_point_that_is_none() -> None:
    with pytest.raises(InputError, match="'x' is not a named point"):
        differ("fpenet", "x", (64, 64), 19)
