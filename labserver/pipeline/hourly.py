"""A stretch of time as monitoring counts it, hour by hour, and every window in it: what the live service would see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from labserver.model.reference import Reference
from labserver.monitor.alarm_thresholds import SHARES
from labserver.monitor.changes import Changes
from labserver.monitor.deviation import WINDOWS, Deviation
from labserver.monitor.tally import DAY_HOURS, WATCHED_HOURS, Tally


@dataclass(frozen=True)
class Hourly:
    """Consecutive hours, the first axis of every array; see :class:`labserver.monitor.tally.Tally`.

    Attributes:
        first: the first hour (whole hours since 1970 UTC).
        counts: by the tally's attribute, shape (hours, ...).
    """

    first: int
    counts: Mapping[str, NDArray[Any]]

    @classmethod
    def from_tallies(cls, tallies: Mapping[int, Tally], reference: Reference) -> Hourly:
        """Hours without predictions are empty."""
        first, last = min(tallies), max(tallies)
        places = len(next(iter(tallies.values())).lows)
        empty = Tally.empty(reference, places)
        hours = [tallies.get(hour, empty) for hour in range(first, last + 1)]
        names = ("rows", "bins", "sums", "weekdays", "lows", "highs", "hours", *SHARES)
        return cls(first, {name: np.array([getattr(hour, name) for hour in hours]) for name in names})

    def __len__(self) -> int:
        return len(self.counts["rows"])

    def rolled(self, name: str, hours: int) -> NDArray[Any]:
        """Sums over the ``hours`` up to each hour; shape (hours of the stretch, ...), 0 before there are so many."""
        counts = self.counts[name]
        running = np.cumsum(np.concatenate([np.zeros_like(counts[:1]), counts]), axis=0)
        rolled = np.zeros_like(counts)
        rolled[hours - 1 :] = running[hours:] - running[:-hours]
        return rolled

    def whole(self, days: int) -> NDArray[np.bool_]:
        """Whether the days up to each hour were all watched, shape (hours,)."""
        day = self.rolled("hours", DAY_HOURS) >= WATCHED_HOURS
        whole = np.zeros(len(self), np.bool_)
        start = days * DAY_HOURS - 1
        ends = np.arange(start, len(self))
        whole[start:] = np.all([day[ends - back * DAY_HOURS] for back in range(days)], axis=0)
        return whole

    def still(self) -> NDArray[np.float64]:
        """Hours without a change at each hour, shape (hours, columns)."""
        lows, highs = self.counts["lows"], self.counts["highs"]
        changes, still = Changes(*lows.shape[1:]), []
        for number in range(len(self)):
            changes.note(number, lows[number], highs[number])
            still.append(changes.hours(number))
        return np.array(still)

    def statistics(self, deviation: Deviation) -> dict[str, NDArray[np.float64]]:
        """All statistics of the window that ends with each hour, shape (hours, columns); NaN where it is not whole."""
        found: dict[str, NDArray[np.float64]] = {}
        day = DAY_HOURS
        bins, sums, rows = self.rolled("bins", day), self.rolled("sums", day), self.rolled("rows", day)
        for window, days in WINDOWS.items():
            level = deviation.level(*(self.rolled(name, days * day) for name in ("bins", "sums", "weekdays")))
            found[f"level_{window}"] = _only(level, self.whole(days))
        step, tails = np.full(bins.shape[:2], np.nan), np.full(bins.shape[:2], np.nan)
        step[day:] = deviation.step(bins[day:], sums[day:], bins[:-day], sums[:-day])
        tails[day:] = deviation.tails(bins[day:], bins[:-day])
        found |= {"step": _only(step, self.whole(2)), "tails": _only(tails, self.whole(2))}
        for name in SHARES:
            found[name] = _only(self.rolled(name, day) / np.maximum(rows, 1)[:, None], self.whole(1))
        found["still"] = _only(self.still(), self.whole(1))
        return found


def within(mask: NDArray[np.bool_], hours: int) -> NDArray[np.bool_]:
    """Whether the ``hours`` up to each hour are all in a mask, both of shape (hours,)."""
    inside = np.zeros(len(mask), np.bool_)
    if len(mask) >= hours:
        inside[hours - 1 :] = sliding_window_view(mask, hours).all(axis=1)
    return inside


def _only(values: NDArray[np.float64], rows: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.where(rows.reshape(-1, *[1] * (values.ndim - 1)), values, np.nan)
