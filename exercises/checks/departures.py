"""Lesson 2's yardstick: the slow count of what had left an airport, and the counts of typical mistakes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import duckdb
import numpy as np
from numpy.typing import NDArray

HOURS, QUARTER = 3 * 60, 15
"""In minutes, like every time in this module: minutes since 1970 UTC, which New York's quarters of an hour share."""

Minutes = NDArray[np.float64]


@dataclass(frozen=True)
class Airport:
    """Every flight of an airport, shape (flights,): when it should leave, when it left, and its delay, NaN if never."""

    scheduled: Minutes
    departed: Minutes
    delay: Minutes


@dataclass(frozen=True)
class Question:
    """A real flight, and when its prediction is due."""

    carrier: str
    flight: int
    origin: str
    dest: str
    scheduled: float
    asked: float

    @property
    def batch(self) -> float:
        """The last batch that had run by then."""
        return self.asked - self.asked % QUARTER


def mean(delays: Minutes) -> float:
    """NaN of nothing."""
    return float(delays.mean()) if len(delays) else math.nan


def left_within(airport: Airport, first: float, last: float) -> float:
    """The slow count, on which all else is judged: look at every flight of the airport."""
    return mean(airport.delay[(first <= airport.departed) & (airport.departed <= last)])


def right(question: Question, airport: Airport) -> float:
    """What was known at the last batch before the question."""
    return left_within(airport, question.batch - HOURS, question.batch)


def scheduled_within(airport: Airport, first: float, last: float) -> Minutes:
    """The delays of the flights that should have left; NaN for those that never did."""
    return airport.delay[(first <= airport.scheduled) & (airport.scheduled <= last)]


def by_schedule(question: Question, airport: Airport) -> float:
    """The window lies over the scheduled times."""
    delays = scheduled_within(airport, question.batch - HOURS, question.batch)
    return mean(delays[~np.isnan(delays)])


def up_to_itself(question: Question, airport: Airport) -> float:
    """The three hours before the flight, and the flight."""
    delays = scheduled_within(airport, question.scheduled - HOURS, question.scheduled)
    return mean(delays[~np.isnan(delays)])


def named_by_its_start(question: Question, airport: Airport) -> float:
    """A batch bears the time at which its quarter of an hour begins."""
    end = question.batch + QUARTER
    return left_within(airport, end - HOURS, end)


def absent_as_punctual(question: Question, airport: Airport) -> float:
    """Whoever should have left and has not is counted, with no delay."""
    now = question.batch
    gone = (now - HOURS <= airport.departed) & (airport.departed <= now)
    due = (now - HOURS <= airport.scheduled) & (airport.scheduled <= now) & ~(airport.departed <= now)
    return mean(np.concatenate([airport.delay[gone], np.zeros(due.sum())]))


def cancelled_as_punctual(question: Question, airport: Airport) -> float:
    """Flights that never left are counted at their scheduled time, with no delay."""
    moment = np.where(np.isnan(airport.departed), airport.scheduled, airport.departed)
    delays = airport.delay[(question.batch - HOURS <= moment) & (moment <= question.batch)]
    return mean(np.nan_to_num(delays))


Value = float | None
Count = Callable[[Question, Airport], float]
MISTAKEN: Mapping[str, tuple[tuple[Count, ...], str]] = {
    "scheduled-not-actual": (
        (by_schedule,),
        "the mean over the flights that should have left by then. Some had not, and nobody knew their delays yet.",
    ),
    "flight-itself-counted": (
        (up_to_itself,),
        "the mean up to the flight's own departure, with its own delay in it: two hours after the question.",
    ),
    "not-yet-left-counted": (
        (absent_as_punctual, cancelled_as_punctual),
        "a mean in which flights stand that had not left yet, or never did.",
    ),
    "known-at-too-early": (
        (named_by_its_start,),
        "named by the moment at which its quarter of an hour begins. Nothing of it is known then, as with the weather.",
    ),
}
"""What typical mistakes would give, and what to say of each."""


def every_flight(db: duckdb.DuckDBPyConnection) -> dict[str, Airport]:
    """All flights of each airport."""
    found = db.execute(
        """SELECT origin, epoch(scheduled_departure) / 60 AS scheduled, epoch(departed_at) / 60 AS departed,
        departure_delay AS delay FROM flights ORDER BY flight_id"""
    ).df()
    columns = ["scheduled", "departed", "delay"]
    return {str(origin): Airport(*part[columns].to_numpy(float).T) for origin, part in found.groupby("origin")}
