"""The features of the flight-delay model, each defined once.

Every SQL definition gives, for each entity, the values that a batch finished at ``known_at`` would have published.
It may read only what had happened by then: departures up to ``departed_at``, arrivals up to ``arrived_at``. Calendar
and time zone are in the source tables (``nights``, ``ticks``, ``flights.arrival_night``): no definition computes them.
"""

from __future__ import annotations

from datetime import timedelta

from labserver.features.catalogue import Catalogue, Feature, Group, Range


def trailing_late_rate(column: str, entity: str, nights: int, least: int) -> str:
    """SQL for the share of late arrivals over the last nights, missing below ``least`` arrivals.

    Arrivals are first counted by night and then summed over a window, so the work grows with the data and not with
    data times nights. Counts are integers: the sums do not depend on the order in which threads add them.
    """
    return f"""
        WITH entities AS (SELECT DISTINCT {entity} FROM flights),
        nightly AS (
            SELECT arrival_night AS night, {entity}, count(*) AS arrivals, count(*) FILTER (late) AS late
            FROM flights WHERE arrived_at IS NOT NULL GROUP BY ALL
        ),
        windows AS (
            SELECT known_at, {entity},
                sum(coalesce(arrivals, 0)) OVER w AS arrivals, sum(coalesce(late, 0)) OVER w AS late
            FROM (nights CROSS JOIN entities) LEFT JOIN nightly USING (night, {entity})
            WINDOW w AS (PARTITION BY {entity} ORDER BY night ROWS BETWEEN {nights - 1} PRECEDING AND CURRENT ROW)
        )
        SELECT known_at, {entity}, CASE WHEN arrivals >= {least} THEN late::DOUBLE / arrivals::DOUBLE END AS {column}
        FROM windows
    """


# Every quarter of an hour, from the last twenty departures: a count, not a span of time, so that the value is there
# before the first departure of the morning too.
RECENT_DEPARTURES = """
    WITH origins AS (SELECT DISTINCT origin FROM flights),
    running AS (
        SELECT origin, departed_at, sum(departure_delay) OVER w AS minutes, count(*) OVER w AS departures,
            count(*) FILTER (departure_delay > 15) OVER w AS late,
            row_number() OVER (PARTITION BY origin, departed_at ORDER BY flight_id DESC) AS from_last
        FROM flights WHERE departed_at IS NOT NULL
        WINDOW w AS (PARTITION BY origin ORDER BY departed_at, flight_id ROWS BETWEEN 19 PRECEDING AND CURRENT ROW)
    ),
    latest AS (SELECT * FROM running WHERE from_last = 1)
    SELECT ticks.known_at, origins.origin,
        latest.minutes::DOUBLE / latest.departures AS origin_delay,
        latest.late::DOUBLE / latest.departures AS origin_late_share
    FROM (ticks CROSS JOIN origins) ASOF JOIN latest
        ON latest.origin = origins.origin AND latest.departed_at <= ticks.known_at
"""

# A plane's delay is known when it leaves and again when it lands; of two reports in one minute, the later flight's.
PLANE_REPORTS = """
    WITH reports AS (
        SELECT departed_at AS known_at, tailnum, departure_delay AS minutes, flight_id, 0 AS landed
        FROM flights WHERE departed_at IS NOT NULL AND tailnum IS NOT NULL
        UNION ALL
        SELECT arrived_at, tailnum, arrival_delay, flight_id, 1
        FROM flights WHERE arrived_at IS NOT NULL AND tailnum IS NOT NULL
    )
    SELECT known_at, tailnum, arg_max(minutes, flight_id * 2 + landed)::DOUBLE AS plane_delay
    FROM reports GROUP BY ALL
"""

# Known before the first flight of the year.
ALWAYS = "TIMESTAMPTZ '2013-01-01 00:00:00-05:00'"

