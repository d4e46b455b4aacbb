"""The flight a prediction is asked for: its identity, and the moment at which the question is put."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

LEAD_TIME = timedelta(hours=2)
"""The question is due this long before the scheduled departure."""


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
