"""Time: moments as UTC microseconds since 1970, and New York's time for people and features."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

NEW_YORK_NAME = "America/New_York"
NEW_YORK = ZoneInfo(NEW_YORK_NAME)
"""The time zone of the airports that flights leave from, and of the days on which people count them."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
HOUR = 3_600_000_000
"""Microseconds."""


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970 UTC; the unit in which the online store keeps times."""
    since = moment - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def from_microseconds(value: int) -> datetime:
    """The UTC moment of :func:`microseconds`."""
    return EPOCH + value * MICROSECOND


def minute_and_weekday(moment: datetime) -> tuple[int, int]:
    """New York's minute of the day, from 0, and day of the week, Monday is 1."""
    local = moment.astimezone(NEW_YORK)
    return local.hour * 60 + local.minute, local.isoweekday()
