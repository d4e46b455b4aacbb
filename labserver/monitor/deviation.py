"""How far inputs and scores are from what they were: statistics that grow with the fault and do not saturate.

- **level**: the Wasserstein distance from training, in training's standard deviations, over a day, a week and four
  weeks. A feature of the calendar is compared with training's means of the same days of the week.
- **step**: the same distance between the last 24 hours and the 24 hours before. Of a feature that moves slowly, such as
  an average of thirty nights, it finds what the level hides behind the season.
- **tails**: how the shares of values in the lowest and in the highest of training's bins changed from the day before,
  as log odds. A sign that is wrong or two columns that are swapped change the tails more than the mean.
- **missing, impossible, stale**: shares of the last 24 hours' values.
- **still**: hours since a value last changed, at the airport where that is longest.

All are functions of counts that can be added up over hours, workers and replicas.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from labserver.features.catalogue import Catalogue
from labserver.model.distance import Counts, log_odds, wasserstein
from labserver.model.reference import Reference

WINDOWS = {"1d": 1, "7d": 7, "28d": 28}
"""Days of each window of the level; four weeks are whole weeks, so that every day of the week counts the same."""


class Deviation:
    """The statistics that need training's distribution; a column for each feature, and the score last."""

    def __init__(self, catalogue: Catalogue, reference: Reference) -> None:
        self._reference = reference
        calendar = np.array([*(feature.request is not None for feature in catalogue.features), False])
        self.calendar: NDArray[np.bool_] = calendar
        self._last = np.isfinite(reference.edges).sum(axis=1)  # number of each column's highest bin

    def level(self, bins: Counts, sums: NDArray[np.float64], weekdays: Counts) -> NDArray[np.float64]:
        """Distance from training, in its standard deviations.

        Args:
            bins, sums: of the window, shape (..., columns, BINS); see :class:`labserver.monitor.tally.Tally`.
            weekdays: its rows by day of the week, shape (..., 7).

        Returns:
            Shape (..., columns); NaN of a column that training did not know.
        """
        known = self._reference
        distance = wasserstein(bins, sums, known.shares, known.sums) / known.std
        rows = np.maximum(weekdays.sum(axis=-1, keepdims=True), 1)
        expected = (weekdays / rows) @ known.weekday_mean.T
        mean = sums.sum(axis=-1) / rows
        least = np.maximum(known.weekday_std, 0.1 * known.std)  # a day of the week hardly varies within itself
        return np.where(self.calendar, np.abs(mean - expected) / least, distance)

    def step(
        self, bins: Counts, sums: NDArray[np.float64], bins_before: Counts, sums_before: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Distance from the day before, in training's standard deviations; shapes as of :meth:`level`. NaN of
        features of the calendar, of which the next day is another one.
        """
        distance = wasserstein(bins, sums, bins_before, sums_before) / self._reference.std
        return np.where(self.calendar, np.nan, distance)

    def tails(self, bins: Counts, bins_before: Counts) -> NDArray[np.float64]:
        """The larger change of the two outer bins' log odds from the day before, shape (..., columns); NaN of features
        of the calendar. Arguments as of :meth:`level`.
        """
        change = np.abs(log_odds(self._outer(bins)) - log_odds(self._outer(bins_before))).max(axis=-1)
        return np.where(self.calendar, np.nan, change)

    def _outer(self, bins: Counts) -> NDArray[np.float64]:
        """Shares of the lowest and of the highest bin, shape (..., columns, 2)."""
        rows = np.maximum(bins.sum(axis=-1), 1)
        return np.stack([bins[..., 0] / rows, bins[..., np.arange(len(self._last)), self._last] / rows], axis=-1)
