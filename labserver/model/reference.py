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
        sums: mean of the values of each bin times its share, shape (columns, BINS): with ``shares`` the distribution
            of training, for :func:`labserver.model.distance.wasserstein`.
        std: standard deviation; NaN where the bundle does not say.
        weekday_mean: mean of a calendar feature on each day of the week, Monday first, shape (columns, 7); NaN for
            other columns.
        weekday_std: its standard deviation within a day of the week.
        decides: share of training's decisions that change if the feature has its typical value; NaN for the score.
    """

    names: tuple[str, ...]
    edges: NDArray[np.float32]
    shares: NDArray[np.float64]
    worst_day: NDArray[np.float64]
    worst_month: NDArray[np.float64]
    usual_missing: NDArray[np.float64]
    sums: NDArray[np.float64]
    std: NDArray[np.float64]
    weekday_mean: NDArray[np.float64]
    weekday_std: NDArray[np.float64]
    decides: NDArray[np.float64]

    @classmethod
    def read(cls, statistics: Mapping[str, Any], names: Sequence[str]) -> Reference:
        """From a bundle's ``reference.json``, for the features ``names`` in this order.

        A feature that training did not know has one bin for all values, so it never moves.
        """
        columns = [statistics["features"].get(name, UNKNOWN) for name in names] + [statistics["score"]]
        edges = np.full((len(columns), BINS - 1), np.inf, np.float32)
        shares, sums = np.zeros((len(columns), BINS)), np.zeros((len(columns), BINS))
        weekdays = np.full((len(columns), 7), np.nan)
        for number, column in enumerate(columns):
            edges[number, : len(column["edges"])] = column["edges"]
            shares[number, : len(column["shares"])] = column["shares"]
            sums[number, : len(column.get("sums", ()))] = column.get("sums", ())
            weekdays[number] = column.get("weekday_mean", np.nan)

        def each(name: str) -> NDArray[np.float64]:
            return np.array([column.get(name, np.nan) for column in columns])

        return cls(
            names=(*names, SCORE),
            edges=edges,
            shares=shares,
            worst_day=each("worst_day"),
            worst_month=each("worst_month"),
            usual_missing=each("usual_missing"),
            sums=sums,
            std=each("std"),
            weekday_mean=weekdays,
            weekday_std=each("weekday_std"),
            decides=each("decides"),
        )

    def between(self, column: int, number: int) -> str:
        """The values of a bin, for people: ``"above 3 and at most 7"``."""
        edges = [edge for edge in self.edges[column].tolist() if np.isfinite(edge)]
        words = [f"above {edges[number - 1]:.4g}"] if number else []
        return " and ".join([*words, *([f"at most {edges[number]:.4g}"] if number < len(edges) else [])])

    def bins_of(self, matrix: NDArray[np.float32]) -> NDArray[np.int64]:
        """The bin of each value, for values of shape (rows, columns) without gaps; the same shape."""
        bins: NDArray[np.int64] = np.count_nonzero(matrix[:, :, None] > self.edges, axis=2)  # edges below the value
        return bins

    def count(self, matrix: NDArray[np.float32]) -> NDArray[np.int64]:
        """Rows in each bin, for values of shape (rows, columns) without gaps; shape (columns, BINS)."""
        columns = len(self.names)
        place = self.bins_of(matrix) + BINS * np.arange(columns)
        return np.bincount(place.ravel(), minlength=columns * BINS).reshape(columns, BINS)

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
    and the distance of training's own worst day and month from the whole. Of calendar features also the mean of each
    day of the week.

    Both matrices have shape (rows, features); ``probability`` and ``day`` (New York's day of the prediction time,
    ``date.toordinal``) have shape (rows,). Edges are the training deciles, repeated ones left out, so a feature with
    few values has fewer bins.
    """
    features = {
        name: {"missing": round(float(np.isnan(raw[:, i]).mean()), 6), **histogram(used[:, i])}
        for i, name in enumerate(catalogue.names)
    }
    weekday = (day - 1) % 7  # 1 January of year 1 was a Monday
    for feature, column in zip(catalogue.features, used.T.astype(np.float64), strict=True):
        if feature.request is not None and len(np.unique(weekday)) == 7:
            features[feature.name] |= by_weekday(column, weekday)
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


def by_weekday(values: NDArray[np.float64], weekday: NDArray[np.int64]) -> dict[str, Any]:
    """Mean of each day of the week and the deviation within one, for arrays of shape (rows,); Monday is 0."""
    rows = np.bincount(weekday, minlength=7)
    means = np.bincount(weekday, values, minlength=7) / rows
    within = float(np.sqrt(np.mean((values - means[weekday]) ** 2)))
    return {"weekday_mean": [round(mean, 6) for mean in means.tolist()], "weekday_std": round(within, 6)}


def histogram(values: NDArray[np.float32]) -> dict[str, Any]:
    """Inner edges, and of each bin the share of values and their sum over the number of all. Outer bins are open."""
    edges = np.unique(np.quantile(values, np.arange(1, BINS) / BINS)).astype(np.float32)
    bins, wide = np.searchsorted(edges, values, side="left"), values.astype(np.float64)
    shares = np.bincount(bins, minlength=len(edges) + 1) / len(values)
    sums = np.bincount(bins, wide, minlength=len(edges) + 1) / len(values)
    return {
        "edges": [float(edge) for edge in edges],
        "shares": [round(float(share), 6) for share in shares],
        "sums": [round(float(part), 6) for part in sums],
        "mean": round(float(wide.mean()), 6),
        "std": round(float(wide.std()), 6),
    }