GROUPS = (
    Group(
        name="request",
        kind="request",
        source="request",
        features=(
            Feature(
                name="departure_hour",
                unit="h",
                meaning="Scheduled departure, hours since midnight in New York",
                owner="scheduling",
                possible=Range(0, 24),
                impossible="reject",
                request=lambda minute, weekday: minute / 60.0,
            ),
            Feature(
                name="weekday",
                unit="ISO weekday",
                meaning="Day of the week of the scheduled departure in New York, Monday is 1",
                owner="scheduling",
                possible=Range(1, 7),
                impossible="reject",
                request=lambda minute, weekday: weekday,
            ),
        ),
    ),
    Group(
        name="route",
        kind="static",
        entity=("origin", "dest"),
        source="flights",
        sql=f"SELECT {ALWAYS} AS known_at, origin, dest, max(distance) AS distance FROM flights GROUP BY ALL",
        features=(
            Feature(
                name="distance",
                unit="mi",
                meaning="Length of the route",
                owner="scheduling",
                possible=Range(10, 10_000),
            ),
        ),
    ),
    Group(
        name="plane",
        kind="static",
        entity=("tailnum",),
        source="planes",
        sql=f"""SELECT {ALWAYS} AS known_at, tailnum, (2013 - year)::DOUBLE AS plane_age, seats::DOUBLE AS plane_seats
                FROM planes""",
        features=(
            Feature(
                name="plane_age",
                unit="years",
                meaning="Age of the plane in 2013",
                owner="fleet",
                possible=Range(0, 80),
            ),
            Feature(
                name="plane_seats",
                unit="seats",
                meaning="Seats of the plane's model",
                owner="fleet",
                possible=Range(1, 900),
            ),
        ),
    ),
    Group(
        name="route_month",
        kind="batch",
        entity=("origin", "dest"),
        source="flights",
        freshness=timedelta(hours=26),
        sql=trailing_late_rate("route_late_rate", "origin, dest", nights=30, least=10),
        features=(
            Feature(
                name="route_late_rate",
                unit="share",
                meaning="Share of the route's arrivals of the last 30 nights that were late",
                owner="operations",
                possible=Range(0, 1),
            ),
        ),
    ),
    Group(
        name="carrier_month",
        kind="batch",
        entity=("origin", "carrier"),
        source="flights",
        freshness=timedelta(hours=26),
        sql=trailing_late_rate("carrier_late_rate", "origin, carrier", nights=30, least=10),
        features=(
            Feature(
                name="carrier_late_rate",
                unit="share",
                meaning="Share of the carrier's arrivals from this origin, last 30 nights, that were late",
                owner="operations",
                possible=Range(0, 1),
            ),
        ),
    ),
    Group(
        name="airport_week",
        kind="batch",
        entity=("origin",),
        source="flights",
        freshness=timedelta(hours=26),
        sql=trailing_late_rate("airport_late_rate", "origin", nights=7, least=10),
        features=(
            Feature(
                name="airport_late_rate",
                unit="share",
                meaning="Share of all arrivals from this origin, last 7 nights, that were late",
                owner="operations",
                possible=Range(0, 1),
            ),
        ),
    ),
    Group(
        name="airport_weather",
        kind="weather",
        entity=("origin",),
        source="weather",
        freshness=timedelta(hours=3),
        sql="""SELECT known_at, origin, humid AS humidity, wind_speed, precip AS precipitation, pressure,
                   visib AS visibility
               FROM weather""",
        features=(
            Feature(name="humidity", unit="%", meaning="Relative humidity", owner="weather", possible=Range(0, 100)),
            Feature(name="wind_speed", unit="mph", meaning="Wind speed", owner="weather", possible=Range(0, 150)),
            Feature(
                name="precipitation",
                unit="in/h",
                meaning="Precipitation of the hour",
                owner="weather",
                possible=Range(0, 15),
            ),
            Feature(
                name="pressure", unit="hPa", meaning="Sea-level pressure", owner="weather", possible=Range(870, 1085)
            ),
            Feature(
                name="visibility",
                unit="mi",
                meaning="Visibility, capped at 10 by the instrument",
                owner="weather",
                possible=Range(0, 10),
            ),
        ),
    ),
    Group(
        name="airport_now",
        kind="live",
        entity=("origin",),
        source="flights",
        freshness=timedelta(hours=1),
        sql=RECENT_DEPARTURES,
        features=(
            Feature(
                name="origin_delay",
                unit="min",
                meaning="Mean departure delay of the last 20 departures at the origin",
                owner="operations",
                possible=Range(-60, 1440),
            ),
            Feature(
                name="origin_late_share",
                unit="share",
                meaning="Share of the last 20 departures at the origin that left more than 15 min late",
                owner="operations",
                possible=Range(0, 1),
            ),
        ),
    ),
    Group(
        name="plane_now",
        kind="live",
        entity=("tailnum",),
        source="flights",
        sql=PLANE_REPORTS,
        features=(
            Feature(
                name="plane_delay",
                unit="min",
                meaning="Latest known departure or arrival delay of the same plane",
                owner="operations",
                possible=Range(-120, 2880),
            ),
            Feature(
                name="plane_delay_age",
                unit="h",
                meaning="Time since that delay was known",
                owner="operations",
                possible=Range(0, 8784),
                age=True,
            ),
        ),
    ),
)

CATALOGUE = Catalogue(GROUPS)
