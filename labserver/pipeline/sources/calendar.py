"""The calendar of the warehouse: when batches run, and New York's clock. Features read it and compute none of it.

Engines disagree about time zones, so every conversion is here and in :mod:`.warehouse`, and made once, at build time.
"""

from __future__ import annotations

from labserver.moments import NEW_YORK_NAME

NIGHTS = f"""
CREATE TABLE nights AS
-- A nightly batch ends at 04:00 New York time, night 0 on the first of January.
SELECT night::INTEGER AS night,
    (TIMESTAMP '2013-01-01 04:00:00' + to_days(night::INTEGER)) AT TIME ZONE '{NEW_YORK_NAME}' AS known_at
FROM range(0, (SELECT date_diff('day', DATE '2013-01-01', max(day)) + 1 FROM flights)) AS r(night)
ORDER BY night
"""

TICKS = """
CREATE TABLE ticks AS
-- A batch every quarter of an hour, until a day after the last departure.
SELECT known_at FROM range(
    (SELECT date_trunc('hour', min(scheduled_departure)) FROM flights),
    (SELECT max(scheduled_departure) + INTERVAL 1 DAY FROM flights), INTERVAL 15 MINUTE) AS r(known_at)
ORDER BY known_at
"""


def minute_and_weekday(moment: str) -> str:
    """SQL for New York's minute of the day, from 0, and day of the week, Monday is 1, of a TIMESTAMPTZ expression."""
    local = f"({moment} AT TIME ZONE '{NEW_YORK_NAME}')"
    return f"(hour({local}) * 60 + minute({local}))::INTEGER AS minute, isodow({local})::INTEGER AS weekday"


def night_of(moment: str) -> str:
    """SQL for the first nightly batch that ends at or after a TIMESTAMPTZ expression; NULL of NULL.

    Minutes are whole, and a batch takes what happened up to 04:00 sharp: 04:01 belongs to the next night.
    """
    return f"""(date_diff('day', DATE '2013-01-01',
        (({moment} AT TIME ZONE '{NEW_YORK_NAME}') - INTERVAL 241 MINUTE)::DATE) + 1)::INTEGER"""
