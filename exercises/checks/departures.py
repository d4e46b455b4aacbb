"""Lesson 2's reference: the slow count of the flights that had left an airport, and the counts of typical mistakes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import duckdb
import numpy as np
from numpy.typing import NDArray

WINDOW_MINUTES, BATCH_MINUTES = 3 * 60, 15
"""In minutes, like every time in this module: minutes since 1970 UTC, which New York's quarters of an hour share."""

Minutes = NDArray[np.float64]


@dataclass(frozen=True)
class Airport:
    """Every flight of an airport, shape (flights,): when it should leave, when it left, and its delay, NaN if never."""

    scheduled: Minutes
    departed: Minutes
    delay: Minutes


@dataclass(frozen=True)
class DepartureQuestion:
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
        return self.asked - self.asked % BATCH_MINUTES


def mean(delays: Minutes) -> float:
    """The mean, NaN if there is nothing."""
    return float(delays.mean()) if len(delays) else math.nan


def left_within(airport: Airport, first: float, last: float) -> float:
    """The slow count, on which all else is judged: look at every flight of the airport."""
    return mean(airport.delay[(first <= airport.departed) & (airport.departed <= last)])


def right(question: DepartureQuestion, airport: Airport) -> float:
    """The value that was known at the last batch before the prediction time."""
    return left_within(airport, question.batch - WINDOW_MINUTES, question.batch)


def scheduled_within(airport: Airport, first: float, last: float) -> Minutes:
    """The delays of the flights that should have left; NaN for those that never did."""
    return airport.delay[(first <= airport.scheduled) & (airport.scheduled <= last)]


def by_schedule(question: DepartureQuestion, airport: Airport) -> float:
    """The window covers scheduled times."""
    delays = scheduled_within(airport, question.batch - WINDOW_MINUTES, question.batch)
    return mean(delays[~np.isnan(delays)])


def up_to_itself(question: DepartureQuestion, airport: Airport) -> float:
    """The three hours before the flight, and the flight."""
    delays = scheduled_within(airport, question.scheduled - WINDOW_MINUTES, question.scheduled)
    return mean(delays[~np.isnan(delays)])


def named_by_its_start(question: DepartureQuestion, airport: Airport) -> float:
    """A batch is labelled with the time at which its quarter of an hour begins."""
    end = question.batch + BATCH_MINUTES
    return left_within(airport, end - WINDOW_MINUTES, end)


def absent_as_punctual(question: DepartureQuestion, airport: Airport) -> float:
    """Flights that should have left and have not are counted, with no delay."""
    now = question.batch
    gone = (now - WINDOW_MINUTES <= airport.departed) & (airport.departed <= now)
    due = (now - WINDOW_MINUTES <= airport.scheduled) & (airport.scheduled <= now) & ~(airport.departed <= now)
    return mean(np.concatenate([airport.delay[gone], np.zeros(due.sum())]))


def cancelled_as_punctual(question: DepartureQuestion, airport: Airport) -> float:
    """Flights that never left are counted at their scheduled time, with no delay."""
    moment = np.where(np.isnan(airport.departed), airport.scheduled, airport.departed)
    delays = airport.delay[(question.batch - WINDOW_MINUTES <= moment) & (moment <= question.batch)]
    return mean(np.nan_to_num(delays))


Value = float | None
Count = Callable[[DepartureQuestion, Airport], float]
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
        "a mean that includes flights that had not left yet, or never did.",
    ),
    "known-at-too-early": (
        (named_by_its_start,),
        "named by the moment at which its quarter of an hour begins. Nothing of it is known then, as with the weather.",
    ),
}
"""The counts of typical mistakes, and an explanation of each."""


def every_flight(db: duckdb.DuckDBPyConnection) -> dict[str, Airport]:
    """All flights of each airport."""
    found = db.execute(
        """SELECT origin, epoch(scheduled_departure) / 60 AS scheduled, epoch(departed_at) / 60 AS departed,
        departure_delay AS delay FROM flights ORDER BY flight_id"""
    ).df()
    columns = ["scheduled", "departed", "delay"]
    return {str(origin): Airport(*part[columns].to_numpy(float).T) for origin, part in found.groupby("origin")}
