"""The point-in-time join: for each flight, the values that were known at prediction time."""

from __future__ import annotations

from typing import cast

import duckdb
import numpy as np
from numpy.typing import NDArray

from labserver.errors import LabError
from labserver.features.catalogue import Catalogue, Group
from labserver.moments import HOUR, MICROSECOND
from labserver.pipeline.sources.warehouse import one_row

FLIGHTS = """SELECT flight_id AS row, carrier, origin, dest, tailnum, minute, weekday, predicted_at AS as_of
    FROM flights"""


ROWS_AT_ONCE = 500_000
"""Questions in one query, and rows of a history that is not shared out: a year of flights is less."""


def point_in_time(db: duckdb.DuckDBPyConnection, questions: str, catalogue: Catalogue) -> NDArray[np.float32]:
    """Join every feature to ``questions``, as known at each row's ``as_of``.

    One ASOF join a group, each written into its columns before the next begins. Many flights are joined in parts: those
    of some entities where the history is long, because an entity's questions meet its own history alone, and any some
    where it is short. So DuckDB does not hold, sort and return all of them at once.

    Args:
        db: a warehouse with its history, opened by ``labserver.pipeline.sources.warehouse``.
        questions: SQL with the columns row (numbers each row once), the entities' columns (carrier, origin, dest,
            tailnum), ``minute`` of the day and ISO ``weekday`` of the departure in New York, and ``as_of``. It is
            asked several times and must give the same rows each time.
        catalogue: the features, in the order of the result's columns.

    Returns:
        Array of shape (rows, features), float32, ordered by ``row``. A value that was not known is NaN.

    Raises:
        LabError: if a row's number is not its own.
    """
    asked = _columns(db, f"SELECT row, minute, weekday FROM ({questions}) ORDER BY row")
    rows = asked["row"]
    if (np.diff(rows) <= 0).any():
        raise LabError("Each row of a point-in-time join needs a number of its own in the column row.")
    matrix = np.full((len(rows), len(catalogue.features)), np.nan, np.float32)
    column = {name: position for position, name in enumerate(catalogue.names)}
    for feature in catalogue.features:
        if feature.request is not None:
            matrix[:, column[feature.name]] = feature.request(asked["minute"], asked["weekday"])
    del asked
    for group in catalogue.stored:
        for part in _parts(db, len(rows), group):
            found = _columns(db, as_of_join(questions, group, *part))
            place = np.searchsorted(rows, found.pop("row"))
            for name, values in found.items():
                matrix[place, column[name]] = values
    return matrix


def _parts(db: duckdb.DuckDBPyConnection, questions: int, group: Group) -> list[tuple[str, str]]:
    """Conditions that share out a group's questions, each with the condition on the history that they need."""
    (history,) = one_row(db, f"SELECT count(*) FROM history.{group.name}")
    if history <= ROWS_AT_ONCE:
        parts = 1 + questions // ROWS_AT_ONCE
        return [(f"row % {parts} = {part}", "true") for part in range(parts)]
    parts = 1 + (questions + history) // ROWS_AT_ONCE
    entity = ", ".join(f"{column}::VARCHAR" for column in group.entity)  # an ENUM has another hash than its text
    return [(f"hash({entity}) % {parts} = {part}",) * 2 for part in range(parts)]


def as_of_join(questions: str, group: Group, asked: str = "true", known: str = "true") -> str:
    """SQL for a group's features, one column each, beside the ``row`` of the question.

    DuckDB's ASOF join takes the last history row of the entity with ``known_at <= as_of``, and a missing value of that
    row stays missing: an older one does not come back. A question before the first row is not in the result. ``asked``
    and ``known`` are conditions on questions and history.
    """
    entity = ", ".join(group.entity)
    same = " AND ".join(f"q.{column} = h.{column}" for column in group.entity)
    ages = [f"(q.as_of - h.known_at)::DOUBLE / {HOUR}::DOUBLE AS {f.name}" for f in group.features if f.age]
    columns = ["q.row", *(f"h.{column}" for column in group.columns), *ages]
    return f"""
        WITH q AS (SELECT row, {entity}, epoch_us(as_of) AS as_of FROM ({questions}) WHERE {asked}),
             h AS (SELECT * FROM history.{group.name} WHERE {known})
        SELECT {", ".join(columns)}
        FROM q ASOF JOIN h ON {same} AND q.as_of >= h.known_at
    """


def stale(db: duckdb.DuckDBPyConnection, questions: str, catalogue: Catalogue) -> NDArray[np.bool_]:
    """Whether each value was older than its source promises when it was asked for; shape (rows, features), ordered by
    ``row``. What is not known is not old. Arguments as of :func:`point_in_time`.
    """
    rows = _columns(db, f"SELECT row FROM ({questions}) ORDER BY row")["row"]
    old = np.zeros((len(rows), len(catalogue.features)), np.bool_)
    for group in catalogue.stored:
        if group.freshness is None:
            continue
        entity = ", ".join(group.entity)
        same = " AND ".join(f"q.{column} = h.{column}" for column in group.entity)
        found = _columns(
            db,
            f"""WITH q AS (SELECT row, {entity}, epoch_us(as_of) AS as_of FROM ({questions}))
                SELECT q.row FROM q ASOF JOIN history.{group.name} AS h ON {same} AND q.as_of >= h.known_at
                WHERE q.as_of - h.known_at > {group.freshness // MICROSECOND}""",
        )
        columns = [catalogue.names.index(feature.name) for feature in group.features]
        old[np.searchsorted(rows, found["row"])[:, None], columns] = True
    return old


def _columns(db: duckdb.DuckDBPyConnection, query: str) -> dict[str, NDArray[np.float64]]:
    found = cast("dict[str, NDArray[np.generic]]", db.execute(query).fetchnumpy())  # Categorical: of an ENUM alone
    return {name: _dense(values) for name, values in found.items()}


def _dense(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """DuckDB marks NULL by a mask; the rest of the code by NaN."""
    if isinstance(values, np.ma.MaskedArray):
        return np.asarray(np.ma.filled(values.astype(np.float64), np.nan))
    return values.astype(np.float64)
