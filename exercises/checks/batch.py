"""Lesson 5, second half: runs the batch as in production: twice, late, after a gap, and on a full disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from exercises.checks.attempt import Attempt
from exercises.checks.result import CheckFinding
from labserver.moments import NEW_YORK
from labserver.pipeline.sources.warehouse import prepare

Sums = dict[tuple[str, str], tuple[int, int]]
"""By route: arrivals, and minutes made up."""
Batch = Callable[[sqlite3.Connection, duckdb.DuckDBPyConnection, datetime], None]


@dataclass(frozen=True)
class World:
    """The warehouse in different states, and the right sums of each.

    Attributes:
        warehouse: the file.
        folder: for stores.
        batch: the learner's.
        moments: of the runs; at the first one, many flights arrive in that very minute.
    """

    warehouse: Path
    folder: Path
    batch: Batch
    moments: list[datetime] = field(default_factory=list)

    def facts(self, dropped: datetime | None = None) -> duckdb.DuckDBPyConnection:
        """The warehouse, without what arrived up to ``dropped``."""
        db = duckdb.connect()
        prepare(db)
        db.execute(f"ATTACH '{self.warehouse}' AS course (READ_ONLY)")
        kept = f"WHERE arrived_at > TIMESTAMPTZ '{dropped.isoformat()}'" if dropped else ""
        db.execute(f"CREATE VIEW flights AS SELECT * FROM course.flights {kept}")
        return db

    def true(self, condition: str, **moments: datetime) -> Sums:
        """The sums over the flights that a condition selects."""
        with self.facts() as db:
            rows = db.execute(
                f"""SELECT origin, dest, count(*), sum(departure_delay - arrival_delay)::BIGINT
                FROM flights WHERE {condition} GROUP BY ALL""",
                moments,
            ).fetchall()
        return {(origin, dest): (arrivals, minutes or 0) for origin, dest, arrivals, minutes in rows}

    def by(self, moment: datetime) -> Sums:
        """The right sums at a moment."""
        return self.true("arrived_at <= $moment", moment=moment)

    def run(self, store: sqlite3.Connection, until: datetime, dropped: datetime | None = None) -> Sums:
        """One run of the learner's batch; what the store holds afterwards."""
        with self.facts(dropped) as db:
            self.batch(store, db, until)
        return held(store)


def held(store: sqlite3.Connection) -> Sums:
    """The content of a store."""
    rows = store.execute("SELECT origin, dest, arrivals, minutes FROM minutes_recovered").fetchall()
    return {(origin, dest): (arrivals, minutes) for origin, dest, arrivals, minutes in rows}


def sums_difference(sums: Sums, others: Sums) -> Sums:
    """The difference, without the routes that have none."""
    none = (0, 0)
    pairs = {route: (sums.get(route, none), others.get(route, none)) for route in sums.keys() | others.keys()}
    gone = {route: (own[0] - other[0], own[1] - other[1]) for route, (own, other) in pairs.items()}
    return {route: pair for route, pair in gone.items() if pair != (0, 0)}


def total(sums: Sums) -> str:
    """Sums in a few words."""
    arrivals, minutes = sum(pair[0] for pair in sums.values()), sum(pair[1] for pair in sums.values())
    return f"{arrivals:,} arrivals on {len(sums)} routes, {minutes:,} min made up"


def aggregated(attempt: Attempt) -> Iterator[CheckFinding]:
    """The runs of the batch. Stops at the first run that goes wrong: the later ones build on it."""
    tables: str = attempt.named("TABLES")
    world = World(
        attempt.settings.warehouse.resolve(), attempt.settings.home, attempt.named("materialise_minutes_recovered")
    )
    with world.facts() as db:
        [[first]] = db.execute(
            """SELECT arrived_at FROM flights WHERE arrived_at BETWEEN '2013-10-10 12:00' AND '2013-10-10 20:00'
            GROUP BY arrived_at ORDER BY count(*) DESC, arrived_at LIMIT 1"""
        ).fetchall()
    world.moments.extend((first, first + timedelta(minutes=15), first + timedelta(days=3)))
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as store:
        store.executescript(tables)
        for step in (first_run, run_twice, next_run, after_a_gap, after_dropping, an_older_run):
            found = step(world, store)
            yield found
            if not found.passed:
                return
    yield from broken_runs(world, tables)


def at(moment: datetime) -> str:
    """A moment, in New York."""
    return f"{moment.astimezone(NEW_YORK):%d %B %H:%M}"


def compared(
    what: str, sent: str, got: Sums, expected: Sums, why: str, mistakes: dict[str, Sums] | str
) -> CheckFinding:
    """A finding on sums. ``mistakes``: the mistake's name, or what the sums are if it is each of them."""
    named = mistakes if isinstance(mistakes, str) else ""
    if not isinstance(mistakes, str):
        named = next((name for name, sums in mistakes.items() if sums == got), "")
    passed = got == expected
    return CheckFinding(what, passed, sent, total(got), total(expected), why, "" if passed else named)


