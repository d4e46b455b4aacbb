"""What may be asked: the codes and the times of the published schedule."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from labserver.errors import Refused
from labserver.features.flight import LEAD_TIME, Flight, from_microseconds


class Vocabulary:
    """The codes that requests may use: those of the published schedule."""

    def __init__(self, vocabulary: Mapping[str, Any]) -> None:
        self._carriers = frozenset(vocabulary["carrier"])
        self._routes = {origin: frozenset(dests) for origin, dests in vocabulary["routes"].items()}
        self.last_departure = from_microseconds(vocabulary["last_departure_microseconds"])

    def check(self, flight: Flight) -> None:
        """Raise ``Refused`` for a code that the schedule does not have."""
        if flight.carrier not in self._carriers:
            raise Refused("carrier", f"{flight.carrier} is not a carrier we know", sorted(self._carriers))
        if flight.origin not in self._routes:
            raise Refused("origin", f"{flight.origin} is not an origin we know", sorted(self._routes))
        if flight.dest not in self._routes[flight.origin]:
            raise Refused(
                "dest",
                f"{flight.dest} is not served from {flight.origin}",
                sorted(self._routes[flight.origin]),
            )


def check_times(flight: Flight, clock: datetime, last_departure: datetime) -> datetime:
    """The moment to answer for.

    Raises:
        Refused: for a departure outside the schedule, or an ``as_of`` before the clock (the store already knows
            what happened since) or after the departure.
    """
    if not clock < flight.scheduled_departure <= last_departure:
        raise Refused(
            "scheduled_departure",
            f"{flight.scheduled_departure.isoformat()} is outside the schedule",
            f"after {clock.isoformat()} (the clock) and up to {last_departure.isoformat()}",
        )
    as_of = flight.asked_at(clock)
    if flight.as_of is not None and not clock <= as_of <= flight.scheduled_departure:
        raise Refused(
            "as_of",
            f"{as_of.isoformat()} cannot be answered",
            f"{clock.isoformat()} (the clock) to the scheduled departure; left out, it is "
            f"{LEAD_TIME.seconds // 3600} hours before departure",
        )
    return as_of
