"""The published schedule: which codes and times a request can use."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from labserver.errors import Refused
from labserver.features.flight import LEAD_TIME, Flight
from labserver.moments import EPOCH, NEW_YORK, from_microseconds

MINUTE = timedelta(minutes=1)

ABOUT_2013 = (
    "the service lives in 2013, and the clock is the moment up to which its data are complete; "
    "`labserver replay` moves it forward, `labserver clock 2013-09-01` sets it back"
)
"""An explanation of the clock, for messages."""


class Now(NamedTuple):
    """The clock, and a scheduled departure to ask about as of the clock, when values are as fresh as they get.

    Once the clock has passed the last departure of the schedule, every request is rejected.
    """

    clock: datetime
    departure: datetime


class Vocabulary:
    """The codes that requests may use: those of the published schedule."""

    def __init__(self, vocabulary: Mapping[str, Any]) -> None:
        self._carriers = frozenset(vocabulary["carrier"])
        self._routes = {origin: frozenset(dests) for origin, dests in vocabulary["routes"].items()}
        self.last_departure = from_microseconds(vocabulary["last_departure_microseconds"])

    def now(self, clock: datetime) -> Now:
        """The departure is two hours after the clock, rounded up to a minute, or the last one of the schedule."""
        minutes = -(-(clock + LEAD_TIME - EPOCH) // MINUTE)
        return Now(clock, min(EPOCH + minutes * MINUTE, self.last_departure).astimezone(NEW_YORK))

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


def check_times(
    flight: Flight,
    clock: datetime,
    last_departure: datetime,
    *,
    clock_is: str = "the clock",
    about: str = f": {ABOUT_2013}",
) -> datetime:
    """The prediction time of a request.

    Args:
        flight: as it was asked about.
        clock: the earliest moment that can be asked about. Where the whole history is at hand, that is its beginning.
        last_departure: of the schedule.
        clock_is: what ``clock`` is, for the message.
        about: what else the message says of a departure outside the schedule.

    Raises:
        Refused: for a departure outside the schedule, or an ``as_of`` before the clock (the store already knows
            what happened since) or after the departure.
    """
    if not clock < flight.scheduled_departure <= last_departure:
        raise Refused(
            "scheduled_departure",
            f"{flight.scheduled_departure.isoformat()} is outside the schedule{about}",
            f"after {clock.isoformat()} ({clock_is}) and up to {last_departure.isoformat()}",
        )
    as_of = flight.asked_at(clock)
    if flight.as_of is not None and not clock <= as_of <= flight.scheduled_departure:
        raise Refused(
            "as_of",
            f"{as_of.isoformat()} cannot be answered",
            f"{clock.isoformat()} ({clock_is}) to the scheduled departure; left out, it is "
            f"{LEAD_TIME.seconds // 3600} hours before departure",
        )
    return as_of
