"""Batch scoring: the same service object as HTTP, fed by the point-in-time join."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from labserver.errors import LabError
from labserver.features.flight import LEAD_TIME
from labserver.finished import PARTS
from labserver.parts import Parts, assemble
from labserver.pipeline.history import check_history
from labserver.pipeline.join import point_in_time
from labserver.pipeline.sources.calendar import minute_and_weekday
from labserver.pipeline.sources.warehouse import open_warehouse
from labserver.service.prediction import PredictionService
from labserver.settings import Settings

REQUIRED = ("carrier", "flight", "origin", "dest", "tailnum", "scheduled_departure")
QUESTIONS = f"""SELECT row, carrier, origin, dest, tailnum, {minute_and_weekday("scheduled_departure")}, as_of
    FROM flights_to_score"""


@dataclass(frozen=True)
class ScoringSummary:
    """What was scored, and how long it took once everything was loaded."""

    flights: int
    seconds: float
    out: Path

    def text(self) -> str:
        rate = self.flights / self.seconds
        return f"{self.flights:,} flights scored in {self.seconds:.2f} s ({rate:,.0f}/s after load): {self.out}"


def score(
    settings: Settings, month: str | None, flights: Path | None, out: Path, parts: Parts = PARTS
) -> ScoringSummary:
    """Score flights and write them with ``probability`` and ``decision``.

    Args:
        settings: where the bundle and the warehouse are.
        month: ``"2013-09"``, or ``"2013"`` for the year.
        flights: a CSV or Parquet file with carrier, flight, origin, dest, tailnum and scheduled_departure (with
            offset), and ``as_of`` if the questions were not put two hours before departure.
        out: a ``.csv`` or ``.parquet`` file.
        parts: of the service that answers.

    Raises:
        LabError: if not exactly one of month and flights is given, or a file is not usable; names the column.
    """
    if (month is None) == (flights is None):
        raise LabError("Give either --month 2013-09 or --flights FILE.")
    if out.suffix not in {".csv", ".parquet"}:
        raise LabError(f"--out {out} must end in .csv or .parquet.")
    context, service = assemble(parts, settings)
    if not isinstance(service, PredictionService):
        raise LabError("Batch scoring needs a service that can predict a matrix.")
    with open_warehouse(settings.warehouse) as db:
        check_history(db, context.catalogue)
        if month:
            _load_month(db, month)
        elif flights:
            _load_file(db, flights)
        started = time.perf_counter()
        matrix = point_in_time(db, QUESTIONS, context.catalogue)
        if not len(matrix):
            raise LabError(f"There are no flights in {month or flights}.")
        service.prepare(matrix)
        probability = service.predict_matrix(matrix)
        decision = [service.decide(p) for p in probability.tolist()]
        seconds = time.perf_counter() - started
        answers = pd.DataFrame({"row": np.arange(len(matrix)), "probability": probability, "decision": decision})
        _write(db, answers, out)
    return ScoringSummary(len(matrix), seconds, out)


def _load_month(db: duckdb.DuckDBPyConnection, month: str) -> None:
    if not re.fullmatch(r"2013(-(0[1-9]|1[0-2]))?", month):
        raise LabError(f"--month {month!r} is not a month of 2013. Write 2013-01 to 2013-12, or 2013 for the year.")
    db.execute(
        f"""CREATE TEMP TABLE flights_to_score AS
            SELECT row_number() OVER (ORDER BY flight_id) - 1 AS row, {", ".join(REQUIRED)}, predicted_at AS as_of
            FROM flights WHERE starts_with(day::VARCHAR, $month)""",
        {"month": month},
    )


def _load_file(db: duckdb.DuckDBPyConnection, path: Path) -> None:
    if not path.exists():
        raise LabError(f"There is no file {path}.")
    reader = {".csv": "read_csv", ".parquet": "read_parquet"}.get(path.suffix)
    if reader is None:
        raise LabError(f"{path} must end in .csv or .parquet.")
    try:
        columns = [
            row[0] for row in db.execute(f"DESCRIBE SELECT * FROM {reader}($path)", {"path": str(path)}).fetchall()
        ]
        if missing := [name for name in REQUIRED if name not in columns]:
            raise LabError(f"{path} lacks the columns {', '.join(missing)}; it needs {', '.join(REQUIRED)}.")
        naive = db.execute(
            f"SELECT typeof(scheduled_departure) FROM {reader}($path) LIMIT 1",
            {"path": str(path)},
        ).fetchall()
        if naive and naive[0][0] == "TIMESTAMP":
            raise LabError(f"{path}: scheduled_departure has no offset; write it as 2013-09-01T17:30:00-04:00.")
        lead = f"scheduled_departure::TIMESTAMPTZ - INTERVAL {int(LEAD_TIME.total_seconds())} SECOND"
        as_of = f"coalesce(as_of::TIMESTAMPTZ, {lead})" if "as_of" in columns else lead
        db.execute(
            f"""CREATE TEMP TABLE flights_to_score AS
                SELECT row_number() OVER () - 1 AS row, carrier::VARCHAR AS carrier, flight::INTEGER AS flight, origin,
                    dest, tailnum::VARCHAR AS tailnum, scheduled_departure::TIMESTAMPTZ AS scheduled_departure,
                    {as_of} AS as_of
                FROM {reader}($path)""",
            {"path": str(path)},
        )
    except duckdb.Error as error:
        raise LabError(f"{path} cannot be read: {str(error).splitlines()[0]}.") from None
    _check_file(db, path)


def _check_file(db: duckdb.DuckDBPyConnection, path: Path) -> None:
    """The same codes as HTTP accepts; the first row at fault is named."""
    wrong = db.execute(
        """SELECT row + 1, origin, dest, carrier, scheduled_departure IS NULL FROM flights_to_score AS f
           WHERE scheduled_departure IS NULL OR as_of > scheduled_departure
              OR NOT EXISTS (SELECT 1 FROM airlines a WHERE a.carrier = f.carrier)
              OR NOT EXISTS (SELECT 1 FROM history.route r WHERE r.origin = f.origin AND r.dest = f.dest)
           ORDER BY row LIMIT 1"""
    ).fetchall()
    if wrong:
        row, origin, dest, carrier, no_time = wrong[0]
        what = "has no scheduled_departure" if no_time else f"({carrier} {origin}-{dest}) is not in the schedule"
        raise LabError(f"{path}: row {row:,} {what}. GET /v1/features and /docs list what is allowed.")


def _write(db: duckdb.DuckDBPyConnection, answers: pd.DataFrame, out: Path) -> None:
    form = "FORMAT parquet" if out.suffix == ".parquet" else "FORMAT csv, HEADER"
    target = str(out).replace("'", "''")
    db.register("answers", answers)
    try:
        db.execute(
            f"""COPY (SELECT f.* EXCLUDE (row), a.probability, a.decision
                FROM flights_to_score AS f JOIN answers AS a USING (row) ORDER BY row) TO '{target}' ({form})"""
        ).fetchall()
    except duckdb.Error as error:
        raise LabError(f"{out} cannot be written: {str(error).splitlines()[0]}.") from None
