"""Flights of the warehouse, as the bodies of requests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from labserver.pipeline.sources.warehouse import open_warehouse

Item = TypeVar("Item")

COLUMNS = ("carrier", "flight", "origin", "dest", "tailnum", "scheduled_departure")


def flights_of(warehouse: Path, day: str) -> list[dict[str, Any]]:
    """Every flight of a day such as ``"2013-10-15"``, in the order of their ids."""
    query = f"SELECT {', '.join(COLUMNS)} FROM flights WHERE day = $day ORDER BY flight_id"
    with open_warehouse(warehouse) as db:
        rows = db.execute(query, {"day": date.fromisoformat(day)}).fetchall()
    return [dict(zip(COLUMNS, (*names, departure.isoformat()), strict=True)) for *names, departure in rows]


def spread(items: Sequence[Item], number: int) -> Sequence[Item]:
    """At most ``number`` of the items, at equal distances."""
    return items[:: max(1, -(-len(items) // number))]
