"""Expected hypervolume improvement, exact for independent objectives, some of which may be known.

All objectives are to be made large. The space of all but the first is cut by the values of the front into cells; over
one cell the front's first objective is constant, so that the expected improvement factorises (after Emmerich et al.
2011, Couckuyt et al. 2014). A known objective has standard deviation 0.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr

from segsearch.samplers.pareto_sampler.encoding import Array

MOST_CELLS = 4096
"""Cells that the front may cut the space into; of a larger front, values evenly spread over it make the cuts."""


def front_of(values: Array) -> Array:
    """Return the rows that no other row is at least as good as in all columns, without repeats; large is good."""
    unique = np.unique(values, axis=0)
    at_least = np.asarray((unique[:, None, :] >= unique[None, :, :]).all(2))
    found: Array = unique[at_least.sum(0) == 1]  # by itself alone
    return found


def gain(mean: Array, spread: Array, level: Array) -> Array:
    """Return the expected value of ``max(0, z - level)`` for a normal z; broadcasts."""
    with np.errstate(divide="ignore", invalid="ignore"):
        u = (mean - level) / spread
    spread = np.broadcast_to(spread, u.shape)
    plain = np.maximum(mean - level, 0.0)
    expected = (mean - level) * ndtr(u) + spread * np.exp(-0.5 * u**2) / np.sqrt(2 * np.pi)
    return np.where(spread > 0, expected, plain)


def expected_improvement(means: Sequence[Array], spreads: Sequence[Array], known: Array, reference: Array) -> Array:
    """Return the expected hypervolume improvement of each candidate.

    Args:
        means: per objective, (candidates,).
        spreads: standard deviations, alike; 0 where the value is known.
        known: values reached by now, (n, objectives).
        reference: the worst values that count, (objectives,).
    """
    front = front_of(known[(known > reference).all(1)]) if len(known) else known.reshape(0, len(reference))
    if len(reference) == 1:
        return gain(means[0], spreads[0], np.max(front, initial=reference[0], keepdims=True)[0])
    cuts = [_cuts(front[:, j], reference[j], len(reference) - 1) for j in range(1, len(reference))]
    level = _levels(front, cuts, reference[0])
    total = gain(means[0][:, None], spreads[0][:, None], level.reshape(1, -1)).reshape(len(means[0]), *level.shape)
    for j in range(len(cuts), 0, -1):  # the last axis first
        # the expected length of the part of each cell that lies below the candidate
        edges = gain(means[j][:, None], spreads[j][:, None], cuts[j - 1][None, :])
        lengths = edges.copy()
        lengths[:, :-1] -= edges[:, 1:]
        total = np.einsum("c...k,ck->c...", total, lengths)
    return total


def _cuts(values: Array, reference: float, axes: int) -> Array:
    """Lower edges of the cells along one axis, ascending; the last cell has no upper edge."""
    edges = np.unique(np.concatenate([[reference], values]))
    most = max(4, int(MOST_CELLS ** (1 / axes)))
    if len(edges) > most:
        edges = edges[np.unique(np.linspace(0, len(edges) - 1, most).round().astype(int))]
    return edges


def _levels(front: Array, cuts: Sequence[Array], reference: float) -> Array:
    """Return the best first objective of the front above each cell's lower edges; the reference where there is none."""
    level = np.full([len(edges) for edges in cuts], reference)
    for point in front:
        ends = [int(np.searchsorted(edges, value)) for edges, value in zip(cuts, point[1:], strict=True)]
        inside = tuple(slice(0, end) for end in ends)
        level[inside] = np.maximum(level[inside], point[0])
    return level
