"""The thresholds of each feature's statistics: the build sets them, from January to August alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labserver.model.reference import SCORE

NEVER: Mapping[str, Any] = {}
"""Of a feature that training did not know: it has no threshold, and raises nothing."""


@dataclass(frozen=True)
class AlarmThresholds:
    """One column for each feature, and the score last; NaN where there is no threshold.

    Attributes:
        level: of the distance from training over 1, 7 and 28 days, shape (3, columns), in standard deviations.
        step: of the distance from the day before, shape (columns,), likewise.
        tails: of the change of the outer bins' log odds from the day before, shape (columns,).
        missing, impossible, stale: shares of a day's values, shape (columns,).
        still: hours without a change, shape (columns,).
        rows: predictions in training's windows of 1, 7 and 28 days, shape (3,). With fewer, chance adds to a distance.
    """

    level: NDArray[np.float64]
    step: NDArray[np.float64]
    tails: NDArray[np.float64]
    missing: NDArray[np.float64]
    impossible: NDArray[np.float64]
    stale: NDArray[np.float64]
    still: NDArray[np.float64]
    rows: NDArray[np.float64]

    @classmethod
    def read(cls, statistics: Mapping[str, Any], names: Sequence[str]) -> AlarmThresholds:
        """From a bundle's ``reference.json``, for the features ``names`` in this order."""
        alarms = statistics.get("alarms", {"columns": {}, "rows": [np.nan] * 3})
        columns = [alarms["columns"].get(name, NEVER) for name in (*names, SCORE)]

        def each(name: str, *shape: int) -> NDArray[np.float64]:
            filled = np.full((len(columns), *shape), np.nan)
            for number, column in enumerate(columns):
                if name in column:
                    filled[number] = np.array(column[name], np.float64)  # None becomes NaN
            return filled

        return cls(
            level=each("level", 3).T,
            step=each("step"),
            tails=each("tails"),
            missing=each("missing"),
            impossible=each("impossible"),
            stale=each("stale"),
            still=each("still"),
            rows=np.array(alarms["rows"], np.float64),
        )

    def written(self, names: Sequence[str]) -> dict[str, Any]:
        """As ``reference.json`` has them."""
        columns: dict[str, dict[str, Any]] = {name: {} for name in (*names, SCORE)}
        for statistic in ("level", "step", "tails", *SHARES, "still"):
            array = self.level.T if statistic == "level" else getattr(self, statistic)
            for name, values in zip(columns, array.tolist(), strict=True):
                columns[name][statistic] = _rounded(values)
        return {"columns": columns, "rows": _rounded(self.rows.tolist())}


SHARES = ("missing", "impossible", "stale")
"""Statistics that are a share of the values of a day; of the score there is none."""


def _rounded(values: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(values, list):
        return [_rounded(value) for value in values]
    return None if np.isnan(values) else round(values, 4)
