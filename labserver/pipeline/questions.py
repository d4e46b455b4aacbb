"""The flights to score: those of a month, or those of a file, which is held to what HTTP is held to.

A cell of a CSV is text, or null if it is empty; ``flight`` is read as the number that it is in JSON. Everything else is
the request's own model, so a file cannot say what a request cannot.
"""

from __future__ import annotations

import csv
import glob
import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
from pydantic import TypeAdapter, ValidationError

from labserver.api.schemas import ALLOWED, PredictionRequest
from labserver.errors import LabError, Refused
from labserver.features.flight import Flight
from labserver.moments import NEW_YORK, from_microseconds
from labserver.pipeline.sources.warehouse import one_row
from labserver.service.schedule import Vocabulary, check_times

REQUIRED = ("carrier", "flight", "origin", "dest", "tailnum", "scheduled_departure")
OPTIONAL = ("as_of",)
ROWS_AT_ONCE = 10_000
"""Rows of a file that are in memory at once."""
NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?([eE]\+?[0-9]{1,2})?")
"""A number as JSON writes it."""
REQUESTS = TypeAdapter(list[PredictionRequest])

Row = dict[str, Any]
"""A flight as a request has it."""


def load_month(db: duckdb.DuckDBPyConnection, month: str) -> None:
    """Make the table ``flights_to_score`` of a month's flights, asked about two hours before departure.

    Raises:
        LabError: if it is no month, such as ``"2013-09"``, nor ``"2013"``.
    """
    if not re.fullmatch(r"2013(-(0[1-9]|1[0-2]))?", month):
        raise LabError(f"--month {month!r} is not a month of 2013. Write 2013-01 to 2013-12, or 2013 for the year.")
    db.execute(
        f"""CREATE TEMP TABLE flights_to_score AS
            SELECT row_number() OVER (ORDER BY flight_id) - 1 AS row, {", ".join(REQUIRED)}, predicted_at AS as_of
            FROM flights WHERE starts_with(day::VARCHAR, $month)""",
        {"month": month},
    )


def load_file(db: duckdb.DuckDBPyConnection, path: Path, vocabulary: Vocabulary) -> None:
    """Make the table ``flights_to_score`` of a file's flights, in its order.

    Raises:
        LabError: if the file is not usable, or holds what a request must not; names the first such row, from 1.
    """
    db.execute(
        """CREATE TEMP TABLE flights_to_score (row BIGINT, carrier VARCHAR, flight INTEGER, origin VARCHAR,
           dest VARCHAR, tailnum VARCHAR, scheduled_departure TIMESTAMPTZ, as_of TIMESTAMPTZ)"""
    )
    [first] = one_row(db, "SELECT epoch_us(min(predicted_at)) FROM flights")
    begin = from_microseconds(first)
    if not path.is_file():
        raise LabError(f"There is no file {path}.")
    if (reader := READERS.get(path.suffix.lower())) is None:
        raise LabError(f"{path} must end in .csv or .parquet.")
    begun = 0
    try:
        for rows in _batched(reader(path)):
            flights = _flights(path, begun, rows)
            _append(db, begun, [_question(path, begun + n, f, vocabulary, begin) for n, f in enumerate(flights)])
            begun += len(rows)
    except (duckdb.Error, csv.Error, OSError) as error:
        raise LabError(f"{path} cannot be read: {str(error).splitlines()[0]}.") from None
    except UnicodeDecodeError:
        raise LabError(f"{path} is not UTF-8. Save it as UTF-8 (Excel: CSV UTF-8).") from None


