"""The point-in-time join: for each flight, the values that were known at prediction time."""

from __future__ import annotations

from typing import cast

import duckdb
import numpy as np
from numpy.typing import NDArray

from labserver.errors import LabError
from labserver.features.catalogue import Catalogue, Group
from labserver.moments import HOUR

FLIGHTS = """SELECT flight_id AS row, carrier, origin, dest, tailnum, minute, weekday, predicted_at AS as_of
    FROM flights"""


def point_in_time(db: duckdb.DuckDBPyConnection, questions: str, catalogue: Catalogue) -> NDArray[np.float32]:
    """Join every feature to ``questions``, as known at each row's ``as_of``.

    One ASOF join a group, each written into its columns before the next begins: several in one query would hold the
    history and the result of all of them in memory at once.

    Args:
        db: a warehouse with its history, opened by ``labserver.pipeline.sources.warehouse``.
        questions: SQL with the columns row (numbers each row once), the entities' columns (carrier, origin, dest,
            tailnum), ``minute`` of the day and ISO ``weekday`` of the departure in New York, and ``as_of``.
        catalogue: the features, in the order of the result's columns.

    Returns:
        Array of shape (rows, features), float32, ordered by ``row``. A value that was not known is NaN.

    Raises:
        LabError: if a row's number is not its own.
    """
    asked = _columns(db, f"SELECT row, minute, weekday FROM ({questions}) ORDER BY row")
    if (np.diff(asked["row"]) <= 0).any():
        raise LabError("Each row of a point-in-time join needs a number of its own in the column row.")
    matrix = np.empty((len(asked["row"]), len(catalogue.features)), np.float32)
    place = {name: position for position, name in enumerate(catalogue.names)}
    for feature in catalogue.features:
        if feature.request is not None:
            matrix[:, place[feature.name]] = feature.request(asked["minute"], asked["weekday"])
    for group in catalogue.stored:
        for name, values in _columns(db, as_of_join(questions, group)).items():
            matrix[:, place[name]] = values
    return matrix


def as_of_join(questions: str, group: Group) -> str:
    """SQL for a group's features, one column each, for each question in the order of ``row``.

    DuckDB's ASOF join takes the last history row of the entity with ``known_at <= as_of``, and a missing value of that
    row stays missing: an older one does not come back.
    """
    same = " AND ".join(f"q.{column} = h.{column}" for column in group.entity)
    ages = [f"(q.as_of - h.known_at)::DOUBLE / {HOUR}::DOUBLE AS {f.name}" for f in group.features if f.age]
    columns = [f"h.{column}" for column in group.columns]
    return f"""
        WITH q AS (SELECT row, {", ".join(group.entity)}, epoch_us(as_of) AS as_of FROM ({questions}))
        SELECT {", ".join(columns + ages)}
        FROM q ASOF LEFT JOIN history.{group.name} AS h ON {same} AND q.as_of >= h.known_at
        ORDER BY q.row
    """


def _columns(db: duckdb.DuckDBPyConnection, query: str) -> dict[str, NDArray[np.float64]]:
    found = cast("dict[str, NDArray[np.generic]]", db.execute(query).fetchnumpy())  # Categorical: of an ENUM alone
    return {name: _dense(values) for name, values in found.items()}


def _dense(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """DuckDB marks NULL by a mask; the rest of the code by NaN."""
    if isinstance(values, np.ma.MaskedArray):
        return np.asarray(np.ma.filled(values.astype(np.float64), np.nan))
    return values.astype(np.float64)
