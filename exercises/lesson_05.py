"""Exercise 5: a decision that counts all its costs, and an aggregate that counts each arrival once.

(a) The part ``decision`` turns a probability into ``"warn"`` or ``"no_warning"``. The shipped one knows two costs. Here
every warning costs something to send, also one that was right; the costs are below. Warn if a warning is expected to
cost less than silence, and only then. From that rule, derive the probability above which it pays: ``threshold``.

(b) ``materialise_minutes_recovered`` keeps, for each route, how many of its flights have arrived and how many minutes
they made up in the air, so that the mean is a lookup and not a scan of the warehouse. It is called every few minutes
with the moment up to which it shall count. Add what became known since the last run, and nothing else:

- An arrival is known at ``arrived_at``. One that is known exactly at ``until`` counts in this run, not in the next.
- A batch is run twice, late, or with an older ``until`` than the last one. None of this may change a sum.
- A batch may have been down for days. The next run makes up for all of them.
- The warehouse may have dropped what was counted long ago. The sums are all that is left of it.
- A run that fails in the middle leaves everything as it was. The connection is in autocommit mode: a statement outside
  BEGIN and COMMIT is kept even if the next one fails.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from labserver.moments import from_microseconds, microseconds
from labserver.parts import Context
from labserver.service.decision import Decision

if TYPE_CHECKING:
    import duckdb  # the service that holds this part needs none

SENDING = 1.0
"""Cost of a warning, right or wrong: a message to the passenger and a minute at the desk."""
FALSE_ALARM = 2.0
"""What a warning costs on top if the flight is on time."""
MISSED_DELAY = 6.0
"""What silence costs if the flight is late."""

TABLES = """
    CREATE TABLE minutes_recovered (
        origin TEXT NOT NULL, dest TEXT NOT NULL, arrivals INTEGER NOT NULL, minutes INTEGER NOT NULL,
        PRIMARY KEY (origin, dest)
    ) WITHOUT ROWID;
    CREATE TABLE clock (moment INTEGER NOT NULL);
    INSERT INTO clock VALUES (0);
"""
"""The store, before the first run. ``moment``: everything known up to it is counted, in microseconds since 1970 UTC."""


def threshold(sending: float, false_alarm: float, missed_delay: float) -> float:
    """The probability of a delay at which a warning and silence are expected to cost the same."""
    raise NotImplementedError("write down both expected costs, and solve for the probability")


@dataclass(frozen=True, slots=True)
class AllCosts:
    """Warns where a warning is expected to cost less than silence."""

    threshold: float

    def decide(self, probability: float) -> Decision:
        """``"warn"`` or ``"no_warning"``."""
        return "warn" if probability > 0.5 else "no_warning"


def decision(context: Context) -> AllCosts:
    """The part."""
    return AllCosts(threshold(SENDING, FALSE_ALARM, MISSED_DELAY))


def materialise_minutes_recovered(
    store: sqlite3.Connection, warehouse: duckdb.DuckDBPyConnection, until: datetime
) -> None:
    """Bring ``minutes_recovered`` to ``until``.

    Args:
        store: with :data:`TABLES`, in autocommit mode.
        warehouse: its table ``flights`` has ``origin``, ``dest``, ``departed_at`` and ``arrived_at`` (NULL for a flight
            that never did), ``departure_delay`` and ``arrival_delay`` in minutes. A flight makes up the first less the
            second. The table holds all of 2013: also what nobody knew at ``until``.
        until: count what is known by then.
    """
    new = warehouse.execute(
        """SELECT origin, dest, count(*), sum(departure_delay - arrival_delay)::BIGINT FROM flights
        WHERE departed_at <= $until GROUP BY ALL""",
        {"until": until},
    ).fetchall()
    store.executemany("INSERT OR REPLACE INTO minutes_recovered VALUES (?, ?, ?, ?)", new)  # faulty in several ways
