"""The rule that sets the alarm thresholds, from January to August alone.

**A threshold** is the most extreme value that the quiet days of training had, moved away from the median by a margin.

**The margin** is found by leaving out a month at a time. The thresholds of the other months would have to be moved by
so much that the month stays below: that is one month's excess, for each month and feature. Seven months cannot have
shown the worst, so the margin is not the largest excess: the excesses are taken to fall off exponentially, and the
margin is where a year of months has :data:`MONTHS_A_YEAR` beyond it. The features of one family share it.

**Quiet** is every day from 1 February on, when averages over thirty nights have their nights, but those of
:data:`EVENTS`. Nothing after August is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from labserver.features.catalogue import Catalogue
from labserver.model.distance import log_odds
from labserver.model.reference import Reference
from labserver.moments import HOUR, NEW_YORK, from_microseconds, microseconds
from labserver.monitor.alarm_thresholds import SHARES, AlarmThresholds
from labserver.monitor.deviation import WINDOWS, Deviation
from labserver.monitor.tally import DAY_HOURS
from labserver.pipeline.hourly import Hourly, within
from labserver.pipeline.training import TRAINED_UNTIL

QUIET_FROM = datetime(2013, 2, 1, tzinfo=NEW_YORK)
EVENTS = ((datetime(2013, 2, 8, tzinfo=NEW_YORK), datetime(2013, 2, 13, tzinfo=NEW_YORK)),)
"""What happened in training and must ring if it happens again: the blizzard of 8 and 9 February, which closed the
airports and left planes unknown, and the wind of 1048 mph in the record of 12 February."""

FAMILIES = {"request": "schedule", "static": "schedule", "batch": "batch", "weather": "moving", "live": "moving"}
"""By kind of a feature's group: what follows the schedule, averages over many nights, what moves within the hour."""

MONTHS_A_YEAR = 0.25
"""Months a year in which a statistic may ring for some feature of a family though nothing is wrong: once in four years.
There are thirty pairs of statistic and family, and a storm moves many at once."""
MARGIN_LEAST = 0.1
"""Lowest margin: a threshold is never the extreme itself."""
REACHABLE = 0.95
"""Share of the largest possible value that a threshold may be: an alarm that no input can raise is none."""
LEAST = {"level": 0.1, "step": 0.1, "tails": 0.3, "missing": 0.05, "impossible": 0.05, "stale": 0.05, "still": 12.0}
"""Distance of a threshold from the median that nobody needs to hear of, in the statistic's unit: what never varied in
training would ring at the first difference."""

Statistic = NDArray[np.float64]


@dataclass(frozen=True)
class Quiet:
    """The hours of a stretch that set thresholds.

    Attributes:
        mask: which they are, shape (hours,).
        month: New York's month of each hour, shape (hours,).
    """

    mask: NDArray[np.bool_]
    month: NDArray[np.int64]

    @classmethod
    def of(cls, hourly: Hourly) -> Quiet:
        """Of hours up to the end of training."""
        hours: NDArray[np.int64] = np.arange(hourly.first, hourly.first + len(hourly))

        def between(first: datetime, last: datetime) -> NDArray[np.bool_]:
            begin, end = microseconds(first) // HOUR, microseconds(last) // HOUR
            inside: NDArray[np.bool_] = (hours >= begin) & (hours < end)
            return inside

        mask = between(QUIET_FROM, TRAINED_UNTIL)
        for first, last in EVENTS:
            mask &= ~between(first, last)
        month = np.array([from_microseconds(hour * HOUR).astimezone(NEW_YORK).month for hour in hours.tolist()])
        return cls(mask, month)

    def without(self, month: int) -> NDArray[np.bool_]:
        """The quiet hours of the other months."""
        others: NDArray[np.bool_] = self.month != month
        return self.mask & others


def alarm_thresholds(hourly: Hourly, catalogue: Catalogue, reference: Reference) -> AlarmThresholds:
    """Set every threshold by the rule above.

    Args:
        hourly: training's hours, counted as the service counts.
        catalogue: the features; their groups' kinds share margins.
        reference: training's distributions.
    """
    found, quiet = hourly.statistics(Deviation(catalogue, reference)), Quiet.of(hourly)
    families = np.array([*(FAMILIES[catalogue.group_of[name].kind] for name in catalogue.names), FAMILIES["live"]])
    days = {f"level_{window}": length for window, length in WINDOWS.items()} | {"step": 2, "tails": 2}

    most = _possible(catalogue, reference)

    def above(name: str) -> Statistic:
        hours, least = days.get(name, 1) * DAY_HOURS, LEAST[name.partition("_")[0]]
        statistic = found[name]
        possible = most.get(name, np.full(statistic.shape[1], np.inf))
        return threshold(statistic, quiet, families[: statistic.shape[1]], hours=hours, least=least, possible=possible)

    shares = {name: np.append(above(name), np.nan) for name in SHARES}
    return AlarmThresholds(
        level=np.array([above(f"level_{window}") for window in WINDOWS]),
        step=above("step"),
        tails=above("tails"),
        still=above("still"),
        rows=np.array([_usual_rows(hourly, quiet, size) for size in WINDOWS.values()]),
        **shares,
    )


