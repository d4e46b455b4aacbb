"""Feature values before lessons 2, 3 and 4: joined by date, with gaps filled by 0, and without ranges."""

from __future__ import annotations

from datetime import datetime, time, timedelta

import numpy as np
from numpy.typing import NDArray

from labserver.moments import NEW_YORK
from labserver.parts import Context


class ByDate:
    """Before lesson 2: joined by the date, as `merge(on="date")` does: all that is known of the day, its evening too.

    Asked in the morning, the evening has not happened, and nothing is wrong. It shows where the day is over: in the
    training table, and in each question about the past.
    """

    def until(self, as_of: datetime) -> datetime:
        day = as_of.astimezone(NEW_YORK).date() + timedelta(days=1)
        return datetime.combine(day, time(), NEW_YORK)


def horizon(context: Context) -> ByDate:
    return ByDate()


class AsKnown:
    """From lesson 2 on: what was known at the moment that is asked about."""

    def until(self, as_of: datetime) -> datetime:
        return as_of


def as_known(context: Context) -> AsKnown:
    return AsKnown()


class ZeroFill:
    """Before lesson 3: a missing pressure is 0 hPa, an unknown plane is brand new and has no seats."""

    def apply(self, matrix: NDArray[np.float32]) -> None:
        np.nan_to_num(matrix, copy=False, nan=0.0)


def completion(context: Context) -> ZeroFill:
    return ZeroFill()


class AnyNumber:
    """Before lesson 4: 1048 mph of wind is a number too."""

    def apply(self, matrix: NDArray[np.float32]) -> None:
        return

    def check_override(self, name: str, value: float) -> None:
        return


def ranges(context: Context) -> AnyNumber:
    return AnyNumber()
