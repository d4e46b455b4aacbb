"""The flight a prediction is asked for: its identity, and the moment at which the question is put."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
LEAD_TIME = timedelta(hours=2)
"""The question is due this long before the scheduled departure."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Flight:
    """A scheduled flight, as a client names it. Both times carry an offset."""

    carrier: str
    flight: int
    origin: str
    dest: str
    tailnum: str | None
    scheduled_departure: datetime
    as_of: datetime | None = None
    overrides: Mapping[str, float] = field(default_factory=dict)

    def asked_at(self, clock: datetime) -> datetime:
        """The moment to answer for: what the client says, else two hours before departure, but never in the past."""
        return self.as_of or max(self.scheduled_departure, clock + LEAD_TIME) - LEAD_TIME


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970 UTC; the unit in which the online store keeps times."""
    since = moment - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def from_microseconds(value: int) -> datetime:
    """The UTC moment of :func:`microseconds`."""
    return EPOCH + value * MICROSECOND
