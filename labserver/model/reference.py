"""Reference statistics of the training data, small enough to ship: ranges and drift are measured against them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labserver.features.catalogue import Catalogue, Range, Trained

BINS = 10
FLOOR = 0.001
"""Smallest share that :func:`psi` reckons with: an empty bin would make it infinite."""
MONTH = 28
"""Days of the long window: four weeks, so that every weekday counts the same."""
UNKNOWN: Mapping[str, Any] = {"edges": [], "shares": [1.0]}
SCORE = "score"
"""Name of the column after the features: the model's probability."""


def psi(shares: NDArray[np.float64], reference: NDArray[np.float64]) -> NDArray[np.float64]:
    """Population stability index between two binned distributions: how far one has moved from the other.

    The sum over bins of (p - q) ln(p / q): 0 for equal shares, never negative, the same both ways. It is the
    symmetric divergence of Jeffreys, "An Invariant Form for the Prior Probability in Estimation Problems",
    Proc. R. Soc. A 186, 1946; the rule of thumb that 0.25 is a lot is from Siddiqi, "Credit Risk Scorecards", 2006.

    Its limits: the rule of thumb supposes independent rows, and a day's flights share three airports' weather, so a
    limit must be measured for each feature. Chance alone gives about (bins - 1) / rows (Yurdakul and Naranjo,
    "Statistical Properties of the Population Stability Index", J. Risk Model Validation 14(4), 2020). It sees nothing
    inside a bin, and it is about inputs: a model can survive a large one and fail at a small one.

    Args:
        shares: shape (..., bins), adding up to 1.
        reference: the same.

    Returns:
        Shape (...).
    """
    p, q = np.maximum(shares, FLOOR), np.maximum(reference, FLOOR)
    p = p / p.sum(axis=-1, keepdims=True)
    q = q / q.sum(axis=-1, keepdims=True)
    index: NDArray[np.float64] = ((p - q) * np.log(p / q)).sum(axis=-1)
    return index


