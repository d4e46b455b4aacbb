from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pytest
from numpy.typing import NDArray

from labserver.features.definitions import CATALOGUE
from labserver.features.history import write_history
from labserver.features.join import FLIGHTS, point_in_time


def test_every_flight_has_one_row(joined: NDArray[np.float32]) -> None:
    assert joined.shape == (336_776, len(CATALOGUE.names))
    assert joined.dtype == np.float32


@pytest.mark.parametrize("moment", ["2013-03-10T12:07:00-04:00", "2013-11-03T09:30:00-05:00"])
def test_what_happens_later_changes_nothing_before(
    home: Path, tmp_path: Path, joined: NDArray[np.float32], moment: str
) -> None:
    shutil.copyfile(home / "warehouse.duckdb", tmp_path / "cut.duckdb")
    with duckdb.connect(str(tmp_path / "cut.duckdb")) as db:
        db.execute("SET TimeZone = 'America/New_York'")
        now = {"now": datetime.fromisoformat(moment)}
        db.execute("UPDATE flights SET departed_at = NULL, departure_delay = NULL WHERE departed_at > $now", now)
        db.execute(
            "UPDATE flights SET arrived_at = NULL, arrival_delay = NULL, late = NULL WHERE arrived_at > $now", now
        )
        db.execute("DELETE FROM weather WHERE known_at > $now", now)
        write_history(db, CATALOGUE)
        cut = point_in_time(db, FLIGHTS, CATALOGUE)
        before = [
            row[0] - 1 for row in db.execute("SELECT flight_id FROM flights WHERE predicted_at <= $now", now).fetchall()
        ]
    assert len(before) > 50_000
    assert np.array_equal(joined[before], cut[before], equal_nan=True)
    assert not np.array_equal(joined, cut, equal_nan=True)