def first_run(world: World, store: sqlite3.Connection) -> CheckFinding:
    """An empty store, and all that is known by then."""
    moment = world.moments[0]
    return compared(
        "The first run counts what had arrived by then.",
        f"until = {at(moment)}",
        world.run(store, moment),
        world.by(moment),
        "A sum of flights that are still in the air is a sum from the future: no service can have it in time.",
        {
            "not-yet-known": world.true("departed_at <= $moment AND arrived_at IS NOT NULL", moment=moment),
            "until-ignored": world.true("arrived_at IS NOT NULL"),
            "arrivals-at-until-left-out": world.true("arrived_at < $moment", moment=moment),
        },
    )


def run_twice(world: World, store: sqlite3.Connection) -> CheckFinding:
    """The same run again."""
    moment, before = world.moments[0], held(store)
    got = world.run(store, moment)
    twice = world.true("arrived_at = $moment", moment=moment)
    return compared(
        "The same run again changes nothing.",
        f"until = {at(moment)}, a second time",
        got,
        before,
        "A scheduler that is not sure whether a batch ran runs it again.",
        "arrivals-at-until-counted-twice" if sums_difference(got, before) == twice else "adds-twice",
    )


def next_run(world: World, store: sqlite3.Connection) -> CheckFinding:
    """A quarter of an hour on."""
    first, second, _ = world.moments
    new = world.true("arrived_at > $first AND arrived_at <= $second", first=first, second=second)
    got = world.run(store, second)
    replaced = world.by(first) | new
    return compared(
        "The next run adds what is new.",
        f"until = {at(second)}; {total(new)} since the last run",
        got,
        world.by(second),
        "A quiet quarter of an hour must not wipe out a year.",
        {"sums-replaced": replaced, "only-the-last-run-kept": new},
    )


def after_a_gap(world: World, store: sqlite3.Connection) -> CheckFinding:
    """Three days without a run."""
    third = world.moments[2]
    return compared(
        "The run after a gap makes up for all of it.",
        f"until = {at(third)}, three days after the last run",
        world.run(store, third),
        world.by(third),
        "A batch that was down over a weekend leaves a hole that nobody sees: the clock says that all is counted.",
        "gap-forgotten",
    )


def after_dropping(world: World, store: sqlite3.Connection) -> CheckFinding:
    """The warehouse has dropped the flights that were counted."""
    third, fourth = world.moments[2], world.moments[2] + timedelta(hours=1)
    return compared(
        "What was counted stays counted when the warehouse drops it.",
        f"until = {at(fourth)}, with a warehouse that begins on {at(third)}",
        world.run(store, fourth, dropped=third),
        world.by(fourth),
        "Counting everything again is not incremental: it costs more each day, and ends when old rows are archived.",
        "recomputed-from-scratch",
    )


def an_older_run(world: World, store: sqlite3.Connection) -> CheckFinding:
    """A run of yesterday that is late, then the newest again."""
    newest, before = world.moments[2] + timedelta(hours=1), held(store)
    world.run(store, newest - timedelta(days=1))
    return compared(
        "A run that comes late changes nothing.",
        f"until = {at(newest - timedelta(days=1))}, then until = {at(newest)} again",
        world.run(store, newest),
        before,
        "A clock that goes back counts the time in between again.",
        "clock-moved-back",
    )


def broken_runs(world: World, tables: str) -> Iterator[CheckFinding]:
    """A run that fails at one of its two tables, and the same run once the disk has room again."""
    first, second, _ = world.moments
    new = sorted(world.true("arrived_at > $first AND arrived_at <= $second", first=first, second=second))
    _, dest = new[len(new) // 2]
    for table, when in (("clock", ""), ("minutes_recovered", f"WHEN NEW.dest = '{dest}'")):
        path = world.folder / f"broken-{table}.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as store:
            store.executescript(tables)
            world.run(store, first)
        with closing(sqlite3.connect(path, isolation_level=None)) as store:
            for event in ("INSERT", "UPDATE"):
                store.execute(
                    f"CREATE TEMP TRIGGER no_{event} BEFORE {event} ON {table} {when} "
                    "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
                )
            with suppress(sqlite3.Error):
                world.run(store, second)
        with closing(sqlite3.connect(path, isolation_level=None)) as store:
            got = world.run(store, second)
        found = compared(
            f"A run that fails while it writes {table} is made good by the next.",
            f"until = {at(second)}: the disk is full at {table}; then the same run on a disk with room",
            got,
            world.by(second),
            "Sums and clock that are not written together come apart, and nothing shows which sums are wrong.",
            "sums-and-clock-apart",
        )
        yield found
        if not found.passed:
            return