def threshold(
    statistic: Statistic,
    quiet: Quiet,
    families: NDArray[np.str_],
    *,
    hours: int,
    least: float,
    possible: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The upper threshold of each column, shape (columns,). NaN where the statistic was never seen, or quiet days reach
    what is possible: it cannot tell a fault, and judges nothing.

    Args:
        statistic: one row for the window that ends with each hour, shape (hours, columns).
        quiet: the hours that count.
        families: of the columns: those of one family share a margin.
        hours: length of a window.
        least: smallest distance from the median.
        possible: the largest value of each column that inputs can give, shape (columns,).
    """
    median, reach = _reach(statistic, within(quiet.mask, hours))
    limit = np.full(median.shape, np.nan)
    excess = _excess(statistic, quiet, hours, least)
    for family in np.unique(families):
        columns = families == family
        distance = (1 + margin(excess[:, columns])) * reach[columns]
        limit[columns] = median[columns] + np.maximum(distance, least)
    reachable = REACHABLE * possible
    return np.where(median + reach < reachable, np.minimum(limit, reachable), np.nan)


def margin(excess: NDArray[np.float64]) -> float:
    """The share of its reach by which a threshold is moved away.

    Args:
        excess: shape (months, ...); what is positive is the excess of a month over the others.

    Returns:
        Where an exponential tail with the mean of the positive excesses has :data:`MONTHS_A_YEAR` beyond it, or
        :data:`MARGIN_LEAST`.
    """
    beyond = excess[excess > 0]
    if not len(beyond):
        return MARGIN_LEAST
    a_year = len(beyond) * 12 / len(excess)
    return float(max(MARGIN_LEAST, beyond.mean() * np.log(a_year / MONTHS_A_YEAR)))


def _excess(statistic: Statistic, quiet: Quiet, hours: int, least: float) -> NDArray[np.float64]:
    """How far each month is beyond the others, over their reach; shape (months, columns)."""
    inside = within(quiet.mask, hours)
    excesses = []
    for month in np.unique(quiet.month[inside]).tolist():
        median, reach = _reach(statistic, within(quiet.without(month), hours))
        own = _judged(statistic[inside & (quiet.month == month)]).max(axis=0) - median
        excesses.append(np.where(own > least, own / np.maximum(reach, 1e-6) - 1, 0.0))
    return np.array(excesses)


def _reach(statistic: Statistic, rows: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median of a column, and how far its largest value is above it."""
    chosen = _judged(statistic[rows])
    median = np.median(chosen, axis=0)
    return median, chosen.max(axis=0) - median


def _judged(windows: Statistic) -> Statistic:
    """Without the windows that were not whole, of which nothing is known; a row of NaN if none was. A column that is
    never judged stays NaN.
    """
    judged = windows[~np.isnan(windows).all(axis=1)]
    return judged if len(judged) else np.full((1, windows.shape[1]), np.nan)


def _usual_rows(hourly: Hourly, quiet: Quiet, days: int) -> float:
    """Median number of predictions in a window."""
    return float(np.median(hourly.rolled("rows", days * DAY_HOURS)[quiet.mask & hourly.whole(days)]))


def _possible(catalogue: Catalogue, reference: Reference) -> dict[str, NDArray[np.float64]]:
    """The largest value that each statistic can have with possible inputs, by its name; a score is 0 to 1."""
    low, high = np.append(catalogue.low, 0.0), np.append(catalogue.high, 1.0)
    mean = reference.sums.sum(axis=1)
    furthest = np.maximum(mean - low, high - mean) / reference.std
    all_or_nothing = log_odds(np.ones(len(low))) - log_odds(np.zeros(len(low)))
    one = np.ones(len(catalogue.names))
    return {
        **{f"level_{window}": furthest for window in WINDOWS},
        "step": (high - low) / reference.std,
        "tails": all_or_nothing,
        **dict.fromkeys(SHARES, one),
    }
