"""Every value of every precomputed feature, with the moment it was known: what batches published in 2013."""

from __future__ import annotations

import duckdb

from labserver.errors import Damaged, LabError
from labserver.features.catalogue import Catalogue


def write_history(db: duckdb.DuckDBPyConnection, catalogue: Catalogue) -> None:
    """Compute each group over the whole warehouse into the table ``history.<group>``.

    From here on a moment is an integer, microseconds since 1970 UTC, as in the online store: no engine reads it in a
    time zone of its own.

    Raises:
        LabError: if a group gives one entity two values at one moment, which would make a point-in-time join
            ambiguous and serving differ from training.
    """
    db.execute("CREATE SCHEMA IF NOT EXISTS history")
    for group in catalogue.stored:
        entity = ", ".join(group.entity)
        db.execute(
            f"CREATE OR REPLACE TABLE history.{group.name} AS "
            f"SELECT epoch_us(known_at) AS known_at, {entity}, {', '.join(group.columns)} FROM ({group.sql}) "
            f"ORDER BY known_at, {entity}"
        )
        repeated = db.execute(
            f"SELECT {entity}, known_at FROM history.{group.name} GROUP BY ALL HAVING count(*) > 1 LIMIT 1"
        ).fetchall()
        if repeated:
            raise LabError(f"Feature group {group.name} has two values for {repeated[0]}: break the tie in its SQL.")
    db.execute("CREATE OR REPLACE TABLE history.groups (name VARCHAR, version VARCHAR)")
    db.executemany("INSERT INTO history.groups VALUES (?, ?)", [[g.name, g.version] for g in catalogue.stored])


def check_history(db: duckdb.DuckDBPyConnection, catalogue: Catalogue) -> None:
    """Refuse a warehouse whose history was computed with other definitions.

    Raises:
        Damaged: if the history lacks a group of the catalogue; names it.
    """
    try:
        versions = dict(db.execute("SELECT name, version FROM history.groups").fetchall())
    except duckdb.Error:
        versions = {}
    if other := [group.name for group in catalogue.stored if versions.get(group.name) != group.version]:
        raise Damaged(
            f"The warehouse has no history of {', '.join(other)} as this code defines it. Run `labserver build`."
        )
