import pytest

from segsearch.errors import InputError
from segsearch.leaderboard.run import candidates_of, choose_points
from segsearch.space.points import named_point, named_points


def test_leads_come_first_then_names() -> None:
    chosen, left_out = choose_points((), None, (1024, 2048))
    assert len(chosen) == len(named_points()) and not left_out
    leads = [point.lead for point in chosen]
    assert leads == sorted(leads, reverse=True) and any(leads)
    others = [point.name for point in chosen if not point.lead]
    assert others == sorted(others)


def test_points_that_are_one_network_are_one_candidate() -> None:
    chosen, _ = choose_points((), None, (1024, 2048))
    assert [c.spec.id for c in candidates_of(chosen)] == list(dict.fromkeys(p.spec.id for p in chosen))
    twin = named_point("fpenet").model_copy(update={"name": "twin"})
    assert [c.name for c in candidates_of([named_point("fpenet"), twin])] == ["fpenet"]


def test_too_small_images() -> None:
    small, out = choose_points((), "fpenet", (48, 96))
    assert "fpenet_384x768" in out and "fpenet" in {p.name for p in small}
    with pytest.raises(InputError, match="--size for fpenet_384x768: 48x96 .* is too small"):
        choose_points(("fpenet_384x768",), None, (48, 96))
    with pytest.raises(InputError, match="--size: 16x16 is too small"):
        choose_points((), "sfnet", (16, 16))


@pytest.mark.parametrize(
    ("names", "paper", "message"),
    [
        (("nope",), None, "--points: 'nope' is not a named point"),
        ((), "nope", "--paper: 'nope' has no named points"),
        (("fpenet",), "fpenet", "--paper: cannot be given beside --points"),
    ],
)
def test_what_is_not_there_is_named(names: tuple[str, ...], paper: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose_points(names, paper, (64, 128))
