"""Batch scoring: the same service object as HTTP, fed by the point-in-time join."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from labserver.errors import LabError
from labserver.finished import PARTS
from labserver.parts import Parts, assemble
from labserver.pipeline.history import check_history
from labserver.pipeline.join import point_in_time
from labserver.pipeline.questions import load_file, load_month
from labserver.pipeline.sources.calendar import minute_and_weekday
from labserver.pipeline.sources.warehouse import open_warehouse
from labserver.service.prediction import PredictionService
from labserver.service.schedule import Vocabulary
from labserver.settings import Settings

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
            offset), and ``as_of`` if the questions were not put two hours before departure. What HTTP refuses is
            refused here.
        out: a ``.csv`` or ``.parquet`` file.
        parts: of the service that answers.

    Raises:
        LabError: if not exactly one of month and flights is given, or a file is not usable; names row and column.
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
            load_month(db, month)
        elif flights:
            load_file(db, flights, Vocabulary(context.bundle.vocabulary))
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
