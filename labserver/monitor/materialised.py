"""How far the online store has come: its clock, and the newest value of each group, whether or not anybody asks."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from labserver.features.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class Materialised:
    """Moments, in seconds since 1970 UTC.

    Attributes:
        clock: up to which the store is complete, in the simulated world.
        newest: by group that can become stale, when its newest value was known, in the simulated world.
        moved_at: when the clock was first seen where it stands, in ours.
    """

    clock: float
    moved_at: float
    newest: Mapping[str, float] = field(default_factory=dict)


class StoreWatch:
    """Reads the store over a connection of its own each time, so that a store that was replaced is noticed."""

    def __init__(self, path: Path, catalogue: Catalogue) -> None:
        self._path = path
        self._groups = [group.name for group in catalogue.stored if group.freshness]
        newest = ", ".join(f"(SELECT max(known_at) FROM {group})" for group in self._groups)
        self._query = f"SELECT moment, {newest} FROM clock"
        self._last: Materialised | None = None

    def look(self) -> Materialised | None:
        """What the store says now; what it said last if it does not answer, None if it never did."""
        try:
            with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=0.5)) as db:
                clock, *newest = db.execute(self._query).fetchone()
        except (sqlite3.Error, TypeError):
            return self._last
        last = self._last
        if last is None:  # as the file says, or a restart would look like fresh data
            moved_at = self._path.stat().st_mtime
        else:
            moved_at = last.moved_at if last.clock == clock / 1e6 else time.time()
        known = zip(self._groups, newest, strict=True)
        self._last = Materialised(clock / 1e6, moved_at, {group: at / 1e6 for group, at in known if at is not None})
        return self._last
