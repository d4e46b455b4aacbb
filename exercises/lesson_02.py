"""Exercise 2: a source that knows no more than the clock.

Give the model one more group of features, ``airport_hours``, with one number an airport: ``recent_delay``, the mean
departure delay in minutes of the flights that left the airport within the last three hours. You write its SQL over the
warehouse. A batch runs every quarter of an hour and publishes what it knows then:

- ``known_at``: the moment of the batch, such as 12:00, 12:15 and so on. The table ``ticks`` has them all.
- ``origin``: the airport. Every batch has a row for each of the three.
- ``recent_delay``: the mean of ``departure_delay`` over the flights that really left from three hours before
  ``known_at`` up to ``known_at``, both ends included. If none left, nothing is known: NULL, not 0 and not an older
  value.

Of ``flights`` you need ``origin``, ``departure_delay`` (minutes), ``departed_at`` (when the flight really left; NULL if
it never did) and, perhaps, ``scheduled_departure`` (when it should have).

The check compares your values with a slow count for a few hundred real requests, erases the future to see whether your
past changes, and sends requests to the running service. It works on a few weeks of flights. Over the year, a join of
every batch with every departure takes minutes; a window (``OVER ... RANGE BETWEEN INTERVAL 3 HOUR PRECEDING ...``)
takes two seconds.
"""

from __future__ import annotations

from datetime import timedelta

from labserver.features.catalogue import Catalogue, Feature, Group, Range
from labserver.settings import Settings

RECENT_DELAY = """
    SELECT scheduled_departure AS known_at, origin, avg(departure_delay) AS recent_delay
    FROM flights GROUP BY ALL
"""

AIRPORT_HOURS = Group(
    name="airport_hours",
    kind="live",
    entity=("origin",),
    source="flights",
    freshness=timedelta(hours=1),
    sql=RECENT_DELAY,
    features=(
        Feature(
            name="recent_delay",
            unit="min",
            meaning="Mean departure delay of the departures of the last three hours at the origin",
            owner="operations",
            possible=Range(-60, 1440),
        ),
    ),
)


def catalogue(settings: Settings, before: Catalogue) -> Catalogue:
    """The catalogue as it is without this exercise, and your group as the last one."""
    return Catalogue((*before.groups, AIRPORT_HOURS))