def _csv(path: Path) -> Iterator[Row]:
    """Its rows, with or without a byte order mark; separated by what the first line has: comma, semicolon or tab."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        file.seek(0)
        lines = csv.reader(file, delimiter=max(",;\t", key=first.count), strict=True)
        columns = next(lines, [])
        _check_columns(path, columns)
        for number, cells in enumerate((line for line in lines if line), start=1):
            if len(cells) != len(columns):
                raise LabError(f"{path}: row {number:,} has {len(cells)} cells, the first line has {len(columns)}.")
            row: Row = {name: cell or None for name, cell in zip(columns, cells, strict=True)}
            if NUMBER.fullmatch(row["flight"] or ""):
                row["flight"] = json.loads(row["flight"])
            yield row


def _parquet(path: Path) -> Iterator[Row]:
    """Its rows. A time that is no moment, because it has no offset, stays as it is and is refused."""
    with duckdb.connect() as db:
        place = {"path": glob.escape(str(path))}
        kinds = {row[0]: row[1] for row in db.execute("DESCRIBE FROM read_parquet($path)", place).fetchall()}
        _check_columns(path, list(kinds))
        moments = [name for name, kind in kinds.items() if kind == "TIMESTAMP WITH TIME ZONE"]
        read = (f"epoch_us({name})" if name in moments else name for name in kinds)
        db.execute(f"SELECT {', '.join(read)} FROM read_parquet($path)", place)
        while rows := db.fetchmany(ROWS_AT_ONCE):
            for cells in rows:
                row: Row = dict(zip(kinds, cells, strict=True))
                yield row | {name: from_microseconds(row[name]) for name in moments if row[name] is not None}


READERS: dict[str, Callable[[Path], Iterator[Row]]] = {".csv": _csv, ".parquet": _parquet}


def _batched(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while some := list(islice(rows, ROWS_AT_ONCE)):
        yield some


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    wanted = f"it needs {', '.join(REQUIRED)}, and may have {', '.join(OPTIONAL)}, in any order"
    if missing := [name for name in REQUIRED if name not in columns]:
        raise LabError(f"{path} lacks the columns {', '.join(missing)}; {wanted}.")
    if unknown := [name for name in columns if name not in REQUIRED + OPTIONAL]:
        raise LabError(f"{path} has columns that no request has: {', '.join(unknown[:5])[:200]}; {wanted}.")
    if twice := [name for name in columns if columns.count(name) > 1]:
        raise LabError(f"{path} has the column {twice[0]} twice.")


def _flights(path: Path, begun: int, rows: Sequence[Row]) -> list[Flight]:
    """Rows as requests; ``begun`` is the number of rows before them."""
    try:
        return [request.to_flight() for request in REQUESTS.validate_python(rows)]
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)[0]
        number, name = int(found["loc"][0]), str(found["loc"][1])
        raise _wrong(path, begun + number, name, found["msg"].removeprefix("Value error, "), ALLOWED[name]) from None


def _question(path: Path, number: int, flight: Flight, vocabulary: Vocabulary, begin: datetime) -> tuple[Any, ...]:
    """The flight as a row of the table, checked as a request is; the data's beginning takes the clock's place."""
    try:
        vocabulary.check(flight)
        as_of = check_times(flight, begin, vocabulary.last_departure, clock_is="where the data begin", about="")
    except Refused as refused:
        raise _wrong(path, number, refused.field, refused.detail, refused.allowed) from None
    return (
        flight.carrier,
        flight.flight,
        flight.origin,
        flight.dest,
        flight.tailnum,
        flight.scheduled_departure,
        as_of,
    )


def _wrong(path: Path, number: int, name: str, detail: str, allowed: object) -> LabError:
    listed = ", ".join(allowed) if isinstance(allowed, list) else allowed
    return LabError(f"{path}: row {number + 1:,}, {name}: {detail}. Allowed: {listed}.")


def _append(db: duckdb.DuckDBPyConnection, begun: int, questions: Sequence[tuple[Any, ...]]) -> None:
    frame = pd.DataFrame(questions, columns=[*REQUIRED, *OPTIONAL])
    for name in ("scheduled_departure", *OPTIONAL):
        frame[name] = [moment.astimezone(NEW_YORK) for moment in frame[name]]
    frame.insert(0, "row", range(begun, begun + len(frame)))
    db.register("chunk", frame)
    db.execute("INSERT INTO flights_to_score SELECT * FROM chunk")
    db.unregister("chunk")
