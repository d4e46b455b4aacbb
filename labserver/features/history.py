"""Every value of every precomputed feature, with the moment it was known: what batches published in 2013."""

from __future__ import annotations

import duckdb

from labserver.errors import Damaged, LabError
from labserver.features.catalogue import Catalogue


def write_history(db: duckdb.DuckDBPyConnection, catalogue: Catalogue) -> None:
    """Compute each group over the whole warehouse into the table ``history.<group>``.

    Raises:
        LabError: if a group gives one entity two values at one moment, which would make a point-in-time join
            ambiguous and serving differ from training.
    """
    db.execute("CREATE SCHEMA IF NOT EXISTS history")
    # DuckDB takes a generated series for a handful of rows and would scan all departures for each of 35,000 ticks.
    db.execute("SET asof_loop_join_threshold = 0")
    for group in catalogue.stored:
        entity = ", ".join(group.entity)
        db.execute(
            f"CREATE OR REPLACE TABLE history.{group.name} AS "
            f"SELECT known_at, {entity}, {', '.join(group.columns)} FROM ({group.sql}) ORDER BY known_at, {entity}"
        )
        repeated = db.execute(
            f"SELECT {entity}, known_at FROM history.{group.name} GROUP BY ALL HAVING count(*) > 1 LIMIT 1"
        ).fetchall()
        if repeated:
            raise LabError(f"Feature group {group.name} has two values for {repeated[0]}: break the tie in its SQL.")
    db.execute(
        "CREATE OR REPLACE TABLE history.catalogue AS SELECT $version AS version",
        {"version": catalogue.version},
    )


def check_history(db: duckdb.DuckDBPyConnection, catalogue: Catalogue) -> None:
    """Refuse a warehouse whose history was computed with other definitions.

    Raises:
        Damaged: if the history is missing or of another catalogue.
    """
    try:
        [[version]] = db.execute("SELECT version FROM history.catalogue").fetchall()
    except (duckdb.Error, ValueError):
        version = "none"
    if version != catalogue.version:
        raise Damaged(
            f"The warehouse holds features of catalogue {version}, this code has {catalogue.version}. "
            "Run `labserver build`."
        )
