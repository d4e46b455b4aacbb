"""Writing to the online store. Everything is one transaction: a reader sees the state before it or the one after."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from labserver.features.catalogue import Group
from labserver.moments import microseconds

Row = tuple[object, ...]


def advance(
    db: sqlite3.Connection, groups: Iterable[Group], rows: Mapping[str, Iterable[Row]], clock: datetime
) -> None:
    """Publish newer values and move the clock.

    A row replaces the stored one only if it was known no earlier, so running the same batch twice, or an old batch
    late, changes nothing.

    Args:
        db: an open store.
        groups: the groups that may have rows.
        rows: by group, tuples of the entity's columns, ``known_at`` in microseconds, and the values.
        clock: the moment up to which the rows are complete. The clock never goes back.
    """
    with _transaction(db):
        _write(db, groups, rows)
        db.execute("UPDATE clock SET moment = max(moment, ?)", (microseconds(clock),))


def refill(db: sqlite3.Connection, groups: Iterable[Group], rows: Mapping[str, Iterable[Row]], clock: datetime) -> None:
    """Replace everything, and set the clock, back if need be. Arguments as in :func:`advance`."""
    groups = list(groups)
    with _transaction(db):
        for group in groups:
            db.execute(f"DELETE FROM {group.name}")
        _write(db, groups, rows)
        db.execute("UPDATE clock SET moment = ?", (microseconds(clock),))


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _write(db: sqlite3.Connection, groups: Iterable[Group], rows: Mapping[str, Iterable[Row]]) -> None:
    for group in groups:
        if new := rows.get(group.name):
            db.executemany(_upsert(group), new)


def _upsert(group: Group) -> str:
    columns = (*group.entity, "known_at", *group.columns)
    assignments = ", ".join(f"{column} = excluded.{column}" for column in ("known_at", *group.columns))
    return (
        f"INSERT INTO {group.name} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}) "
        f"ON CONFLICT DO UPDATE SET {assignments} WHERE excluded.known_at >= {group.name}.known_at"
    )
