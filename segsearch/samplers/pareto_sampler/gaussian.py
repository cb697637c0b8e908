"""A Gaussian process over embedded points, its hyperparameters chosen by their posterior.

The kernel weighs the columns (automatic relevance determination) and has two parts: Matern 5/2 of the distance, for
what choices are worth only together, and the inner product, for what each is worth by itself, which few trials can tell
already. Prior weights that shrink with the number of columns keep it from overfitting many of them (Hvarfner et al.
2024, https://proceedings.mlr.press/v235/hvarfner24a.html).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from segsearch.samplers.pareto_sampler.encoding import Array

JITTER = 1e-8
WEIGHT, WEIGHT_SPREAD = 2.0, 1.5
"""Sum of all columns' weights, and standard deviation of the logarithm of each, before anything is known."""
TOGETHER, EACH, NOISE = (0.0, 1.0), (-1.0, 1.0), (-6.0, 2.0)
"""Mean and standard deviation of the logarithms of the variance of both parts and of the noise, before anything is
known; of values that are scaled to variance 1."""
MOST_FITTED = 120
"""Values that the hyperparameters are fitted to; of more, so many evenly spread, as the time grows with their cube."""
CONSTANT = 1.0
"""Variance of the unknown mean, in units of that of the values."""


@dataclass(frozen=True)
class Hyper:
    """What was fitted."""

    weights: Array
    """Per column."""
    together: float
    each: float
    noise: float


class Process:
    """The posterior of one objective; knows values in any units."""

    def __init__(self, points: Array, widths: Sequence[int], values: Array, hyper: Hyper | None = None) -> None:
        """Condition on values.

        Args:
            points: embedded, (n, sum of widths).
            widths: coordinates per column.
            values: one per point.
            hyper: default: fitted to the values.
        """
        self._widths = tuple(widths)
        self._mean, self._scale = float(values.mean()), float(values.std()) or 1.0
        self._points, y = points, (values - self._mean) / self._scale
        some = np.unique(np.linspace(0, len(y) - 1, MOST_FITTED).round().astype(int))
        self.hyper = hyper or fit(points[some], widths, y[some])
        self._scaled = self._embed(points)
        covariance = self._kernel(self._scaled, self._scaled)
        covariance[np.diag_indices_from(covariance)] += self.hyper.noise + JITTER
        self._factor = cholesky(covariance, lower=True, check_finite=False)
        self._alpha = cho_solve((self._factor, True), y, check_finite=False)

    def _embed(self, points: Array) -> Array:
        scaled: Array = points * np.sqrt(np.repeat(self.hyper.weights, self._widths))
        return scaled

    def _kernel(self, a: Array, b: Array) -> Array:
        shared = self.hyper.each * 2 * a @ b.T / self.hyper.weights.sum()
        covariance: Array = self.hyper.together * matern(_squared(a, b)) + shared + CONSTANT
        return covariance

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Return mean and standard deviation of the noise-free value at each point."""
        scaled = self._embed(points)
        cross = self._kernel(self._scaled, scaled)
        mean = self._mean + self._scale * (self._alpha @ cross)
        explained = (solve_triangular(self._factor, cross, lower=True, check_finite=False) ** 2).sum(0)
        before = self.hyper.together + self.hyper.each * 2 * (scaled**2).sum(1) / self.hyper.weights.sum() + CONSTANT
        variance = np.maximum(before - explained, 1e-12)
        return mean, self._scale * np.sqrt(variance)

    def left_out_error(self) -> float:
        """Return the root of the mean squared error where each value is predicted from the others alone."""
        inverse = cho_solve((self._factor, True), np.eye(len(self._alpha)), check_finite=False)
        return self._scale * float(np.sqrt(np.mean((self._alpha / np.diag(inverse)) ** 2)))


def matern(squared: Array) -> Array:
    """Matern 5/2 of squared distances."""
    scaled = np.sqrt(5 * squared)
    value: Array = (1 + scaled + scaled**2 / 3) * np.exp(-scaled)
    return value


def fit(points: Array, widths: Sequence[int], y: Array) -> Hyper:
    """Find the most probable hyperparameters of standardised values ``y``."""
    posterior = _Posterior(points, widths, y)
    bounds = [(-12.0, 6.0)] * len(widths) + [(-4.0, 4.0), (-6.0, 4.0), (-12.0, 1.0)]
    found = minimize(
        posterior.loss, posterior.means, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60}
    )
    *weights, together, each, noise = np.exp(found.x)
    return Hyper(np.array(weights), float(together), float(each), float(noise))


class _Posterior:
    """Negative logarithm of the density of hyperparameters, as a function of their logarithms."""

    def __init__(self, points: Array, widths: Sequence[int], y: Array) -> None:
        parts = np.split(points, np.cumsum(widths)[:-1], axis=1)
        self._squared = np.stack([_squared(part, part).ravel() for part in parts])
        self._shared = np.stack([2 * (part @ part.T).ravel() for part in parts])
        self._y, self._identity = y, np.eye(len(y))
        priors = [(np.log(WEIGHT / len(widths)), WEIGHT_SPREAD)] * len(widths) + [TOGETHER, EACH, NOISE]
        self.means, self._spreads = np.array(priors).T

    def loss(self, logs: Array) -> tuple[float, Array]:
        """Return value and gradient."""
        weights, (together, each, noise) = np.exp(logs[:-3]), np.exp(logs[-3:])
        n, total = len(self._y), weights.sum()
        scaled = np.sqrt(5 * weights @ self._squared).reshape(n, n)
        decay = np.exp(-scaled)
        close, shared = (1 + scaled + scaled**2 / 3) * decay, (weights @ self._shared / total).reshape(n, n)
        covariance = together * close + each * shared + CONSTANT + (noise + JITTER) * self._identity
        try:
            factor = cholesky(covariance, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(logs)
        inverse = cho_solve((factor, True), self._identity, check_finite=False)
        alpha = inverse @ self._y
        slope = 0.5 * (inverse - np.outer(alpha, alpha))  # of the loss, per entry of the covariance
        closeness = (slope * (-5 / 6 * together) * (1 + scaled) * decay).ravel()  # per squared distance
        sharing = each / total * (self._shared @ slope.ravel() - (slope * shared).sum())
        offset = (logs - self.means) / self._spreads
        gradient = offset / self._spreads
        gradient[:-3] += weights * (self._squared @ closeness + sharing)
        gradient[-3:] += [together * (slope * close).sum(), each * (slope * shared).sum(), noise * np.trace(slope)]
        value = 0.5 * self._y @ alpha + np.log(np.diag(factor)).sum() + 0.5 * offset @ offset
        return float(value), gradient


def _squared(a: Array, b: Array) -> Array:
    """Squared distances of all rows of one table from all of another."""
    lengths = (a**2).sum(1)[:, None] + (b**2).sum(1)[None, :]
    squared: Array = np.maximum(lengths - 2 * a @ b.T, 0.0)
    return squared
