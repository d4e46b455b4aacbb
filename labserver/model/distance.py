"""Distances between distributions that are known by bin: how many values fell into it, and what they add up to."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.integer[Any]] | NDArray[np.float64]

SMOOTHING = 0.01
"""Added to a share and to its complement before the log of their ratio: an empty bin would make it infinite."""


def wasserstein(
    counts: Counts, sums: NDArray[np.float64], other_counts: Counts, other_sums: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Wasserstein distance (order 1) of two binned distributions: how far a unit of one must be moved, on average, to
    become the other. In the unit of the values.

    Each bin counts as its mean value, so the distance does not saturate: the mean of an outer bin moves with its
    values. With one dimension it is the area between the two distribution functions (Vallender, "Calculation of the
    Wasserstein Distance Between Probability Distributions on the Line", Theory Probab. Appl. 18, 1974).

    Args:
        counts: values in each bin, shape (..., bins), or shares of them.
        sums: the sum of those values, likewise.
        other_counts: of the other distribution; shapes are broadcast.
        other_sums: likewise.

    Returns:
        Shape (...); 0 where one of the two has no values.
    """
    shape = np.broadcast_shapes(counts.shape, other_counts.shape)
    points, weights = [], []
    for sign, number, total in ((1.0, counts, sums), (-1.0, other_counts, other_sums)):
        rows = number.sum(axis=-1, keepdims=True)
        points.append(np.broadcast_to(_ratio(total, number), shape))
        weights.append(np.broadcast_to(sign * _ratio(number, rows), shape))
    point, weight = np.concatenate(points, axis=-1), np.concatenate(weights, axis=-1)
    order = np.argsort(point, axis=-1)  # an empty bin is a point at 0 without weight: it adds nothing
    point, weight = np.take_along_axis(point, order, axis=-1), np.take_along_axis(weight, order, axis=-1)
    between: NDArray[np.float64] = np.abs(np.cumsum(weight, axis=-1)[..., :-1]) * np.diff(point, axis=-1)
    some = (counts.sum(axis=-1) > 0) & (other_counts.sum(axis=-1) > 0)
    return np.where(some, between.sum(axis=-1), 0.0)


def _ratio(part: Counts, whole: Counts) -> NDArray[np.float64]:
    """0 where there is nothing."""
    return np.divide(part, whole, out=np.zeros(np.broadcast_shapes(part.shape, whole.shape)), where=whole > 0)


def log_odds(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log of a share over its complement, of the same shape: equal steps where a share is small and where it is not."""
    odds: NDArray[np.float64] = np.log((share + SMOOTHING) / (1 - share + SMOOTHING))
    return odds
