"""The point-in-time join: for each flight, the values that were known when its prediction was due."""

from __future__ import annotations

import duckdb
import numpy as np
from numpy.typing import NDArray

from labserver.features.catalogue import Catalogue, Feature, Group

HOUR = 3.6e9  # microseconds

LOCAL_TIME = "extract(hour FROM q.local) * 60 + extract(minute FROM q.local) AS minute, isodow(q.local) AS weekday"

FLIGHTS = """SELECT flight_id AS row, carrier, origin, dest, tailnum, scheduled_departure, predicted_at AS as_of
    FROM flights"""


def point_in_time(db: duckdb.DuckDBPyConnection, questions: str, catalogue: Catalogue) -> NDArray[np.float32]:
    """Join every feature to ``questions``, as known at each row's ``as_of``.

    DuckDB's ASOF join takes, for each row, the last history row of the entity with ``known_at <= as_of``.

    Args:
        db: a warehouse with its history.
        questions: SQL with the columns row, carrier, origin, dest, tailnum, scheduled_departure and as_of.
        catalogue: the features, in the order of the result's columns.

    Returns:
        Array of shape (rows, features), float32, ordered by ``row``. A value that was not known is NaN.
    """
    joins = []
    for group in catalogue.stored:
        same = " AND ".join(f"q.{column} = {group.name}.{column}" for column in group.entity)
        joins.append(
            f"ASOF LEFT JOIN history.{group.name} AS {group.name} ON {same} AND q.as_of >= {group.name}.known_at"
        )
    columns = [LOCAL_TIME] + [_column(group, feature) for group in catalogue.stored for feature in group.features]
    values = db.execute(
        f"""
        WITH questions AS ({questions}), q AS (
            SELECT *, scheduled_departure AT TIME ZONE 'America/New_York' AS local FROM questions
        )
        SELECT {", ".join(columns)} FROM q {" ".join(joins)} ORDER BY q.row
        """
    ).fetchnumpy()
    minute, weekday = _dense(values["minute"]), _dense(values["weekday"])
    matrix = np.empty((len(minute), len(catalogue.features)), np.float32)
    for position, feature in enumerate(catalogue.features):
        if feature.request is not None:
            matrix[:, position] = feature.request(minute, weekday)
        elif feature.age:
            matrix[:, position] = _dense(values[feature.name]) / HOUR
        else:
            matrix[:, position] = _dense(values[feature.name])
    return matrix


def _column(group: Group, feature: Feature) -> str:
    if feature.age:
        return f"epoch_us(q.as_of) - epoch_us({group.name}.known_at) AS {feature.name}"
    return f"{group.name}.{feature.name}"


def _dense(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """DuckDB marks NULL by a mask; the rest of the code by NaN."""
    if isinstance(values, np.ma.MaskedArray):
        return np.asarray(np.ma.filled(values.astype(np.float64), np.nan))
    return values.astype(np.float64)
