"""Training sees no future, and serving sees what training saw, bit for bit."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pytest
from numpy.typing import NDArray

from labserver.errors import Damaged, LabError
from labserver.features.catalogue import Catalogue, Feature, Group, Range
from labserver.features.flight import Flight
from labserver.features.ranges import CatalogueRanges, TypicalValues
from labserver.features.store import OnlineStore, connect, copy_snapshot
from labserver.model.bundle import Bundle
from labserver.model.predictor import OnnxPredictor
from labserver.pipeline.history import check_history, write_history
from labserver.pipeline.join import FLIGHTS, point_in_time
from labserver.pipeline.materialise import Feed, latest, set_clock
from labserver.service.decision import ExpectedCost
from labserver.service.prediction import PredictionService
from labserver.settings import Settings


@pytest.mark.parametrize(
    "moment",
    ["2013-03-10 10:30:00+00", "2013-11-03 12:00:00+00"],
    ids=["the clocks go forward", "the clocks go back"],
)
def test_erasing_everything_known_later_changes_no_feature_asked_for_until_then(
    settings: Settings, catalogue: Catalogue, joined: NDArray[np.float32], tmp_path: Path, moment: str
) -> None:
    path = Path(shutil.copyfile(settings.warehouse, tmp_path / "warehouse.duckdb"))
    with duckdb.connect(str(path)) as db:
        db.execute("SET TimeZone = 'America/New_York'")
        db.execute(
            f"""UPDATE flights SET departed_at = NULL, departure_delay = NULL, departure_hhmm = NULL
                WHERE departed_at > TIMESTAMPTZ '{moment}'"""
        ).fetchall()
        db.execute(
            f"""UPDATE flights SET arrived_at = NULL, arrival_delay = NULL, arrival_hhmm = NULL, late = NULL
                WHERE arrived_at > TIMESTAMPTZ '{moment}'"""
        ).fetchall()
        # An hour's record is known when the hour is over: said here again, not taken from known_at.
        db.execute(f"DELETE FROM weather WHERE observed_at > TIMESTAMPTZ '{moment}' - INTERVAL 60 MINUTE").fetchall()
        write_history(db, catalogue)
        without = point_in_time(db, FLIGHTS, catalogue)
        before = np.array(
            db.execute(f"SELECT predicted_at <= TIMESTAMPTZ '{moment}' FROM flights ORDER BY flight_id").fetchall()
        )[:, 0]
    assert before.sum() > 60_000
    np.testing.assert_array_equal(without[before], joined[before])
    assert not np.array_equal(without[~before], joined[~before], equal_nan=True), "the erased facts were used later"


def questions(db: duckdb.DuckDBPyConnection) -> list[tuple[datetime, list[tuple[int, Flight]]]]:
    """About 300 flights of September to December, by the moment of asking; 3 November always among them."""
    rows = db.execute(
        """WITH moments AS (
            (SELECT predicted_at FROM flights WHERE day >= DATE '2013-09-01'
                AND scheduled_departure > TIMESTAMPTZ '2013-09-01 02:00:00-04'
                GROUP BY predicted_at ORDER BY hash(epoch_us(predicted_at)) LIMIT 120)
            UNION (SELECT predicted_at FROM flights WHERE day = DATE '2013-11-03'
                GROUP BY predicted_at ORDER BY hash(epoch_us(predicted_at)) LIMIT 12)
        )
        SELECT flight_id, carrier, flight, origin, dest, tailnum, epoch_us(scheduled_departure), epoch_us(predicted_at)
        FROM flights SEMI JOIN moments USING (predicted_at)
        QUALIFY row_number() OVER (PARTITION BY predicted_at ORDER BY hash(flight_id)) <= 6
        ORDER BY predicted_at, flight_id"""
    ).fetchall()
    asked: dict[datetime, list[tuple[int, Flight]]] = {}
    for number, carrier, flight, origin, dest, tailnum, departure, at in rows:
        moment = datetime.fromtimestamp(at / 1e6, UTC)
        leaves = datetime.fromtimestamp(departure / 1e6, UTC)
        asked.setdefault(moment, []).append((number, Flight(carrier, flight, origin, dest, tailnum, leaves)))
    return sorted(asked.items())


def test_the_served_vector_equals_the_training_vector_bit_for_bit(
    warehouse: duckdb.DuckDBPyConnection,
    bundle: Bundle,
    settings: Settings,
    catalogue: Catalogue,
    joined: NDArray[np.float32],
    tmp_path: Path,
) -> None:
    path = tmp_path / "online.db"
    copy_snapshot(bundle.snapshot, path)
    ranges, completion = CatalogueRanges(catalogue), TypicalValues(catalogue)
    store = OnlineStore(path, catalogue)
    service = PredictionService(
        catalogue,
        bundle.vocabulary,
        store,
        ranges,
        completion,
        OnnxPredictor(bundle.model),
        ExpectedCost.from_settings(settings),
    )
    compared = 0
    with closing(connect(path, catalogue)) as writer:
        for moment, flights in questions(warehouse):
            set_clock(warehouse, writer, catalogue, moment)
            for number, flight in flights:
                prepared = joined[number - 1 : number].copy()
                ranges.apply(prepared)
                completion.apply(prepared)
                served = service.vector(flight)
                assert served.as_of == served.clock == moment
                assert served.values.tobytes() == prepared.tobytes(), flight
                assert np.array_equal(served.received, joined[number - 1], equal_nan=True), flight
                compared += 1
    store.close()
    assert compared > 280


def content(path: Path, catalogue: Catalogue) -> dict[str, list[tuple[object, ...]]]:
    with closing(connect(path, catalogue)) as db:
        names = ["groups", *(group.name for group in catalogue.stored)]
        found = {name: db.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in names}
        return found | {"clock": db.execute("SELECT moment FROM clock").fetchall()}


def test_small_steps_one_leap_and_the_replays_feed_lead_to_the_same_store(
    warehouse: duckdb.DuckDBPyConnection, bundle: Bundle, catalogue: Catalogue, tmp_path: Path
) -> None:
    start = datetime.fromisoformat(bundle.manifest["clock"])
    steps = [datetime(2013, 9, 1, 11, 7, tzinfo=UTC), datetime(2013, 9, 2, 8, 0, tzinfo=UTC)]
    end = datetime(2013, 9, 3, 17, 45, tzinfo=UTC)
    contents = []
    for name in ("steps", "leap", "feed", "back"):
        path = tmp_path / f"{name}.db"
        copy_snapshot(bundle.snapshot, path)
        with closing(connect(path, catalogue)) as store:
            if name == "feed":
                feed = Feed(warehouse, catalogue, start, end)
                for moment in (*steps, end):
                    feed.publish(store, moment)
            else:
                ways = {"steps": [*steps, end], "leap": [end], "back": [datetime(2013, 9, 20, tzinfo=UTC), end]}
                for moment in ways[name]:
                    set_clock(warehouse, store, catalogue, moment)
        contents.append(content(path, catalogue))
    assert all(other == contents[0] for other in contents[1:])


def test_only_what_became_known_after_the_clock_and_by_then_is_published(
    warehouse: duckdb.DuckDBPyConnection, catalogue: Catalogue
) -> None:
    weather = next(group for group in catalogue.stored if group.name == "airport_weather")
    seven, eight = datetime(2013, 9, 2, 7, tzinfo=UTC), datetime(2013, 9, 2, 8, tzinfo=UTC)
    assert [row[:2] for row in latest(warehouse, weather, seven, eight)] == [
        (origin, 1_378_108_800_000_000) for origin in ("EWR", "JFK", "LGA")
    ]
    assert latest(warehouse, weather, eight, datetime(2013, 9, 2, 8, 59, tzinfo=UTC)) == []


def water(sql: str) -> Group:
    """A group of one feature, ``level``."""
    level = Feature(name="level", unit="m", meaning="Height of the water", owner="tests", possible=Range(0, 10))
    return Group(name="water", kind="live", entity=("origin",), source="flights", sql=sql, features=(level,))


def test_two_values_of_one_entity_at_one_moment_are_refused(settings: Settings) -> None:
    sql = "SELECT TIMESTAMPTZ '2013-01-01 00:00:00Z' AS known_at, 'EWR' AS origin, i AS level FROM range(2) AS r(i)"
    group = water(sql)
    with duckdb.connect() as db, pytest.raises(LabError, match=r"Feature group water has two values .*EWR"):
        write_history(db, Catalogue((group,)))


def test_a_history_of_other_definitions_is_refused(warehouse: duckdb.DuckDBPyConnection, catalogue: Catalogue) -> None:
    check_history(warehouse, catalogue)
    *others, last = catalogue.groups
    check_history(warehouse, Catalogue(tuple(others)))  # one group fewer: what there is of the others is right
    with pytest.raises(Damaged, match=r"no history of plane_now as this code defines it. Run `labserver build`"):
        check_history(warehouse, Catalogue((*others, replace(last, sql="SELECT 1"))))


def test_a_warehouse_without_a_history_is_refused(catalogue: Catalogue) -> None:
    with duckdb.connect() as db, pytest.raises(Damaged, match=r"no history of route, plane, .*labserver build"):
        check_history(db, catalogue)
