"""Moves the clock of a running service, as a replay does, without its predictions."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import datetime

import duckdb
from services import Running, store_of

from labserver.features.catalogue import Catalogue
from labserver.features.store import connect
from labserver.pipeline.materialise import set_clock

MoveClock = Callable[[Running, str], None]


def clock_mover(warehouse: duckdb.DuckDBPyConnection, catalogue: Catalogue) -> MoveClock:
    """Takes a service and a moment with an offset, such as ``2013-10-01T00:00:00-04:00``."""

    def move(service: Running, moment: str) -> None:
        with closing(connect(store_of(service.home), catalogue)) as store:
            set_clock(warehouse, store, catalogue, datetime.fromisoformat(moment))

    return move
