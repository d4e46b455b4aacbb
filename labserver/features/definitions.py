"""The features of the flight-delay model, each defined once.

Every SQL definition gives, for each entity, the values that a batch finished at ``known_at`` would have published.
It may read only what had happened by then: departures up to ``departed_at``, arrivals up to ``arrived_at``.
"""

from __future__ import annotations

from datetime import timedelta

from labserver.features.catalogue import Catalogue, Feature, Group, Range

# A nightly batch at 04:00 New York time. An arrival belongs to the first batch that ends at or after it.
NIGHTS = """
    SELECT night::INTEGER AS night, (TIMESTAMP '2013-01-01 04:00:00' + to_days(night::INTEGER))
        AT TIME ZONE 'America/New_York' AS known_at
    FROM range(0, (SELECT date_diff('day', DATE '2013-01-01', max(day)) + 1 FROM flights)) AS r(night)
"""
NIGHT_OF_ARRIVAL = """
    date_diff('day', DATE '2013-01-01',
        ((arrived_at AT TIME ZONE 'America/New_York') - INTERVAL 241 MINUTE)::DATE) + 1
"""


def trailing_late_rate(column: str, entity: str, nights: int, least: int) -> str:
    """SQL for the share of late arrivals over the last nights, missing below ``least`` arrivals.

    Arrivals are first counted by night and then summed over a window, so the work grows with the data and not with
    data times nights. Counts are integers: the sums do not depend on the order in which threads add them.
    """
    return f"""
        WITH nights AS ({NIGHTS}),
        entities AS (SELECT DISTINCT {entity} FROM flights),
        nightly AS (
            SELECT {NIGHT_OF_ARRIVAL} AS night, {entity}, count(*) AS arrivals, count(*) FILTER (late) AS late
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
    WITH ticks AS (
        SELECT known_at FROM range(
            (SELECT date_trunc('hour', min(scheduled_departure)) FROM flights),
            (SELECT max(scheduled_departure) + INTERVAL 1 DAY FROM flights), INTERVAL 15 MINUTE) AS r(known_at)
    ),
    origins AS (SELECT DISTINCT origin FROM flights),
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

ALWAYS = "TIMESTAMPTZ '2013-01-01 00:00:00-05:00'"

GROUPS = (
    Group(
        "request",
        "request",
        (),
        "request",
        None,
        "",
        (
            Feature(
                "departure_hour",
                "h",
                "Scheduled departure, hours since midnight in New York",
                "scheduling",
                Range(0, 24),
                "reject",
                request=lambda minute, weekday: minute / 60.0,
            ),
            Feature(
                "weekday",
                "ISO weekday",
                "Day of the week of the scheduled departure in New York, Monday is 1",
                "scheduling",
                Range(1, 7),
                "reject",
                request=lambda minute, weekday: weekday,
            ),
        ),
    ),
    Group(
        "route",
        "static",
        ("origin", "dest"),
        "flights",
        None,
        f"SELECT {ALWAYS} AS known_at, origin, dest, max(distance) AS distance FROM flights GROUP BY ALL",
        (Feature("distance", "mi", "Length of the route", "scheduling", Range(10, 10_000)),),
    ),
    Group(
        "plane",
        "static",
        ("tailnum",),
        "planes",
        None,
        f"""SELECT {ALWAYS} AS known_at, tailnum, (2013 - year)::DOUBLE AS plane_age, seats::DOUBLE AS plane_seats
            FROM planes""",
        (
            Feature("plane_age", "years", "Age of the plane in 2013", "fleet", Range(0, 80)),
            Feature("plane_seats", "seats", "Seats of the plane's model", "fleet", Range(1, 900)),
        ),
    ),
    Group(
        "route_month",
        "batch",
        ("origin", "dest"),
        "flights",
        timedelta(hours=26),
        trailing_late_rate("route_late_rate", "origin, dest", nights=30, least=10),
        (
            Feature(
                "route_late_rate",
                "share",
                "Share of the route's arrivals of the last 30 nights that were late",
                "operations",
                Range(0, 1),
            ),
        ),
    ),
    Group(
        "carrier_month",
        "batch",
        ("origin", "carrier"),
        "flights",
        timedelta(hours=26),
        trailing_late_rate("carrier_late_rate", "origin, carrier", nights=30, least=10),
        (
            Feature(
                "carrier_late_rate",
                "share",
                "Share of the carrier's arrivals from this origin, last 30 nights, that were late",
                "operations",
                Range(0, 1),
            ),
        ),
    ),
    Group(
        "airport_week",
        "batch",
        ("origin",),
        "flights",
        timedelta(hours=26),
        trailing_late_rate("airport_late_rate", "origin", nights=7, least=10),
        (
            Feature(
                "airport_late_rate",
                "share",
                "Share of all arrivals from this origin, last 7 nights, that were late",
                "operations",
                Range(0, 1),
            ),
        ),
    ),
    Group(
        "airport_weather",
        "weather",
        ("origin",),
        "weather",
        timedelta(hours=3),
        """SELECT known_at, origin, humid AS humidity, wind_speed, precip AS precipitation, pressure,
                  visib AS visibility
           FROM weather""",
        (
            Feature("humidity", "%", "Relative humidity", "weather", Range(0, 100)),
            Feature("wind_speed", "mph", "Wind speed", "weather", Range(0, 150)),
            Feature("precipitation", "in/h", "Precipitation of the hour", "weather", Range(0, 15)),
            Feature("pressure", "hPa", "Sea-level pressure", "weather", Range(870, 1085)),
            Feature("visibility", "mi", "Visibility, capped at 10 by the instrument", "weather", Range(0, 10)),
        ),
    ),
    Group(
        "airport_now",
        "live",
        ("origin",),
        "flights",
        timedelta(hours=1),
        RECENT_DEPARTURES,
        (
            Feature(
                "origin_delay",
                "min",
                "Mean departure delay of the last 20 departures at the origin",
                "operations",
                Range(-60, 1440),
            ),
            Feature(
                "origin_late_share",
                "share",
                "Share of the last 20 departures at the origin that left more than 15 min late",
                "operations",
                Range(0, 1),
            ),
        ),
    ),
    Group(
        "plane_now",
        "live",
        ("tailnum",),
        "flights",
        None,
        PLANE_REPORTS,
        (
            Feature(
                "plane_delay",
                "min",
                "Latest known departure or arrival delay of the same plane",
                "operations",
                Range(-120, 2880),
            ),
            Feature(
                "plane_delay_age",
                "h",
                "Time since that delay was known",
                "operations",
                Range(0, 8784),
                age=True,
            ),
        ),
    ),
)

CATALOGUE = Catalogue(GROUPS)
