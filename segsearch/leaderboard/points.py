"""Which named points a leaderboard is about, and in which order they are timed."""

from collections.abc import Sequence

from segsearch.errors import InputError
from segsearch.space.points import NamedPoint, named_point, points_of
from segsearch.spec.network import check_size


def choose_points(
    names: Sequence[str], paper: str | None, size_hw: tuple[int, int]
) -> tuple[tuple[NamedPoint, ...], tuple[str, ...]]:
    """Return the points named, or all of a paper or of all papers; and the names of those too large for the images.

    Each paper's lead comes first, so that a run cut short has one network of every paper; then the others by name.

    Raises:
        InputError: no such point or paper; or images too small for every point, or for one asked for by name.
    """
    if names and paper is not None:
        raise InputError("--paper", "cannot be given beside --points")
    chosen = [named_point(name, "--points") for name in dict.fromkeys(names)] if names else _of(paper)
    if names:
        for point in chosen:
            check_size(point.spec, size_hw, f"--size for {point.name}")
    fitting = [point for point in chosen if _fits(point, size_hw)]
    if not fitting:
        check_size(chosen[0].spec, size_hw, "--size")
    fitting.sort(key=lambda point: (not point.lead, point.name))
    return tuple(fitting), tuple(point.name for point in chosen if not _fits(point, size_hw))


def _of(paper: str | None) -> list[NamedPoint]:
    return list(points_of(paper, "--paper").values())


def _fits(point: NamedPoint, size_hw: tuple[int, int]) -> bool:
    try:
        check_size(point.spec, size_hw)
    except InputError:
        return False
    return True
