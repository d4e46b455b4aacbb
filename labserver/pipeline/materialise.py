"""Moves the online store's clock: the values of 2013, published when they were known. Needs the warehouse."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import duckdb

from labserver.features.catalogue import Catalogue, Group
from labserver.features.store import create, read_clock
from labserver.moments import from_microseconds, microseconds
from labserver.pipeline.publish import Row, advance, refill


def latest(db: duckdb.DuckDBPyConnection, group: Group, after: datetime, until: datetime) -> list[Row]:
    """For each entity the last row known after ``after`` and not after ``until``."""
    entity = ", ".join(group.entity)
    rows: list[Row] = db.execute(
        f"""SELECT {entity}, known_at, {", ".join(group.columns)} FROM history.{group.name}
            WHERE known_at > $after AND known_at <= $until
            QUALIFY row_number() OVER (PARTITION BY {entity} ORDER BY known_at DESC) = 1
            ORDER BY {entity}""",
        {"after": microseconds(after), "until": microseconds(until)},
    ).fetchall()
    return rows


def materialise(
    db: duckdb.DuckDBPyConnection, store: sqlite3.Connection, catalogue: Catalogue, until: datetime
) -> None:
    """Bring a store to ``until``: only what became known since its clock is read and written."""
    advance(store, catalogue.stored, _known(db, catalogue, read_clock(store), until), until)


def _known(
    db: duckdb.DuckDBPyConnection, catalogue: Catalogue, after: datetime, until: datetime
) -> dict[str, list[Row]]:
    return {group.name: latest(db, group, after, until) for group in catalogue.stored}


def set_clock(db: duckdb.DuckDBPyConnection, store: sqlite3.Connection, catalogue: Catalogue, moment: datetime) -> None:
    """Bring a store to ``moment`` from wherever its clock stands; to go back it is filled anew."""
    if read_clock(store) > moment:
        refill(store, catalogue.stored, _known(db, catalogue, from_microseconds(0), moment), moment)
    else:
        materialise(db, store, catalogue, moment)


def write_snapshot(db: duckdb.DuckDBPyConnection, path: Path, catalogue: Catalogue, moment: datetime) -> None:
    """Write a new store as known at ``moment``: one file, compact, the same bytes for the same data."""
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    store = create(draft, catalogue)
    materialise(db, store, catalogue, moment)
    store.execute("VACUUM INTO ?", (str(path),))
    store.close()
    draft.unlink()


class Feed:
    """The history of a period, held in memory and handed out as the clock moves: what replay publishes."""

    def __init__(self, db: duckdb.DuckDBPyConnection, catalogue: Catalogue, after: datetime, until: datetime) -> None:
        self._groups = catalogue.stored
        self._rows: dict[str, list[Row]] = {}
        self._next: dict[str, int] = defaultdict(int)
        for group in catalogue.stored:
            self._rows[group.name] = db.execute(
                f"""SELECT {", ".join(group.entity)}, known_at, {", ".join(group.columns)}
                    FROM history.{group.name} WHERE known_at > $after AND known_at <= $until ORDER BY known_at""",
                {"after": microseconds(after), "until": microseconds(until)},
            ).fetchall()

    def alter(self, feature: str, change: Callable[[float], float | None]) -> None:
        """Change a stored feature in every row that is still to be published; missing values stay missing."""
        [group] = [group for group in self._groups if feature in group.columns]
        place = len(group.entity) + 1 + group.columns.index(feature)
        self._rows[group.name] = [
            row if row[place] is None else (*row[:place], change(row[place]), *row[place + 1 :])  # type: ignore[arg-type]
            for row in self._rows[group.name]
        ]

    def publish(self, store: sqlite3.Connection, until: datetime) -> None:
        """Write everything known since the last call and not after ``until``; move the clock there."""
        limit = microseconds(until)
        due: dict[str, list[Row]] = {}
        for group in self._groups:
            rows, start, known = self._rows[group.name], self._next[group.name], len(group.entity)
            end = start
            while end < len(rows) and rows[end][known] <= limit:  # type: ignore[operator]
                end += 1
            if end > start:
                due[group.name] = rows[start:end]
                self._next[group.name] = end
        advance(store, self._groups, due, until)