@dataclass(frozen=True)
class Reference:
    """The reference statistics as arrays, one column a feature, and the score last.

    Attributes:
        names: shape (columns,).
        edges: shape (columns, BINS - 1), filled up with infinity where a feature has fewer bins.
        shares: shape (columns, BINS).
        worst_day: largest PSI of one training day against all of them; NaN where the bundle does not say.
        worst_month: the same for :data:`MONTH` days on end.
        usual_missing: the share of a day's values that was missing on all but the worst hundredth of training's days.
    """

    names: tuple[str, ...]
    edges: NDArray[np.float32]
    shares: NDArray[np.float64]
    worst_day: NDArray[np.float64]
    worst_month: NDArray[np.float64]
    usual_missing: NDArray[np.float64]

    @classmethod
    def read(cls, statistics: Mapping[str, Any], names: Sequence[str]) -> Reference:
        """From a bundle's ``reference.json``, for the features ``names`` in this order.

        A feature that training did not know has one bin for all values, so it never moves.
        """
        columns = [statistics["features"].get(name, UNKNOWN) for name in names] + [statistics["score"]]
        edges = np.full((len(columns), BINS - 1), np.inf, np.float32)
        shares = np.zeros((len(columns), BINS))
        for number, column in enumerate(columns):
            edges[number, : len(column["edges"])] = column["edges"]
            shares[number, : len(column["shares"])] = column["shares"]

        def worst(name: str) -> NDArray[np.float64]:
            return np.array([column.get(name, np.nan) for column in columns])

        return cls((*names, SCORE), edges, shares, worst("worst_day"), worst("worst_month"), worst("usual_missing"))

    def count(self, matrix: NDArray[np.float32]) -> NDArray[np.int64]:
        """Rows in each bin, for values of shape (rows, columns) without gaps; shape (columns, BINS)."""
        beyond = np.count_nonzero(matrix[:, :, None] > self.edges, axis=0)  # rows beyond each edge
        everything, nothing = np.full((len(self.names), 1), len(matrix)), np.zeros((len(self.names), 1), np.int64)
        counts: NDArray[np.int64] = -np.diff(np.concatenate([everything, beyond, nothing], axis=1), axis=1)
        return counts

    def psi(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """PSI of each column, for the counts of at least one row; shapes (..., columns, BINS) and (..., columns)."""
        return psi(counts / counts.sum(axis=-1, keepdims=True), self.shares)


def what_training_saw(matrix: NDArray[np.float32], catalogue: Catalogue) -> dict[str, Trained]:
    """Range and median of each column of shape (rows, features); missing and impossible values are left out."""
    trained = {}
    for position, feature in enumerate(catalogue.features):
        column = matrix[:, position]
        good = column[(column >= feature.possible.low) & (column <= feature.possible.high)]
        trained[feature.name] = Trained(
            Range(float(good.min()), float(good.max())), float(np.median(good).astype(np.float32))
        )
    return trained


def reference_statistics(
    raw: NDArray[np.float32],
    used: NDArray[np.float32],
    probability: NDArray[np.float32],
    day: NDArray[np.int64],
    catalogue: Catalogue,
) -> dict[str, Any]:
    """Share missing (``raw``) and a histogram of the model's inputs (``used``), for each feature and for the score,
    and the distance of training's own worst day and month from the whole.

    Both matrices have shape (rows, features); ``probability`` and ``day`` (a running number) have shape (rows,).
    Edges are the training deciles, repeated ones left out, so a feature with few values has fewer bins.
    """
    features = {
        name: {"missing": round(float(np.isnan(raw[:, i]).mean()), 6), **histogram(used[:, i])}
        for i, name in enumerate(catalogue.names)
    }
    statistics: dict[str, Any] = {"rows": len(used), "features": features, SCORE: histogram(probability)}
    add_worst(statistics, raw, np.column_stack([as_received(raw, catalogue), probability]), day, catalogue)
    return statistics


def as_received(raw: NDArray[np.float32], catalogue: Catalogue) -> NDArray[np.float32]:
    """Values as they came, gaps filled as the model's are: drift looks past the ranges, which would hide it."""
    return np.where(np.isnan(raw), catalogue.typical, raw)


def add_worst(
    statistics: dict[str, Any],
    raw: NDArray[np.float32],
    matrix: NDArray[np.float32],
    day: NDArray[np.int64],
    catalogue: Catalogue,
) -> None:
    """Find each column's worst day and month: a threshold below that would have raised false alarms in training."""
    reference = Reference.read(statistics, catalogue.names)
    days = np.unique(day)
    counts = np.stack([reference.count(matrix[day == number]) for number in days])
    missing = np.quantile(np.stack([np.isnan(raw[day == number]).mean(axis=0) for number in days]), 0.99, axis=0)
    running = np.cumsum(np.concatenate([np.zeros_like(counts[:1]), counts]), axis=0)
    months = running[MONTH:] - running[:-MONTH] if len(days) >= MONTH else running[-1:]
    worst_day, worst_month = reference.psi(counts).max(axis=0), reference.psi(months).max(axis=0)
    for number, name in enumerate(reference.names):
        column = statistics[SCORE] if name == SCORE else statistics["features"][name]
        column["worst_day"] = round(float(worst_day[number]), 4)
        column["worst_month"] = round(float(worst_month[number]), 4)
        if name != SCORE:
            column["usual_missing"] = round(float(missing[number]), 4)


def histogram(values: NDArray[np.float32]) -> dict[str, Any]:
    """Inner edges and the share of values in each bin; the outer bins are open."""
    edges = np.unique(np.quantile(values, np.arange(1, BINS) / BINS)).astype(np.float32)
    shares = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1) / len(values)
    return {
        "edges": [float(edge) for edge in edges],
        "shares": [round(float(share), 6) for share in shares],
        "mean": round(float(values.astype(np.float64).mean()), 6),
    }
