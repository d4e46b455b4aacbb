"""The online store's progress: its clock, and the newest value of each group, also while there are no requests."""

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
        moved_at: when the clock was first seen at its present position, in real time.
    """

    clock: float
    moved_at: float
    newest: Mapping[str, float] = field(default_factory=dict)


class StoreWatch:
    """Reads the store over a new connection each time, so that it notices when the store was replaced."""

    def __init__(self, path: Path, catalogue: Catalogue) -> None:
        self._path = path
        self._groups = [group.name for group in catalogue.stored if group.freshness]
        newest = ", ".join(f"(SELECT max(known_at) FROM {group})" for group in self._groups)
        self._query = f"SELECT moment, {newest} FROM clock"
        self._last: Materialised | None = None

    def look(self) -> Materialised | None:
        """The store's state now; the last known one if the store does not respond, None if it never did."""
        try:
            with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=0.5)) as db:
                clock, *newest = db.execute(self._query).fetchone()
        except (sqlite3.Error, TypeError):
            return self._last
        last = self._last
        if last is None:  # from the file, or a restart would look like fresh data
            moved_at = self._path.stat().st_mtime
        else:
            moved_at = last.moved_at if last.clock == clock / 1e6 else time.time()
        known = zip(self._groups, newest, strict=True)
        self._last = Materialised(clock / 1e6, moved_at, {group: at / 1e6 for group, at in known if at is not None})
        return self._last
